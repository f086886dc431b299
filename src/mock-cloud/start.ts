import { apiBasePath } from "../cloud/protocol.ts";
import { buildMockCloud, type MockCloud } from "./app.ts";
import { listeningUrl } from "./http/links.ts";
import type { MockCloudOptions } from "./options.ts";

export interface StartMockCloudOptions extends MockCloudOptions {
  /** Any address but loopback lets other machines connect. @default "127.0.0.1" */
  readonly host?: string;
  /** @default 0, any free port */
  readonly port?: number;
}

export interface RunningMockCloud extends MockCloud {
  /** Such as `http://127.0.0.1:43121`. */
  readonly url: string;
  /** The base URL for clients: `url` with `/api/v1`. */
  readonly baseUrl: string;
}

/**
 * Builds a mock cloud and starts its server.
 *
 * @example
 * import { startMockCloud } from "dstack-toolkit/mock-cloud";
 * const cloud = await startMockCloud({ port: 4000 });
 * console.log(cloud.baseUrl);
 */
export async function startMockCloud(options: StartMockCloudOptions = {}): Promise<RunningMockCloud> {
  const { host = "127.0.0.1", port = 0, ...rest } = options;
  const cloud = await buildMockCloud(rest);
  try {
    await cloud.app.listen({ host, port });
  } catch (error) {
    await cloud.close();
    throw error;
  }
  const url = listeningUrl(cloud.app.server.address());
  return { ...cloud, url, baseUrl: `${url}${apiBasePath}` };
}
