import { type Abi, type Address, decodeFunctionData, encodeFunctionData, isHex } from "viem";
import type { Hex } from "../hex.ts";
import { type PolicyContract, policyAbis, policyFunctions } from "./policy-functions.ts";

/**
 * One call of an owner, ready to be sent alone, in a batch or through a Safe. Plain data: it can be written to a file
 * and compared.
 */
export interface PolicyCall {
  readonly contract: PolicyContract;
  /** The app or the KMS, lower case. */
  readonly to: Address;
  /** Lower case. */
  readonly data: Hex;
  readonly functionName: string;
  /** Hashes, ids and addresses in lower case. */
  readonly args: readonly unknown[];
  /** What the call does, for people: decided by `data`, never the other way round. */
  readonly description: string;
  readonly proof: PolicyProof;
}

/** The event of `to` without which the call did not happen, whatever its transaction says. */
export interface PolicyProof {
  /** One of these; versions of the contract differ. */
  readonly eventNames: readonly string[];
  /** Arguments it must carry; others may be anything. */
  readonly args: Readonly<Record<string, unknown>>;
}

export interface BuildPolicyCallParameters {
  readonly contract: PolicyContract;
  readonly to: Address;
  readonly functionName: string;
  readonly args?: readonly unknown[];
}

/** Builds a call from its parts. The builders in app-calls.ts and kms-calls.ts have types for each function. */
export function buildPolicyCall({ contract, to, functionName, ...raw }: BuildPolicyCallParameters): PolicyCall {
  const policy = policyFunctions[contract][functionName];
  const args = (raw.args ?? []).map((arg) => (isHex(arg) ? lowerCase(arg) : arg));
  if (policy === undefined) throw new TypeError(`${functionName} is no call this package knows how to prove.`);
  return {
    contract,
    to: lowerCase(to),
    data: encodeFunctionData({ abi: policyAbis[contract], functionName, args }),
    functionName,
    args,
    description: policy.describe(args),
    proof: { eventNames: policy.eventNames, args: policy.provenBy(args) },
  };
}

export interface DecodePolicyCallParameters {
  readonly contract: PolicyContract;
  readonly to: Address;
  readonly data: Hex;
}

/**
 * The call behind calldata, such as that of a queued Safe transaction. Undefined for functions that are no owner's
 * and for bytes that are not exactly such a call.
 */
export function decodePolicyCall({ contract, to, ...raw }: DecodePolicyCallParameters): PolicyCall | undefined {
  const data = lowerCase(raw.data);
  try {
    const { functionName, args = [] } = decodeFunctionData<Abi>({ abi: policyAbis[contract], data });
    const call = buildPolicyCall({ contract, to, functionName, args });
    return call.data === data ? call : undefined;
  } catch {
    return undefined;
  }
}

/** The ABI whose custom errors explain a refusal of the call. */
export function abiOf({ contract }: PolicyCall): Abi {
  return policyAbis[contract];
}

/** Whether two calls do the same to the same contract. */
export function isSameCall(one: Pick<PolicyCall, "to" | "data">, other: Pick<PolicyCall, "to" | "data">): boolean {
  return one.to.toLowerCase() === other.to.toLowerCase() && one.data.toLowerCase() === other.data.toLowerCase();
}

function lowerCase(hex: Hex): Hex {
  return `0x${hex.slice(2).toLowerCase()}`;
}
