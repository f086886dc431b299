import type { CloudClient } from "./create-client.ts";
import { type Cvm, parseCvm } from "./cvm.ts";
import type { ApiVersion } from "./protocol.ts";
import { apiPath, readJson, safe } from "./replies.ts";

export interface GetCvmParameters {
  /** `cvm_…`, UUID, `app_…`, `0x` app address, `instance_…` or a unique name. */
  readonly cvm: string;
  /** 2025-10-28 returns the KMS's name, later versions the compose hash. @default the client's */
  readonly apiVersion?: ApiVersion | undefined;
}

/**
 * Reads a CVM.
 *
 * @throws CloudError
 *
 * @example
 * import { getCvm } from "dstack-toolkit/cloud";
 * import { cloud } from "./app.js";
 * const { appId, composeHash, status } = await getCvm(cloud, { cvm: "my-app" });
 */
export async function getCvm(client: CloudClient, { cvm, apiVersion }: GetCvmParameters): Promise<Cvm> {
  return readJson(client, { path: apiPath`/cvms/${cvm}`, apiVersion }, (body, reply) =>
    parseCvm(body, reply.apiVersion),
  );
}

export const safeGetCvm = safe(getCvm);
