import { apiBasePath, type InstanceRegistrationBody } from "../../cloud/protocol.ts";
import type { InstanceOutcome } from "../services/instances.ts";
import { describeChain } from "./chain-answers.ts";
import { toHashRegistrationBody } from "./update-answers.ts";

export type RegistrationOutcome = Extract<InstanceOutcome, { kind: "registration-required" }>;

export interface InstanceRegistrationContext {
  /** Such as `http://127.0.0.1:4000`. */
  readonly origin: string;
  /** Where the token is committed, below the API's base path. */
  readonly commitPath: string;
  readonly localRpcUrl: string | undefined;
  readonly requestId: string;
}

/** A 465 for a new CVM: the registration to make, and the token to come back with. */
export function toInstanceRegistrationBody(
  outcome: RegistrationOutcome,
  { origin, commitPath, localRpcUrl, requestId }: InstanceRegistrationContext,
): InstanceRegistrationBody {
  const { token, onchain, kms } = outcome;
  const body = toHashRegistrationBody({ ...outcome, requestId });
  const url = `${origin}${apiBasePath}${commitPath}?token=${token}`;
  const kms_info = body.kms_info && {
    ...body.kms_info,
    ...(kms.chainId !== null && { chain: describeChain(kms.chainId, localRpcUrl) }),
  };
  const commit = {
    commit_token: token,
    commit_url: url,
    api_commit_url: url,
    onchain_status: {
      compose_hash_allowed: onchain.isHashAllowed,
      device_id_allowed: onchain.isDeviceAllowed,
      is_allowed: onchain.isHashAllowed && onchain.isDeviceAllowed,
    },
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
