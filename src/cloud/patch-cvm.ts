import type { CloudClient } from "./create-client.ts";
import { apiPath } from "./http/api-path.ts";
import { type PatchOutcome, parsePatchOutcome, twoPhaseStatuses } from "./patch-outcome.ts";
import { headerNames, type PatchCvmRequest } from "./protocol.ts";
import { safe } from "./safe.ts";

export interface PatchCvmParameters {
  readonly cvm: string;
  /** Text of the docker-compose file. What is left out stays as it is. */
  readonly dockerCompose?: string | undefined;
  readonly preLaunchScript?: string | undefined;
  readonly allowedEnvs?: readonly string[] | undefined;
  readonly publicLogs?: boolean | undefined;
  readonly publicSysinfo?: boolean | undefined;
  readonly publicTcbinfo?: boolean | undefined;
  /** Hex from `encryptEnvironment`. Replaces the whole environment. */
  readonly encryptedEnvironment?: string | undefined;
  /** Keeps the update for a later commit with a token, and never touches the running CVM. */
  readonly prepareOnly?: boolean | undefined;
}

/** Asks for an update, phase 1. @throws CloudError */
export async function patchCvm(client: CloudClient, parameters: PatchCvmParameters): Promise<PatchOutcome> {
  const body: PatchCvmRequest = {
    docker_compose_file: parameters.dockerCompose,
    pre_launch_script: parameters.preLaunchScript,
    allowed_envs: parameters.allowedEnvs && [...parameters.allowedEnvs],
    public_logs: parameters.publicLogs,
    public_sysinfo: parameters.publicSysinfo,
    public_tcbinfo: parameters.publicTcbinfo,
    encrypted_env: parameters.encryptedEnvironment,
  };
  const reply = await client.request({
    method: "PATCH",
    path: apiPath`/cvms/${parameters.cvm}`,
    json: body,
    headers: parameters.prepareOnly ? { [headerNames.prepareOnly]: "true" } : {},
    alsoExpected: twoPhaseStatuses,
  });
  return parsePatchOutcome(reply);
}

export const safePatchCvm = safe(patchCvm);
