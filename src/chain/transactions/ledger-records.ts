import { decodeFunctionData, encodeFunctionData, keccak256, stringToHex, zeroAddress } from "viem";
import { z } from "zod";
import {
  batchExecutorAddress,
  batchExecutorDeployment,
  deterministicDeployer,
  encodeExecute,
} from "../../core/batch-executor.ts";
import { isDeployment, multicall3Address } from "../../core/contract-deployment.ts";
import type { Hex, TransactionHash } from "../../core/ids.ts";
import {
  batchGasCeilingOf,
  contractDeploymentGasCeiling,
  executorDeploymentGasCeiling,
  gasCeilingOf,
  safeGasCeilingOf,
  undoDelegationGasCeiling,
} from "../../core/order-calls.ts";
import { decodeOwnerCall, type OwnerCall } from "../../core/owner-calls.ts";
import { decodeExecTransaction, encodeExecTransaction } from "../../core/safe-calldata.ts";
import { objectionsToSafeTx } from "../../core/safe-objections.ts";
import { dstackKmsAbi } from "../../generated/abi.ts";
import type { FinalityTag } from "./chain-identity.ts";
import { findContradiction } from "./find.ts";
import type { PreparedTransaction } from "./prepare.ts";
import type { ProcessOwner } from "./process-owner.ts";

const purposeKinds = ["batch", "prune", "update", "deploy-app", "undo-delegation", "timelock", "safe"] as const;

/**
 * What a batch is for. Its calls say what it changes. Another command never sends the transactions of a `prune` again:
 * a removal must first be checked against what needs its hash now.
 */
export interface LedgerPurpose {
  readonly kind: (typeof purposeKinds)[number];
  /** The CVM that an update is for. */
  readonly cvm?: string | undefined;
  /** The transaction that it is about, if that is no call of an owner: the deployment of an app. Lower case. */
  readonly transaction?: { readonly to: Hex; readonly data: Hex } | undefined;
  /** Hash of the Safe transaction that is executed. Lower case. */
  readonly safeTxHash?: Hex | undefined;
}

const hex = z.custom<Hex>((value) => typeof value === "string" && /^0x[0-9a-f]*$/.test(value), "expected hex");
export const purposeSchema = z.strictObject({
  kind: z.enum(purposeKinds),
  cvm: z.string().optional(),
  transaction: z.strictObject({ to: hex, data: hex }).optional(),
  safeTxHash: hex.optional(),
});

/** One intended call, or several that one command makes together. */
export interface LedgerBatch {
  readonly id: number;
  readonly chain: string;
  readonly chainId: number;
  /** Lower case. */
  readonly signer: Hex;
  readonly purpose: LedgerPurpose;
  /** Every intended call, also those that no transaction carries yet. */
  readonly calls: readonly OwnerCall[];
  readonly createdAt: Date;
  /** When its last call was done. Until then, the same command finishes it. */
  readonly endedAt: Date | undefined;
}

export const transactionStates = ["open", "mined", "reverted", "taken", "cancelled", "refused"] as const;

/**
 * `mined` and `reverted`: by one of its attempts. `taken`: another transaction used the nonce. `cancelled`: an attempt
 * without the call used it. `refused`: the node does not take this type of transaction, so it was never sent.
 */
export type TransactionState = (typeof transactionStates)[number];

/** A nonce of a signer, its purpose, and each attempt: signed bytes, or a request that a node or a wallet signs. */
export interface LedgerTransaction {
  readonly id: number;
  readonly batch: number;
  readonly purpose: LedgerPurpose;
  readonly chain: string;
  readonly chainId: number;
  /** Lower case, as all hex of a ledger. */
  readonly from: Hex;
  readonly nonce: number;
  readonly to: Hex;
  readonly data: Hex;
  /** What the calldata does, for human readers. */
  readonly functionName: string;
  /** The owner's calls in it. Empty for the deployment of an app or of the executor, and the end of a delegation. */
  readonly calls: readonly OwnerCall[];
  /** Whether it carries its own sender's authorisation, which uses the nonce after the transaction's. */
  readonly authorizes: boolean;
  readonly state: TransactionState;
  /** The transaction that used the nonce, once it is mined. */
  readonly proof: TransactionProof | undefined;
  /** The stage at which it was last seen. */
  readonly finality: FinalityTag | undefined;
  /** The process that sends it. For a key of a node or a wallet, the one whose request may still be open. */
  readonly owner: ProcessOwner;
  readonly createdAt: Date;
  /** When a process saw how it ended. */
  readonly endedAt: Date | undefined;
  /** Oldest first; at least one. Only one of them can be mined. */
  readonly attempts: readonly TransactionAttempt[];
}

