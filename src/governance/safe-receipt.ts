import { type Hex, parseAbi } from "viem";
import { decodeEvents, type EventReceipt } from "../core/events.ts";
import { type OwnerCall, proveCalls } from "../core/owner-calls.ts";
import { ReceiptMismatchError } from "../errors/index.ts";

const executionAbi = parseAbi(["event ExecutionSuccess(bytes32 indexed txHash, uint256 payment)"]);
/** Before version 1.4.0, the hash was not indexed. */
const earlierAbi = parseAbi(["event ExecutionSuccess(bytes32 txHash, uint256 payment)"]);

export interface ProveSafeExecutionParameters {
  readonly safe: Hex;
  readonly calls: readonly OwnerCall[];
  /** @default any transaction of the Safe */
  readonly safeTxHash?: Hex | undefined;
}

/**
 * Returns the hash of the Safe transaction by which the Safe made these calls in this receipt.
 *
 * @throws ReceiptMismatchError if the Safe executed no such transaction successfully, or an event of a call is missing
 */
export function proveSafeExecution(
  receipt: EventReceipt,
  { safe, calls, safeTxHash }: ProveSafeExecutionParameters,
): Hex {
  const events = [executionAbi, earlierAbi].flatMap((abi) => decodeEvents(abi, receipt, safe));
  const hashes = events.map(({ args }) => args.txHash);
  const found = hashes.find((hash) => safeTxHash === undefined || hash === safeTxHash);
  if (found === undefined) {
    throw new ReceiptMismatchError({
      transactionHash: receipt.transactionHash,
      eventName: "ExecutionSuccess",
      emitter: safe,
      expected: safeTxHash ?? "any transaction",
      found: hashes.map((hash) => `ExecutionSuccess(${hash})`),
    });
  }
  proveCalls(receipt, calls);
  return found;
}
