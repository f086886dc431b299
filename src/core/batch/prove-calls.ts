import { ReceiptMismatchError } from "../../errors/index.ts";
import { decodeEvents, type EventReceipt } from "../decode-events.ts";
import { abiOf, type PolicyCall } from "./policy-call.ts";

interface SeenEvent {
  readonly eventName: string;
  readonly args: Readonly<Record<string, unknown>>;
}

/**
 * Returns if the receipt holds the event of every call: from the contract that was called, with the call's values.
 * Each event proves one call. The transaction's own target does not matter.
 *
 * @throws ReceiptMismatchError for the first call without its event
 */
export function proveCalls(receipt: EventReceipt, calls: readonly PolicyCall[]): void {
  const unclaimed = new Map<string, SeenEvent[]>();
  for (const call of calls) {
    const key = `${call.contract} ${call.to}`;
    const events = unclaimed.get(key) ?? eventsOf(receipt, call);
    unclaimed.set(key, events);
    const index = events.findIndex((event) => isProof(event, call));
    if (index === -1) throw mismatch(receipt, call);
    events.splice(index, 1);
  }
}

function eventsOf(receipt: EventReceipt, call: PolicyCall): SeenEvent[] {
  return decodeEvents(abiOf(call), receipt, call.to).map(({ eventName, args }) => ({
    eventName: eventName ?? "",
    args: { ...args },
  }));
}

function isProof({ eventName, args }: SeenEvent, { proof }: PolicyCall): boolean {
  if (!proof.eventNames.includes(eventName)) return false;
  return Object.entries(proof.args).every(([name, value]) => isSame(args[name], value));
}

/** Hex is decoded in either case. */
function isSame(one: unknown, other: unknown): boolean {
  return typeof one === "string" && typeof other === "string"
    ? one.toLowerCase() === other.toLowerCase()
    : one === other;
}

function mismatch(receipt: EventReceipt, call: PolicyCall): ReceiptMismatchError {
  return new ReceiptMismatchError({
    transactionHash: receipt.transactionHash,
    eventName: call.proof.eventNames.join(" or "),
    emitter: call.to,
    expected: Object.values(call.proof.args).join(", "),
    found: eventsOf(receipt, call).map(({ eventName, args }) => `${eventName}(${Object.values(args).join(", ")})`),
  });
}
