import { type AppId, withoutPrefix } from "../core/ids.ts";
import { cleanText } from "../core/text.ts";
import type { CloudClient } from "./create-client.ts";
import { appSummarySchema } from "./protocol.ts";
import { apiPath, readJson, safe } from "./replies.ts";

export interface GetAppParameters {
  readonly appId: AppId;
}

export interface App {
  readonly name: string;
  /** Number of the app's CVMs, as counted by the cloud. */
  readonly cvmCount: number;
}

/**
 * Reads an app by its contract. Throws like getAppCvms.
 *
 * @throws CloudError
 *
 * @example
 * import { getApp } from "dstack-toolkit/cloud";
 * import { appId, cloud } from "./app.js";
 * const { cvmCount } = await getApp(cloud, { appId });
 */
export async function getApp(client: CloudClient, { appId }: GetAppParameters): Promise<App> {
  return readJson(client, { path: apiPath`/apps/${withoutPrefix(appId)}` }, (body) => {
    const { name, cvm_count } = appSummarySchema.parse(body);
    return { name: cleanText(name), cvmCount: cvm_count };
  });
}

export const safeGetApp = safe(getApp);
