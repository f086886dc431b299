import type { CloudClient } from "../../cloud/create-client.ts";
import type { Cvm } from "../../cloud/cvm.ts";
import { getAppCvms } from "../../cloud/get-app-cvms.ts";
import type { AppId } from "../../core/ids.ts";
import { CloudResponseError } from "../../errors/index.ts";

/** The app's CVMs in the API key's workspace; one without any answers 404, which is none here. @throws CloudError */
export async function listCvms(cloud: CloudClient, appId: AppId): Promise<readonly Cvm[]> {
  try {
    return await getAppCvms(cloud, { appId });
  } catch (error) {
    if (error instanceof CloudResponseError && error.status === 404) return [];
    throw error;
  }
}
