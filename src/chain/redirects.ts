/**
 * `fetch` that returns a redirect instead of following it. Following it would send the request again to an address that
 * the endpoint chose, with the API key in its headers and the transaction in its body. Drops the redirect's body, so
 * that it cannot be mistaken for an answer.
 */
export const fetchWithoutRedirects: typeof fetch = async (input, init) => {
  const response = await fetch(input, { ...init, redirect: "manual" });
  if (!isRedirect(response.status)) return response;
  await response.body?.cancel();
  const location = response.headers.get("location");
  return new Response(null, {
    status: response.status,
    statusText: response.statusText,
    headers: location === null ? {} : { location },
  });
};

/** Describes an HTTP error that is a redirect, with only the origin of its target. Undefined for other errors. */
export function describeRedirect(error: object): string | undefined {
  const { status, headers, url } = error as { status?: unknown; headers?: unknown; url?: unknown };
  if (typeof status !== "number" || !isRedirect(status)) return undefined;
  const location = headers instanceof Headers ? headers.get("location") : null;
  const base = typeof url === "string" ? url : undefined;
  const target = location === null ? null : URL.parse(location, base);
  const where = target?.host ? ` to ${target.protocol}//${target.host}` : "";
  return `HTTP ${status}, a redirect${where}, which is not followed`;
}

function isRedirect(status: number): boolean {
  return status >= 300 && status < 400;
}
