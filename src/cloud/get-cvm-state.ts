import type { CloudClient } from "./create-client.ts";
import { type CvmRuntimeState, parseCvmState } from "./cvm.ts";
import { apiPath, readJson, safe } from "./replies.ts";

export type { CvmRuntimeState } from "./cvm.ts";

export interface GetCvmStateParameters {
  readonly cvm: string;
}

/**
 * Reads the runtime state of a CVM.
 *
 * @throws CloudError
 *
 * @example
 * import { getCvmState } from "dstack-toolkit/cloud";
 * import { cloud } from "./app.js";
 * const { status, bootError } = await getCvmState(cloud, { cvm: "my-app" });
 */
export async function getCvmState(client: CloudClient, { cvm }: GetCvmStateParameters): Promise<CvmRuntimeState> {
  return readJson(client, { path: apiPath`/cvms/${cvm}/state` }, (body, { clean }) => parseCvmState(body, clean));
}

export const safeGetCvmState = safe(getCvmState);
