import {
  errorCodes,
  type HashRegistrationBody,
  type InstanceRegistrationBody,
  type OnchainStatusAnswer,
  type PreparedInstanceAnswer,
  type ProvisionCvm,
} from "../../cloud/protocol.ts";
import { type AppId, type ComposeHash, withoutPrefix } from "../../core/ids.ts";
import { toIsoTime } from "../clock.ts";
import type { InstanceOutcome } from "../services/instances.ts";
import type { KmsRuntime } from "../services/kms.ts";
import type { Provisioned } from "../services/provisioning.ts";
import type { Kms, Node } from "../store/platform.ts";
import type { PreparedInstance } from "../store/prepared-instances.ts";
import type { OnchainStatus } from "../verification/read-registration.ts";
import { describeChain, toKmsInfo, toNodeRef } from "./platform-answers.ts";

export type RegistrationOutcome = Extract<InstanceOutcome, { kind: "registration-required" }>;

export interface InstanceRegistrationContext {
  /** URL that commits the token. */
  readonly commitUrl: string;
  readonly localRpcUrl: string | undefined;
  readonly requestId: string;
}

/** A 465 for a new CVM: what to register, and the token that commits it afterwards. */
export function toInstanceRegistrationBody(
  outcome: RegistrationOutcome,
  { commitUrl, localRpcUrl, requestId }: InstanceRegistrationContext,
): InstanceRegistrationBody {
  const { token, onchain, kms } = outcome;
  const body = toHashRegistrationBody({ ...outcome, requestId });
  const url = `${commitUrl}?token=${token}`;
  const kms_info = body.kms_info && {
    ...body.kms_info,
    ...(kms.chainId !== null && { chain: describeChain(kms.chainId, localRpcUrl) }),
  };
  const commit = {
    commit_token: token,
    commit_url: url,
    api_commit_url: url,
    onchain_status: toOnchainStatus(onchain),
  };
  const details = (body.details ?? []).map((detail) =>
    detail.field === "kms_info" ? { ...detail, value: kms_info } : detail,
  );
  return {
    ...body,
    message: "The app's contract must allow the compose hash and the device before this CVM can be created.",
    suggestions: ["Call addComposeHash and addDevice on the app's contract as needed, then commit the token."],
    details: [...details, ...Object.entries(commit).map(([field, value]) => ({ field, value }))],
    kms_info,
    commit_token: token,
  };
}

export interface PreparedInstanceView {
  readonly prepared: PreparedInstance;
  readonly node: Node;
  readonly onchain: OnchainStatus | undefined;
  /** UUID of the created CVM. */
  readonly vmUuid: string | undefined;
  readonly now: number;
}

export function toPreparedInstance({
  prepared,
  node,
  onchain,
  vmUuid,
  now,
}: PreparedInstanceView): PreparedInstanceAnswer {
  return {
    status: vmUuid !== undefined ? "committed" : now >= prepared.expiresAt ? "expired" : "pending",
    name: prepared.name,
    app_id: withoutPrefix(prepared.appId),
    compose_hash: withoutPrefix(prepared.composeHash),
    device_id: withoutPrefix(node.deviceId),
    node: toNodeRef(node),
    expires_at: toIsoTime(prepared.expiresAt),
    vm_uuid: vmUuid ?? null,
    onchain_status: onchain ? toOnchainStatus(onchain) : null,
  };
}

export interface RegistrationRequest {
  readonly composeHash: ComposeHash;
  readonly appId: AppId;
  readonly node: Node;
  readonly kms: Kms;
  readonly requestId: string;
  /** Present if the client asked for a commit token. */
  readonly commit?: CommitInvitation | undefined;
}

export interface CommitInvitation {
  readonly token: string;
  /** A web page for people. */
  readonly pageUrl: string;
  readonly apiUrl: string;
  /** Undefined when the chain gave no answer. */
  readonly onchain: OnchainStatus | undefined;
}

/** A 465. The values appear in `details` and again at the top level, because official clients read one or the other. */
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

export function toProvisionAnswer(
  { provision, kms, node, osImage }: Provisioned,
  kmsRuntime: KmsRuntime,
): ProvisionCvm {
  const { appId, composeHash, settings } = provision;
  return {
    compose_hash: withoutPrefix(composeHash),
    app_id: appId === null ? null : withoutPrefix(appId),
    app_env_encrypt_pubkey: appId === null ? null : withoutPrefix(kmsRuntime.appKey(kms.id, appId).publicKey),
    kms_info: toKmsInfo(kms),
    kms_id: kms.id,
    device_id: withoutPrefix(node.deviceId),
    os_image_hash: withoutPrefix(osImage.osImageHash),
    fmspc: null,
    instance_type: settings.instanceType,
    teepod_id: node.id,
    node_id: node.id,
  };
}
