import { type AppComposeChanges, toManifestFields } from "../core/app-compose.ts";
import type { HashToAllow } from "../core/compose-hash.ts";
import { parseAppId, parseComposeHash, parseDeviceId } from "../core/ids.ts";
import type { CloudClient, CloudReply } from "./create-client.ts";
import { type Kms, type RegisteredHash, registrationHeaders, toKms } from "./cvm.ts";
import {
  type HashRegistration,
  type PatchCvmRequest,
  parseHashRegistration,
  statusCodes,
  updateAcceptedSchema,
} from "./protocol.ts";
import { apiPath, parseReply, safe } from "./replies.ts";

/** The cloud has started the change. Quote `correlationId` in a support ticket. */
export interface PatchAccepted {
  readonly kind: "accepted";
  readonly correlationId: string;
  /** The API's own status, such as `in_progress` or `no_change`. */
  readonly status: string | undefined;
}

/** The cloud keeps the change until its hash is allowed on chain and the transaction is confirmed (HTTP 465). */
export interface RegistrationRequired extends HashToAllow {
  readonly kms: Kms | undefined;
  /** Only for a prepared update: see `prepareCvmUpdate`. */
  readonly commitToken: string | undefined;
  /** What the cloud reads from the contract, if it reports it. */
  readonly onchainStatus: OnchainStatus | undefined;
}

export interface OnchainStatus {
  readonly composeHashAllowed: boolean;
  readonly deviceAllowed: boolean;
  readonly isAllowed: boolean;
}

export type PatchOutcome = PatchAccepted | RegistrationRequired;

/** 465 counts as success, in addition to 2xx, for every two-phase endpoint. */
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
    commitToken: wire.commit_token || undefined,
    onchainStatus: wire.onchain_status && {
      composeHashAllowed: wire.onchain_status.compose_hash_allowed,
      deviceAllowed: wire.onchain_status.device_id_allowed,
      isAllowed: wire.onchain_status.is_allowed,
    },
  };
}

/** Absent fields of the manifest keep their current value. */
export interface PatchCvmParameters extends AppComposeChanges {
  readonly cvm: string;
  /** Hex from `encryptEnvironment`. Replaces the whole environment. */
  readonly encryptedEnvironment?: string | undefined;
}

/**
 * Requests an update: phase 1.
 *
 * @throws CloudError
 *
 * @example
 * import { patchCvm } from "dstack-toolkit/cloud";
 * import { cloud, dockerCompose } from "./app.js";
 * const outcome = await patchCvm(cloud, { cvm: "my-app", dockerCompose });
 * if (outcome.kind === "registrationRequired") console.log(outcome.composeHash);
 */
export async function patchCvm(client: CloudClient, parameters: PatchCvmParameters): Promise<PatchOutcome> {
  return requestPatch(client, parameters);
}

export const safePatchCvm = safe(patchCvm);

/** @throws CloudError */
export async function requestPatch(
  client: CloudClient,
  parameters: PatchCvmParameters,
  headers: Readonly<Record<string, string>> = {},
): Promise<PatchOutcome> {
  const body: PatchCvmRequest = {
    ...toManifestFields(parameters),
    encrypted_env: parameters.encryptedEnvironment,
  };
  const reply = await client.request({
    method: "PATCH",
    path: apiPath`/cvms/${parameters.cvm}`,
    json: body,
    headers,
    alsoExpected: twoPhaseStatuses,
  });
  return parsePatchOutcome(reply);
}

export interface ConfirmCvmPatchParameters extends RegisteredHash {
  readonly cvm: string;
}

/**
 * Confirms an update: phase 2. The cloud checks the transaction itself and then starts the rollover. Returns
 * `registrationRequired` while the cloud does not see the hash as allowed.
 *
 * @throws HashExpiredError, TransactionNotVerifiedError, HashNotAllowedError and other CloudErrors
 *
 * @example
 * import { confirmCvmPatch } from "dstack-toolkit/cloud";
 * import { cloud, composeHash, transactionHash } from "./app.js";
 * await confirmCvmPatch(cloud, { cvm: "my-app", composeHash, transactionHash });
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
