import { zeroAddress } from "viem";
import { z } from "zod";
import { findContradiction } from "../chain/check-recorded-transaction.ts";
import {
  batchExecutorAddress,
  batchExecutorDeployment,
  deterministicDeployer,
  encodeExecute,
} from "../core/batch-executor.ts";
import type { Hex, TransactionHash } from "../core/ids.ts";
import {
  batchGasCeilingOf,
  executorDeploymentGasCeiling,
  gasCeilingOf,
  undoDelegationGasCeiling,
} from "../core/order-calls.ts";
import { decodePolicyCall, type PolicyCall } from "../core/owner-calls.ts";
import type { BatchEntry } from "./batch-journal.ts";

function fixedHex<Value extends Hex>(bytes: number) {
  const pattern = new RegExp(`^0x[0-9a-f]{${bytes * 2}}$`);
  return z.custom<Value>((value) => typeof value === "string" && pattern.test(value), `expected ${bytes} bytes of hex`);
}

const hexData = z.custom<Hex>((value) => typeof value === "string" && /^0x([0-9a-f]{2})*$/.test(value), "expected hex");
const address = fixedHex<Hex>(20);
const transactionHash = fixedHex<TransactionHash>(32);
const wholeNumber = z.string().regex(/^\d{1,78}$/); // wei and gas outgrow JSON's numbers

/** `at` is for people; a transaction is known by chain, sender and nonce. */
const line = {
  v: z.literal(1),
  at: z.iso.datetime(),
  chainId: z.int().positive(),
  from: address,
  nonce: z.int().nonnegative(),
};

/** One line of a batch journal. */
export const batchJournalLineSchema = z.discriminatedUnion("type", [
  /** Written before the bytes leave this machine; they are here to be sent again. */
  z.strictObject({
    ...line,
    type: z.literal("prepared"),
    to: address,
    data: hexData,
    gas: wholeNumber,
    maxFeePerGas: wholeNumber,
    maxPriorityFeePerGas: wholeNumber,
    functionName: z.string(),
    /** Both null where the node or a wallet signs. */
    rawTransaction: hexData.nullable(),
    transactionHash: transactionHash.nullable(),
    authorizes: z.boolean(),
    calls: z.array(z.strictObject({ contract: z.enum(["app", "kms"]), to: address, data: hexData })),
  }),
  z.strictObject({ ...line, type: z.literal("sent"), transactionHash }),
  z.strictObject({ ...line, type: z.literal("ended"), end: z.enum(["mined", "reverted", "replaced", "refused"]) }),
]);

export type BatchJournalLine = z.infer<typeof batchJournalLineSchema>;
export type PreparedLine = Extract<BatchJournalLine, { type: "prepared" }>;

export function toPreparedLine({ transaction, calls, authorizes }: BatchEntry): Omit<PreparedLine, "v" | "at"> {
  const { chainId, from, to, data, nonce, gas, maxFeePerGas, maxPriorityFeePerGas, functionName } = transaction;
  return {
    type: "prepared",
    chainId,
    from: lowerCase(from),
    nonce,
    to: lowerCase(to),
    data: lowerCase(data),
    gas: `${gas}`,
    maxFeePerGas: `${maxFeePerGas}`,
    maxPriorityFeePerGas: `${maxPriorityFeePerGas}`,
    functionName,
    rawTransaction: transaction.rawTransaction ?? null,
    transactionHash: transaction.transactionHash ?? null,
    authorizes,
    calls: calls.map(({ contract, to, data }) => ({ contract, to, data })),
  };
}

/** What a line claims and does not hold; `message` is the end of a sentence. */
export class ContradictionError extends Error {}

/**
 * The entry that a line holds. It may come from a repository: nothing of it is believed that the calldata and the signed
 * bytes do not say, except for the signatures themselves.
 *
 * @param executors besides this package's own, to which the line may delegate its sender's account
 * @throws ContradictionError
 */
export function fromPreparedLine(line: PreparedLine, executors: readonly Hex[] = []): BatchEntry {
  const { chainId, from, nonce, to, data, authorizes } = line;
  const calls = line.calls.map((raw) => {
    const call = decodePolicyCall(raw);
    if (call === undefined) throw new ContradictionError("it lists a call that this package does not make");
    return call;
  });
  const shape = findShape(line, calls);
  if (shape === undefined) throw new ContradictionError("its calldata is not that of the calls it lists");
  if (authorizes && shape.delegate === undefined)
    throw new ContradictionError("no call of this kind delegates an account");
  if ((line.rawTransaction === null) !== (line.transactionHash === null))
    throw new ContradictionError("signed bytes and their hash are not both there");
  const transaction = {
    ...{ chainId, from, nonce, to, data, functionName: shape.functionName },
    gas: BigInt(line.gas),
    maxFeePerGas: BigInt(line.maxFeePerGas),
    maxPriorityFeePerGas: BigInt(line.maxPriorityFeePerGas),
    rawTransaction: line.rawTransaction ?? undefined,
    transactionHash: line.transactionHash ?? undefined,
  };
  const delegate = authorizes && shape.delegate ? [shape.delegate, ...executors] : undefined;
  const problem = findContradiction(transaction, { delegate, gasCeiling: shape.gasCeiling });
  if (problem !== undefined) throw new ContradictionError(problem);
  return { transaction, calls, authorizes };
}

interface Shape {
  readonly functionName: string;
  readonly gasCeiling: bigint;
  /** To whom a transaction of this kind may delegate its sender's account. */
  readonly delegate?: Hex;
}

/** The one transaction that makes these calls, among those that this package sends. */
function findShape({ from, to, data, authorizes }: PreparedLine, calls: readonly PolicyCall[]): Shape | undefined {
  const [only] = calls;
  if (only === undefined) {
    if (authorizes && to === from && data === "0x")
      return { functionName: "the end of the delegation", gasCeiling: undoDelegationGasCeiling, delegate: zeroAddress };
    const isDeployment = to === deterministicDeployer && data === batchExecutorDeployment;
    return isDeployment
      ? { functionName: "the deployment of the batch executor", gasCeiling: executorDeploymentGasCeiling }
      : undefined;
  }
  if (to === from && data === encodeExecute(calls))
    return {
      functionName: `a batch of ${calls.length} calls`,
      gasCeiling: batchGasCeilingOf(calls),
      delegate: batchExecutorAddress,
    };
  const isSingle = calls.length === 1 && to === only.to && data === only.data;
  return isSingle ? { functionName: only.functionName, gasCeiling: gasCeilingOf(only.functionName) } : undefined;
}

export function lowerCase(hex: Hex): Hex {
  return `0x${hex.slice(2).toLowerCase()}`;
}
