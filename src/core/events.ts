import { type Abi, type AbiEvent, type DecodeEventLogReturnType, decodeEventLog, getAbiItem, size } from "viem";
import { ReceiptMismatchError } from "../errors/index.ts";
import { dstackAppAbi, dstackKmsAbi } from "../generated/abi.ts";
import { type AppId, type ComposeHash, type DeviceId, type Hex, parseAppId } from "./ids.ts";

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

const factoryEvents = [getAbiItem({ abi: dstackKmsAbi, name: "AppDeployedViaFactory" })] as const;

/**
 * The app that the factory of `kms` deployed in this receipt; the first one, if a batch deployed several.
 *
 * @throws ReceiptMismatchError if this KMS deployed none
 */
export function deployedApp(receipt: EventReceipt, { kms }: { readonly kms: Hex }): AppId {
  const [event] = decodeEvents(factoryEvents, receipt, kms);
  if (event === undefined) {
    throw new ReceiptMismatchError({
      transactionHash: receipt.transactionHash,
      eventName: "AppDeployedViaFactory",
      emitter: kms,
      expected: "any app",
      found: [],
    });
  }
  return parseAppId(event.args.appId);
}
