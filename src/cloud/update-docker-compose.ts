import type { CloudClient } from "./create-client.ts";
import { type RegisteredHash, registrationHeaders } from "./cvm.ts";
import { type PatchOutcome, parsePatchOutcome, twoPhaseStatuses } from "./patch-cvm.ts";
import { apiPath, safe } from "./replies.ts";

export interface UpdateDockerComposeParameters {
  readonly cvm: string;
  readonly dockerCompose: string;
  /** Phase 2: send the same text again, with the registered hash. */
  readonly registered?: RegisteredHash | undefined;
}

/**
 * Replaces only the docker-compose file.
 *
 * @throws CloudError
 *
 * @example
 * import { updateDockerCompose } from "dstack-toolkit/cloud";
 * import { cloud, dockerCompose } from "./app.js";
 * const outcome = await updateDockerCompose(cloud, { cvm: "my-app", dockerCompose });
 */
export async function updateDockerCompose(
  client: CloudClient,
  { cvm, dockerCompose, registered }: UpdateDockerComposeParameters,
): Promise<PatchOutcome> {
  const reply = await client.request({
    method: "PATCH",
    path: apiPath`/cvms/${cvm}/docker-compose`,
    text: { contentType: "text/yaml", content: dockerCompose },
    headers: registered && registrationHeaders(registered),
    alsoExpected: twoPhaseStatuses,
  });
  return parsePatchOutcome(reply);
}

export const safeUpdateDockerCompose = safe(updateDockerCompose);
