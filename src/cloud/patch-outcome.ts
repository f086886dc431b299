import {
  type AppId,
  type ComposeHash,
  type DeviceId,
  parseAppId,
  parseComposeHash,
  parseDeviceId,
} from "../core/ids.ts";
import type { CloudReply } from "./create-client.ts";
import { parseReply } from "./http/parse-reply.ts";
import { type Kms, toKms } from "./kms.ts";
import { type HashRegistration, parseHashRegistration, statusCodes, updateAcceptedSchema } from "./protocol.ts";

/** The change is under way; `correlationId` names it in a support ticket. */
export interface PatchAccepted {
  readonly kind: "accepted";
  readonly correlationId: string;
  /** The API's own word, such as `in_progress` or `no_change`. */
  readonly status: string | undefined;
}

/** The cloud keeps the change until its hash is allowed on chain and the transaction is confirmed (HTTP 465). */
export interface RegistrationRequired {
  readonly kind: "registrationRequired";
  readonly composeHash: ComposeHash;
  readonly appId: AppId;
  /** Device the CVM will boot on; the app's contract must allow it too. */
  readonly deviceId: DeviceId | undefined;
  readonly kms: Kms | undefined;
  readonly correlationId: string | undefined;
  /** Only for a prepared update. The token alone authorises the commit: treat it as a secret. */
  readonly commit:
    | { readonly token: string; readonly url: string | undefined; readonly apiUrl: string | undefined }
    | undefined;
  /** The cloud's own view of the contract, where it gives one. */
  readonly onchainStatus: OnchainStatus | undefined;
}

export interface OnchainStatus {
  readonly composeHashAllowed: boolean;
  readonly deviceAllowed: boolean;
  readonly isAllowed: boolean;
}

export type PatchOutcome = PatchAccepted | RegistrationRequired;

/** 465 beside 2xx: how every two-phase endpoint answers. */
export const twoPhaseStatuses: readonly number[] = [statusCodes.hashRegistrationRequired];

/** @throws CloudProtocolError */
export function parsePatchOutcome(reply: CloudReply): PatchOutcome {
  return parseReply(reply, (body) => {
    if (reply.status === statusCodes.hashRegistrationRequired) {
      return toRegistration(parseHashRegistration(body), reply.requestId);
    }
    const { correlation_id, status } = updateAcceptedSchema.parse(body);
    return { kind: "accepted", correlationId: correlation_id, status };
  });
}

function toRegistration(wire: HashRegistration, requestId: string | undefined): RegistrationRequired {
  return {
    kind: "registrationRequired",
    composeHash: parseComposeHash(wire.compose_hash),
    appId: parseAppId(wire.app_id),
    deviceId: wire.device_id ? parseDeviceId(wire.device_id) : undefined,
    kms: wire.kms_info && toKms(wire.kms_info),
    correlationId: requestId,
    commit: wire.commit_token
      ? { token: wire.commit_token, url: wire.commit_url, apiUrl: wire.api_commit_url }
      : undefined,
    onchainStatus: wire.onchain_status && {
      composeHashAllowed: wire.onchain_status.compose_hash_allowed,
      deviceAllowed: wire.onchain_status.device_id_allowed,
      isAllowed: wire.onchain_status.is_allowed,
    },
  };
}
