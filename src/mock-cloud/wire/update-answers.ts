import { errorCodes, type HashRegistrationBody } from "../../cloud/protocol.ts";
import { withoutPrefix } from "../../core/hex.ts";
import type { AppId, ComposeHash } from "../../core/ids.ts";
import type { Kms, Node } from "../store/platform.ts";
import { toKmsInfo } from "./kms-answers.ts";

export interface RegistrationRequest {
  readonly composeHash: ComposeHash;
  readonly appId: AppId;
  readonly node: Node;
  readonly kms: Kms;
  readonly requestId: string;
}

/** A 465. The values stand in `details` and, flat, beside it: every official client reads one or the other. */
export function toHashRegistrationBody(request: RegistrationRequest): HashRegistrationBody {
  const values = {
    compose_hash: withoutPrefix(request.composeHash),
    app_id: withoutPrefix(request.appId),
    device_id: withoutPrefix(request.node.deviceId),
    kms_info: toKmsInfo(request.kms),
  };
  return {
    error_code: errorCodes.hashRegistrationRequired,
    message: "The new compose hash must be registered on chain before this update can go on.",
    details: Object.entries(values).map(([field, value]) => ({ field, value })),
    suggestions: [
      "Call addComposeHash on the app's contract, then send this request again with the compose hash and the transaction hash.",
    ],
    request_id: request.requestId,
    ...values,
  };
}
