import type { CloudClient } from "./create-client.ts";
import { apiPath, safe } from "./replies.ts";

export interface GetDockerComposeParameters {
  readonly cvm: string;
}

/**
 * Reads the current docker-compose file as text.
 *
 * @throws CloudError
 *
 * @example
 * import { getDockerCompose } from "dstack-toolkit/cloud";
 * import { cloud } from "./app.js";
 * const text = await getDockerCompose(cloud, { cvm: "my-app" });
 */
export async function getDockerCompose(client: CloudClient, { cvm }: GetDockerComposeParameters): Promise<string> {
  const { text } = await client.request({ method: "GET", path: apiPath`/cvms/${cvm}/docker-compose.yml` });
  return text;
}

export const safeGetDockerCompose = safe(getDockerCompose);
