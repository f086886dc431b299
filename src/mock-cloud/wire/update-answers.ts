import { errorCodes, type HashRegistrationBody, type OnchainStatusAnswer } from "../../cloud/protocol.ts";
import { type AppId, type ComposeHash, withoutPrefix } from "../../core/ids.ts";
import type { Kms, Node } from "../store/platform.ts";
import type { OnchainStatus } from "../verification/read-onchain-status.ts";
import { toKmsInfo } from "./kms-answers.ts";

export interface RegistrationRequest {
  readonly composeHash: ComposeHash;
  readonly appId: AppId;
  readonly node: Node;
  readonly kms: Kms;
  readonly requestId: string;
  /** Where a commit token was asked for. */
  readonly commit?: CommitInvitation | undefined;
}

export interface CommitInvitation {
  readonly token: string;
  /** A page for people. */
  readonly pageUrl: string;
  readonly apiUrl: string;
  /** Undefined when the chain gave no answer. */
  readonly onchain: OnchainStatus | undefined;
}

/** A 465. The values stand in `details` and, flat, beside it: every official client reads one or the other. */
export function toHashRegistrationBody(request: RegistrationRequest): HashRegistrationBody {
  const values = {
    compose_hash: withoutPrefix(request.composeHash),
    app_id: withoutPrefix(request.appId),
    device_id: withoutPrefix(request.node.deviceId),
    kms_info: toKmsInfo(request.kms),
  };
  const { commit } = request;
  const invitation = commit && {
    commit_token: commit.token,
    commit_url: commit.pageUrl,
    api_commit_url: commit.apiUrl,
    ...(commit.onchain && { onchain_status: toOnchainStatus(commit.onchain) }),
  };
  return {
    error_code: errorCodes.hashRegistrationRequired,
    message: "The new compose hash must be registered on chain before this update can go on.",
    details: Object.entries({ ...values, ...invitation }).map(([field, value]) => ({ field, value })),
    suggestions: [
      commit
        ? "Have the owner call addComposeHash on the app's contract, then commit the token. It is shown this once."
        : "Call addComposeHash on the app's contract, then send this request again with the compose hash and the transaction hash.",
    ],
    request_id: request.requestId,
    ...values,
  };
}

export function toOnchainStatus({ isHashAllowed, isDeviceAllowed }: OnchainStatus): OnchainStatusAnswer {
  return {
    compose_hash_allowed: isHashAllowed,
    device_id_allowed: isDeviceAllowed,
    is_allowed: isHashAllowed && isDeviceAllowed,
  };
}
