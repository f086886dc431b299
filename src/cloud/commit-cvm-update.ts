import type { CloudClient } from "./create-client.ts";
import { type RegisteredHash, registrationFields } from "./cvm.ts";
import type { PatchAccepted } from "./patch-cvm.ts";
import { type CommitUpdateRequest, commitUpdateSchema } from "./protocol.ts";
import { apiPath, parseReply, safe } from "./replies.ts";

export interface CommitCvmUpdateParameters extends RegisteredHash {
  readonly cvm: string;
  /** The token of `prepareCvmUpdate`. It is sent in the body, and no error shows it. */
  readonly token: string;
}

/**
 * Commits a prepared update, once. The cloud checks that the contract allows the hash, and the transaction if one is
 * given, and then starts the rollover.
 *
 * @throws HashExpiredError if the token was used, has expired or was superseded by a later preparation
 * @throws TransactionNotVerifiedError, HashNotAllowedError and other CloudErrors
 *
 * @example
 * import { commitCvmUpdate } from "dstack-toolkit/cloud";
 * import { cloud, composeHash, token, transactionHash } from "./app.js";
 * await commitCvmUpdate(cloud, { cvm: "my-app", token, composeHash, transactionHash });
 */
export async function commitCvmUpdate(
  client: CloudClient,
  { cvm, token, ...registered }: CommitCvmUpdateParameters,
): Promise<PatchAccepted> {
  const body: CommitUpdateRequest = { token, ...registrationFields(registered) };
  const reply = await client.request({
    method: "POST",
    path: apiPath`/cvms/${cvm}/commit-update`,
    json: body,
    secrets: [token],
  });
  return parseReply(reply, (answer) => {
    const { correlation_id, status } = commitUpdateSchema.parse(answer);
    return { kind: "accepted", correlationId: correlation_id, status };
  });
}

export const safeCommitCvmUpdate = safe(commitCvmUpdate);
