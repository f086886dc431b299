import type { CloudClient } from "./create-client.ts";
import { type RegisteredHash, registrationFields } from "./cvm.ts";
import { type PatchOutcome, parsePatchOutcome, twoPhaseStatuses } from "./patch-cvm.ts";
import type { PatchEnvsRequest } from "./protocol.ts";
import { apiPath, safe } from "./replies.ts";

export interface UpdateCvmEnvsParameters {
  readonly cvm: string;
  /** Hex from `encryptEnvironment`. Replaces the whole environment. */
  readonly encryptedEnvironment: string;
  /** Names that the guest accepts, in order. If absent, the current list stays. */
  readonly allowedEnvs?: readonly string[] | undefined;
  /** Phase 2: send the same parameters again, with the registered hash. */
  readonly registered?: RegisteredHash | undefined;
}

/**
 * Replaces the environment. A changed list of names changes the compose hash.
 *
 * @throws CloudError
 *
 * @example
 * import { updateCvmEnvs } from "dstack-toolkit/cloud";
 * import { cloud, encryptedEnvironment } from "./app.js";
 * const outcome = await updateCvmEnvs(cloud, { cvm: "my-app", encryptedEnvironment });
 */
export async function updateCvmEnvs(client: CloudClient, parameters: UpdateCvmEnvsParameters): Promise<PatchOutcome> {
  const { cvm, encryptedEnvironment, allowedEnvs, registered } = parameters;
  const body: PatchEnvsRequest = {
    encrypted_env: encryptedEnvironment,
    env_keys: allowedEnvs && [...allowedEnvs],
    ...(registered && registrationFields(registered)),
  };
  const reply = await client.request({
    method: "PATCH",
    path: apiPath`/cvms/${cvm}/envs`,
    json: body,
    alsoExpected: twoPhaseStatuses,
  });
  return parsePatchOutcome(reply);
}

export const safeUpdateCvmEnvs = safe(updateCvmEnvs);