export interface TransactionProof {
  readonly transactionHash: TransactionHash;
  /** Absent for `taken`, where only the hash is known. */
  readonly blockNumber?: bigint | undefined;
  readonly gasUsed?: bigint | undefined;
  /** Total cost in wei, with a rollup's fees. */
  readonly costWei?: bigint | undefined;
}

export interface TransactionAttempt {
  readonly id: number;
  /** `cancel`: an empty call of the account to itself, which only uses the nonce. */
  readonly kind: "call" | "cancel";
  readonly gas: bigint;
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint;
  /** Absent if a node or a wallet holds the key. */
  readonly rawTransaction: Hex | undefined;
  readonly transactionHash: TransactionHash | undefined;
  /** Whether the endpoint has taken it at least once. */
  readonly isSent: boolean;
}

/** The attempt's transaction, as it is sent. */
export function preparedOf(transaction: LedgerTransaction, attempt = lastAttempt(transaction)): PreparedTransaction {
  const { chainId, from, nonce, functionName } = transaction;
  const { gas, maxFeePerGas, maxPriorityFeePerGas, rawTransaction, transactionHash } = attempt;
  const call =
    attempt.kind === "call"
      ? { to: transaction.to, data: transaction.data, functionName }
      : { to: from, data: "0x" as const, functionName: `the cancellation of ${functionName}` };
  return {
    ...{ chainId, from, nonce, ...call },
    ...{ gas, maxFeePerGas, maxPriorityFeePerGas, rawTransaction, transactionHash },
  };
}

export function lastAttempt({ attempts }: Pick<LedgerTransaction, "attempts">): TransactionAttempt {
  const last = attempts.at(-1);
  if (last === undefined) throw new TypeError("A recorded transaction has at least one attempt.");
  return last;
}

/** The sender's first free nonce after the transaction. */
export function nonceAfter({ nonce, authorizes }: Pick<LedgerTransaction, "nonce" | "authorizes">): number {
  return nonce + (authorizes ? 2 : 1);
}

export type CallRecord = Pick<OwnerCall, "contract" | "to" | "data">;

export interface BatchKey {
  readonly chain: string;
  readonly signer: Hex;
  readonly purpose: LedgerPurpose;
  readonly calls: readonly CallRecord[];
}

/** Each transaction of a large batch looks up the same key, so its digest is computed once. */
const digests = new WeakMap<BatchKey, Hex>();

/** Equal for the same command: the same purpose, calls, signer and chain. */
export function digestOf(key: BatchKey): Hex {
  const known = digests.get(key);
  if (known !== undefined) return known;
  const { chain, signer, purpose, calls } = key;
  const parts = [
    chain,
    lowerCase(signer),
    purpose.kind,
    purpose.cvm ?? "",
    purpose.transaction ?? "",
    ...(purpose.safeTxHash === undefined ? [] : [purpose.safeTxHash]),
    ...calls.map(({ contract, to, data }) => [contract, lowerCase(to), lowerCase(data)]),
  ];
  const digest = keccak256(stringToHex(JSON.stringify(parts)));
  digests.set(key, digest);
  return digest;
}

/** A record makes a claim that is not true. `message` is the end of a sentence. */
export class ContradictionError extends Error {}

/** @throws ContradictionError */
export function readCalls(records: readonly CallRecord[]): readonly OwnerCall[] {
  return records.map((record) => {
    const call = decodeOwnerCall(record);
    if (call === undefined) throw new ContradictionError("it lists a call that this package does not make");
    return call;
  });
}

/**
 * Names what the calldata does, and checks every claim of a record against the calldata and the signed bytes. Does not
 * check signatures: see `findForeignSignature`.
 *
 * @param executors contracts, besides this package's executor, to which a transaction may delegate its sender's account
 * @throws ContradictionError
 */
