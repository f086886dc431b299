import { dstackAppAbi } from "../abi/index.ts";
import { ReceiptMismatchError } from "../errors/index.ts";
import { decodeEvents, type EventReceipt } from "./decode-events.ts";
import type { AppId, ComposeHash, DeviceId } from "./ids.ts";

export type { EventLog, EventReceipt } from "./decode-events.ts";

export type AppEvent = ReturnType<typeof decodeEvents<typeof dstackAppAbi>>[number];

/** The events that prove one write to an app, and the type of the value each proves. */
export interface ProvenValues {
  ComposeHashAdded: ComposeHash;
  ComposeHashRemoved: ComposeHash;
  DeviceAdded: DeviceId;
  DeviceRemoved: DeviceId;
  AllowAnyDeviceSet: boolean;
  RequireTcbUpToDateSet: boolean;
}

export type ProvingEventName = keyof ProvenValues;

/** All events of the app at `emitter` in this receipt, in their order; nothing of other contracts. */
export function appEvents(receipt: EventReceipt, { emitter }: { readonly emitter: AppId }): readonly AppEvent[] {
  return decodeEvents(dstackAppAbi, receipt, emitter);
}

export interface RequireEventParameters<name extends ProvingEventName> {
  readonly emitter: AppId;
  readonly eventName: name;
  readonly value: ProvenValues[name];
}

/**
 * Returns if the receipt proves that the app at `emitter` logged `eventName` with exactly this value. The
 * transaction's own target does not matter: a Safe's or a timelock's transaction goes to the Safe.
 *
 * @throws ReceiptMismatchError, whose context lists what the app logged instead
 */
export function requireEvent<name extends ProvingEventName>(
  receipt: EventReceipt,
  { emitter, eventName, value }: RequireEventParameters<name>,
): void {
  const events = appEvents(receipt, { emitter });
  if (events.some((event) => event.eventName === eventName && values(event)[0] === value)) return;
  throw new ReceiptMismatchError({
    transactionHash: receipt.transactionHash,
    eventName,
    emitter,
    expected: String(value),
    found: events.map((event) => `${event.eventName}(${values(event).join(", ")})`),
  });
}

function values(event: AppEvent): readonly unknown[] {
  return Object.values(event.args ?? {});
}
