import type { CloudClient } from "./create-client.ts";
import { type RegisteredHash, registrationHeaders } from "./cvm.ts";
import { type PatchOutcome, parsePatchOutcome, twoPhaseStatuses } from "./patch-cvm.ts";
import { apiPath, safe } from "./replies.ts";

export interface UpdatePreLaunchScriptParameters {
  readonly cvm: string;
  readonly preLaunchScript: string;
  /** Phase 2: send the same text again, with the registered hash. */
  readonly registered?: RegisteredHash | undefined;
}

/**
 * Replaces the script that runs before the containers start.
 *
 * @throws CloudError
 *
 * @example
 * import { updatePreLaunchScript } from "dstack-toolkit/cloud";
 * import { cloud } from "./app.js";
 * const outcome = await updatePreLaunchScript(cloud, { cvm: "my-app", preLaunchScript: "echo ready" });
 */
export async function updatePreLaunchScript(
  client: CloudClient,
  { cvm, preLaunchScript, registered }: UpdatePreLaunchScriptParameters,
): Promise<PatchOutcome> {
  const reply = await client.request({
    method: "PATCH",
    path: apiPath`/cvms/${cvm}/pre-launch-script`,
    text: { contentType: "text/plain", content: preLaunchScript },
    headers: registered && registrationHeaders(registered),
    alsoExpected: twoPhaseStatuses,
  });
  return parsePatchOutcome(reply);
}

export const safeUpdatePreLaunchScript = safe(updatePreLaunchScript);
