import type { CommitTokenInfo, CommitUpdateRequest } from "../../cloud/protocol.ts";
import { withoutPrefix } from "../../core/ids.ts";
import { toIsoTime } from "../clock.ts";
import { InvalidRequestError } from "../errors.ts";
import type { PreparedUpdate, UpdateCommit } from "../services/prepared-updates.ts";
import type { Kms, Node } from "../store/platform.ts";
import type { OnchainStatus } from "../verification/read-onchain-status.ts";
import { toKmsInfo } from "./kms-answers.ts";
import { readComposeHash, readTransactionHash } from "./read-confirmation.ts";
import { toOnchainStatus } from "./update-answers.ts";

/** An empty text counts as left out. @throws InvalidRequestError */
export function readUpdateCommit(
  body: CommitUpdateRequest,
  tokenInUrl: string | undefined,
  correlationId: string,
): UpdateCommit {
  const { compose_hash: hash, transaction_hash: transaction } = body;
  return {
    token: requireToken(body.token || tokenInUrl),
    composeHash: hash ? readComposeHash(hash, ["body", "compose_hash"]) : undefined,
    transactionHash: transaction ? readTransactionHash(transaction, ["body", "transaction_hash"]) : undefined,
    correlationId,
  };
}

/** @throws InvalidRequestError */
export function requireToken(token: string | undefined): string {
  if (!token) throw new InvalidRequestError(["query", "token"], "Field required", "missing");
  return token;
}

export function toCommitTokenInfo(
  { cvm, pending, state }: PreparedUpdate,
  { kms, node }: { readonly kms: Kms; readonly node: Node },
  onchain: OnchainStatus | undefined,
): CommitTokenInfo {
  return {
    status: state,
    cvm_name: cvm.name,
    vm_uuid: cvm.vmUuid,
    app_id: withoutPrefix(cvm.appId),
    compose_hash: withoutPrefix(pending.composeHash),
    current_compose_hash: withoutPrefix(cvm.composeHash),
    device_id: withoutPrefix(node.deviceId),
    kms_info: toKmsInfo(kms),
    ...(onchain && { onchain_status: toOnchainStatus(onchain) }),
    created_at: toIsoTime(pending.createdAt),
    expires_at: toIsoTime(pending.expiresAt),
    correlation_id: pending.correlationId,
  };
}
