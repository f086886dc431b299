import type { InstanceRegistrationBody, PreparedInstanceAnswer } from "../../cloud/protocol.ts";
import { withoutPrefix } from "../../core/ids.ts";
import { toIsoTime } from "../clock.ts";
import type { InstanceOutcome } from "../services/instances.ts";
import type { Node } from "../store/platform.ts";
import type { PreparedInstance } from "../store/prepared-instances.ts";
import type { OnchainStatus } from "../verification/read-onchain-status.ts";
import { describeChain } from "./chain-answers.ts";
import { toNodeRef } from "./node-answers.ts";
import { toHashRegistrationBody, toOnchainStatus } from "./update-answers.ts";

export type RegistrationOutcome = Extract<InstanceOutcome, { kind: "registration-required" }>;

export interface InstanceRegistrationContext {
  /** Where the token is committed. */
  readonly commitUrl: string;
  readonly localRpcUrl: string | undefined;
  readonly requestId: string;
}

/** A 465 for a new CVM: the registration to make, and the token to come back with. */
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
  /** Of the CVM it became. */
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
