import { type AppId, withoutPrefix } from "../core/ids.ts";
import type { CloudClient } from "./create-client.ts";
import { type Cvm, parseCvm } from "./cvm.ts";
import { cvmInfoListSchema } from "./protocol.ts";
import { apiPath, readJson, safe } from "./replies.ts";

export interface GetAppCvmsParameters {
  readonly appId: AppId;
}

/** The first version in which a CVM in a list has its compose hash. */
const apiVersion = "2026-01-21";

/**
 * Lists the CVMs of an app in the API key's workspace, including replicas and instances, running or not.
 *
 * @throws CloudError; a workspace without a CVM of the app is a CloudResponseError of status 404
 *
 * @example
 * import { getAppCvms } from "dstack-toolkit/cloud";
 * import { appId, cloud } from "./app.js";
 * for (const { name, status } of await getAppCvms(cloud, { appId })) console.log(name, status);
 */
export async function getAppCvms(client: CloudClient, { appId }: GetAppCvmsParameters): Promise<readonly Cvm[]> {
  const path = apiPath`/apps/${withoutPrefix(appId)}/cvms`;
  return readJson(client, { path, apiVersion }, (body) =>
    cvmInfoListSchema.parse(body).map((item) => parseCvm(item, apiVersion)),
  );
}

export const safeGetAppCvms = safe(getAppCvms);
