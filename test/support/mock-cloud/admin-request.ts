import type { RunningMockCloud } from "../../../src/mock-cloud/index.ts";

export const adminKey = "an-admin-key-for-tests";

/** A request to an admin endpoint, with the key. */
export async function adminRequest(
  cloud: Pick<RunningMockCloud, "url">,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ readonly status: number; readonly body: unknown }> {
  const response = await fetch(`${cloud.url}/admin${path}`, {
    method,
    headers: { "X-Admin-Key": adminKey, ...(body !== undefined && { "Content-Type": "application/json" }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
}
