import type { CloudClient } from "./create-client.ts";
import { apiPath } from "./http/api-path.ts";
import { type PatchOutcome, parsePatchOutcome, twoPhaseStatuses } from "./patch-outcome.ts";
import { type RegisteredHash, registrationHeaders } from "./registered-hash.ts";
import { safe } from "./safe.ts";

export interface ConfirmCvmPatchParameters extends RegisteredHash {
  readonly cvm: string;
}

/**
 * Confirms an update, phase 2: the cloud checks the transaction itself and then starts the rollover. Answers
 * `registrationRequired` while it does not see the hash allowed yet.
 *
 * @throws HashExpiredError, TransactionNotVerifiedError, HashNotAllowedError and other CloudErrors
 */
export async function confirmCvmPatch(
  client: CloudClient,
  parameters: ConfirmCvmPatchParameters,
): Promise<PatchOutcome> {
  const reply = await client.request({
    method: "PATCH",
    path: apiPath`/cvms/${parameters.cvm}`,
    json: {},
    headers: registrationHeaders(parameters),
    alsoExpected: twoPhaseStatuses,
  });
  return parsePatchOutcome(reply);
}

export const safeConfirmCvmPatch = safe(confirmCvmPatch);