export function requireConsistent(
  unnamed: Omit<LedgerTransaction, "functionName">,
  executors: readonly Hex[],
): LedgerTransaction {
  const shape = shapes.map((find) => find(unnamed)).find((found) => found !== undefined);
  if (shape === undefined) throw new ContradictionError("its calldata is not that of the calls it lists");
  if (unnamed.authorizes && shape.delegate === undefined)
    throw new ContradictionError("no call of this kind delegates an account");
  const transaction: LedgerTransaction = { ...unnamed, functionName: shape.functionName };
  if (transaction.attempts.length === 0) throw new ContradictionError("it has no attempt");
  for (const attempt of transaction.attempts) {
    if (attempt.rawTransaction !== undefined && attempt.transactionHash === undefined)
      throw new ContradictionError("signed bytes and their hash are not both there");
    const isCall = attempt.kind === "call";
    const problem = findContradiction(preparedOf(transaction, attempt), {
      delegate: isCall && transaction.authorizes && shape.delegate ? [shape.delegate, ...executors] : undefined,
      gasCeiling: isCall ? shape.gasCeiling : undoDelegationGasCeiling,
      isReplacement: attempt !== transaction.attempts[0],
    });
    if (problem !== undefined) throw new ContradictionError(problem);
  }
  return transaction;
}

interface Shape {
  readonly functionName: string;
  readonly gasCeiling: bigint;
  /** The contract to which a transaction of this kind may delegate its sender's account. */
  readonly delegate?: Hex;
}

type Subject = Pick<LedgerTransaction, "from" | "to" | "data" | "calls" | "authorizes" | "purpose">;

/** The kinds of transaction that this package sends. */
const shapes: readonly ((subject: Subject) => Shape | undefined)[] = [
  ({ to, data, calls: [call, ...more] }) =>
    call !== undefined && more.length === 0 && to === call.to && data === call.data
      ? { functionName: call.functionName, gasCeiling: gasCeilingOf(call) }
      : undefined,
  ({ from, to, data, calls }) =>
    calls.length > 0 && to === from && data === encodeExecute(calls)
      ? {
          functionName: `a batch of ${calls.length} calls`,
          gasCeiling: batchGasCeilingOf(calls),
          delegate: batchExecutorAddress,
        }
      : undefined,
  ({ to, data, calls, purpose }) =>
    calls.length > 0 && purpose.kind === "safe" ? shapeOfSafeExecution({ to, data, calls }) : undefined,
  ({ to, data, calls }) =>
    calls.length === 0 && to === deterministicDeployer && data === batchExecutorDeployment
      ? { functionName: "the deployment of the batch executor", gasCeiling: executorDeploymentGasCeiling }
      : undefined,
  ({ data, calls }) =>
    calls.length === 0 && isAppDeployment(data)
      ? { functionName: "deployAndRegisterApp", gasCeiling: gasCeilingOf({ functionName: "deployAndRegisterApp" }) }
      : undefined,
  ({ to, data, calls }) =>
    calls.length === 0 && to === multicall3Address && isDeployment(data)
      ? { functionName: "the deployment of a contract", gasCeiling: contractDeploymentGasCeiling }
      : undefined,
  ({ from, to, data, calls, authorizes }) =>
    calls.length === 0 && to === from && data === "0x" && authorizes
      ? { functionName: "the end of the delegation", gasCeiling: undoDelegationGasCeiling, delegate: zeroAddress }
      : undefined,
];

/** The Safe checks the owners' signatures. What it does must be the calls of the record, and nothing else. */
function shapeOfSafeExecution({ to: safe, data, calls }: Pick<Subject, "to" | "data" | "calls">): Shape | undefined {
  const execution = decodeExecTransaction(data);
  if (execution === undefined || objectionsToSafeTx(execution.safeTx, { safe, calls }).length > 0) return undefined;
  const { safeTx, signatures } = execution;
  if (encodeExecTransaction({ ...safeTx, nonce: 0n }, signatures) !== data) return undefined;
  return { functionName: "execTransaction", gasCeiling: safeGasCeilingOf(calls, signatures) };
}

function isAppDeployment(data: Hex): boolean {
  try {
    const call = decodeFunctionData({ abi: dstackKmsAbi, data });
    return call.functionName === "deployAndRegisterApp" && encodeFunctionData({ abi: dstackKmsAbi, ...call }) === data;
  } catch {
    return false;
  }
}

export function lowerCase(hex: Hex): Hex {
  return `0x${hex.slice(2).toLowerCase()}`;
}
