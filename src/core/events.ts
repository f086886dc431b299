import {
  type Abi,
  type AbiEvent,
  type DecodeEventLogReturnType,
  decodeEventLog,
  encodeAbiParameters,
  getAbiItem,
} from "viem";
import { ReceiptMismatchError } from "../errors/index.ts";
import { dstackAppAbi, dstackKmsAbi } from "../generated/abi.ts";
import { type AppId, type ComposeHash, type DeviceId, type Hex, parseAppId } from "./ids.ts";

export type AppEvent = ReturnType<typeof decodeEvents<typeof dstackAppAbi>>[number];

/** Events that prove a write to an app, each with the type of its value. */
export interface ProvenValues {
  ComposeHashAdded: ComposeHash;
  ComposeHashRemoved: ComposeHash;
  DeviceAdded: DeviceId;
  DeviceRemoved: DeviceId;
  AllowAnyDeviceSet: boolean;
  RequireTcbUpToDateSet: boolean;
}

export type ProvingEventName = keyof ProvenValues;

/**
 * Returns the events of the app at `emitter` in this receipt, in their order. Ignores events of other contracts.
 *
 * @example
 * import { appEvents } from "dstack-toolkit";
 * import { appId, receipt } from "./app.js";
 * for (const { eventName, args } of appEvents(receipt, { emitter: appId })) console.log(eventName, args);
 */
export function appEvents(receipt: EventReceipt, { emitter }: { readonly emitter: AppId }): readonly AppEvent[] {
  return decodeEvents(dstackAppAbi, receipt, emitter);
}

export interface RequireEventParameters<name extends ProvingEventName> {
  readonly emitter: AppId;
  readonly eventName: name;
  readonly value: ProvenValues[name];
}

/**
 * Returns normally if the receipt proves that the app at `emitter` logged `eventName` with exactly this value. Does not
 * check the transaction's target: a transaction of a Safe or a timelock does not go to the app.
 *
 * @throws ReceiptMismatchError, whose context lists what the app logged instead
 *
 * @example
 * import { requireEvent } from "dstack-toolkit";
 * import { appId, composeHash, receipt } from "./app.js";
 * requireEvent(receipt, { emitter: appId, eventName: "ComposeHashAdded", value: composeHash });
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

/** The part of a receipt that is needed to read its events. viem's TransactionReceipt fits. */
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
 * Returns the events of `abi` that `emitter` logged in this receipt, in their order. Any contract can log the same
 * topics, with any data. Therefore this ignores logs of other addresses and logs that do not match the ABI byte for
 * byte.
 */
export function decodeEvents<const abi extends Abi>(
  abi: abi,
  receipt: EventReceipt,
  emitter: Hex,
): DecodeEventLogReturnType<abi, undefined>[] {
  if (receipt.status !== "success") return []; // a reverted transaction has no valid logs
  return receipt.logs
    .filter((log) => log.address.toLowerCase() === emitter.toLowerCase())
    .flatMap((log) => {
      const event = decodeLog(abi, log);
      return event === undefined ? [] : [event];
    });
}

/** One log. Undefined if it does not match an event of the ABI byte for byte. */
export function decodeLog<const abi extends Abi>(abi: abi, { topics, data }: Pick<EventLog, "topics" | "data">) {
  try {
    const event = decodeEventLog({ abi, topics: [...topics] as [Hex, ...Hex[]], data }); // also throws without topics
    const item = abi.find((item): item is AbiEvent => item.type === "event" && item.name === event.eventName);
    if (item === undefined) return undefined;
    const unindexed = item.inputs.filter((input) => input.indexed !== true);
    const values = unindexed.map(({ name = "" }): unknown => Reflect.get(Object(event.args), name));
    const isIndexedAlike = topics.length === item.inputs.length - unindexed.length + 1;
    return isIndexedAlike && encodeAbiParameters(unindexed, values) === data.toLowerCase() ? event : undefined;
  } catch {
    return undefined;
  }
}

const factoryEvents = [getAbiItem({ abi: dstackKmsAbi, name: "AppDeployedViaFactory" })] as const;

/**
 * Returns the app that the factory of `kms` deployed in this receipt: the first one, if a batch deployed several.
 *
 * @throws ReceiptMismatchError if this KMS deployed none
 *
 * @example
 * import { deployedApp } from "dstack-toolkit";
 * import { kms, receipt } from "./app.js";
 * const appId = deployedApp(receipt, { kms });
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
