import { type Abi, type AbiEvent, type DecodeEventLogReturnType, decodeEventLog, size } from "viem";
import type { Hex } from "./hex.ts";

/** As much of a receipt as its events need; viem's TransactionReceipt fits. */
export interface EventReceipt {
  readonly status: "success" | "reverted";
  readonly transactionHash: Hex;
  readonly logs: readonly EventLog[];
}

export interface EventLog {
  readonly address: Hex;
  readonly topics: readonly Hex[];
  readonly data: Hex;
}

/**
 * The events of `abi` that `emitter` logged in this receipt, in their order. Anybody can make a contract that logs
 * the same topics, or topics with other data: logs of other addresses, and logs that are not byte for byte what the
 * ABI says, are left out. For events whose arguments are one word each.
 */
export function decodeEvents<const abi extends Abi>(
  abi: abi,
  receipt: EventReceipt,
  emitter: Hex,
): DecodeEventLogReturnType<abi, undefined>[] {
  if (receipt.status !== "success") return []; // what a reverted transaction logged never happened
  return receipt.logs
    .filter((log) => log.address.toLowerCase() === emitter.toLowerCase())
    .flatMap((log) => {
      const event = decode(abi, log);
      return event === undefined ? [] : [event];
    });
}

function decode<const abi extends Abi>(abi: abi, { topics, data }: EventLog) {
  try {
    const event = decodeEventLog({ abi, topics: [...topics] as [Hex, ...Hex[]], data }); // no topic at all throws too
    const item = abi.find((item): item is AbiEvent => item.type === "event" && item.name === event.eventName);
    const indexed = item?.inputs.filter((input) => input.indexed).length ?? 0;
    const unindexed = (item?.inputs.length ?? 0) - indexed;
    return topics.length === indexed + 1 && size(data) === unindexed * 32 ? event : undefined;
  } catch {
    return undefined;
  }
}
