import { type Abi, type Address, decodeFunctionData, encodeFunctionData, isHex } from "viem";
import { ReceiptMismatchError } from "../errors/index.ts";
import { dstackAppAbi, dstackKmsAbi } from "../generated/abi.ts";
import { decodeEvents, type EventReceipt } from "./events.ts";
import type { AppId, ComposeHash, DeviceId, Hex } from "./ids.ts";
import { readRequest, type TimelockCall, timelockAbiWithCalledErrors, timelockFunctions } from "./timelock-calls.ts";

/**
 * One owner call, ready to be sent alone, in a batch or through a Safe. It is plain data, so it can be saved to a file
 * and compared.
 */
export interface OwnerCall {
  readonly contract: OwnedContract;
  /** The app or the KMS, lower case. */
  readonly to: Address;
  /** Lower case. */
  readonly data: Hex;
  readonly functionName: string;
  /** Hashes, ids and addresses in lower case. */
  readonly args: readonly unknown[];
  /** What the call does, for human readers. Derived from `data`; `data` is never derived from it. */
  readonly description: string;
  readonly proof: OwnerCallProof;
}

/** The event of `to` that proves the call. Without it the call did not happen, even if the transaction succeeded. */
export interface OwnerCallProof {
  /** Accepted event names. Versions of the contract differ. */
  readonly eventNames: readonly string[];
  /** Arguments that must match. Other arguments are not checked. */
  readonly args: Readonly<Record<string, unknown>>;
}

export interface BuildOwnerCallParameters {
  readonly contract: OwnedContract;
  readonly to: Address;
  readonly functionName: string;
  readonly args?: readonly unknown[];
}

/** Builds a call from its parts. The builders below have typed parameters for each function. */
export function buildOwnerCall({ contract, to, functionName, ...raw }: BuildOwnerCallParameters): OwnerCall {
  const policy = ownerFunctions[contract][functionName];
  const args = (raw.args ?? []).map(toLowerCase);
  if (policy === undefined) throw new TypeError(`This package does not know which event proves ${functionName}.`);
  return {
    contract,
    to: lowerCase(to),
    data: encodeFunctionData({ abi: ownedContractAbis[contract], functionName, args }),
    functionName,
    args,
    description: policy.describe(args),
    proof: { eventNames: policy.eventNames, args: policy.provenBy(args) },
  };
}

export interface DecodeOwnerCallParameters {
  readonly contract: OwnedContract;
  readonly to: Address;
  readonly data: Hex;
}

/**
 * Decodes calldata, such as that of a queued Safe transaction. Returns undefined if the function is not an owner
 * function or the bytes are not exactly its encoding.
 *
 * @example
 * import { decodeOwnerCall } from "dstack-toolkit/batch";
 * import { appId, call } from "./app.js";
 * const decoded = decodeOwnerCall({ contract: "app", to: appId, data: call.data });
 */
export function decodeOwnerCall({ contract, to, ...raw }: DecodeOwnerCallParameters): OwnerCall | undefined {
  const data = lowerCase(raw.data);
  try {
    const { functionName, args = [] } = decodeFunctionData<Abi>({ abi: ownedContractAbis[contract], data });
    const call = buildOwnerCall({ contract, to, functionName, args });
    return call.data === data ? call : undefined;
  } catch {
    return undefined;
  }
}

/** Returns the ABI that decodes the custom errors of this call. */
export function abiOf({ contract }: OwnerCall): Abi {
  return ownedContractAbis[contract];
}

/**
 * Tells whether two calls have the same target and the same calldata.
 *
 * @example
 * import { isSameCall } from "dstack-toolkit/batch";
 * import { call, calls } from "./app.js";
 * const isPlanned = calls.some((planned) => isSameCall(planned, call));
 */
export function isSameCall(one: Pick<OwnerCall, "to" | "data">, other: Pick<OwnerCall, "to" | "data">): boolean {
  return one.to.toLowerCase() === other.to.toLowerCase() && one.data.toLowerCase() === other.data.toLowerCase();
}

function lowerCase(hex: Hex): Hex {
  return `0x${hex.slice(2).toLowerCase()}`;
}

function toLowerCase(arg: unknown): unknown {
  if (Array.isArray(arg)) return arg.map(toLowerCase);
  return isHex(arg) ? lowerCase(arg) : arg;
}

/**
 * Which contract a call is for: an app's DstackApp, the DstackKms, or the timelock that owns them. A timelock's callers
 * are the accounts with its roles.
 */
export type OwnedContract = "app" | "kms" | "timelock";

/** A function that only the owner (or the pending owner) may call, and the event that proves it. */
export interface OwnerFunction {
  /** The event that proves it. Several names if versions of the contract differ. */
  readonly eventNames: readonly string[];
  /** The event's arguments that the call determines. */
  readonly provenBy: (args: readonly unknown[]) => Readonly<Record<string, unknown>>;
  /** What it does, for human readers: "allow compose hash 0x…". */
  readonly describe: (args: readonly unknown[]) => string;
}

export const ownedContractAbis: Readonly<Record<OwnedContract, Abi>> = {
  app: dstackAppAbi,
  kms: dstackKmsAbi,
  timelock: timelockAbiWithCalledErrors,
};

const zeroAddress = `0x${"00".repeat(20)}`;

const ownership = {
  // One-step contracts of the first versions log the second event and change the owner immediately.
  transferOwnership: {
    ...onValue(["OwnershipTransferStarted", "OwnershipTransferred"], "newOwner", "offer ownership to"),
    describe: ([to]: readonly unknown[]) =>
      to === zeroAddress ? "withdraw the offer of the ownership" : `offer ownership to ${to}`,
  },
  acceptOwnership: { eventNames: ["OwnershipTransferred"], provenBy: () => ({}), describe: () => "accept ownership" },
  renounceOwnership: {
    eventNames: ["OwnershipTransferred"],
    provenBy: () => ({ newOwner: zeroAddress }),
    describe: () => "renounce ownership permanently",
  },
  upgradeToAndCall: {
    ...onValue(["Upgraded"], "implementation", "upgrade to implementation"),
    describe: ([implementation, data]: readonly unknown[]) =>
      data === "0x"
        ? `upgrade to implementation ${implementation}`
        : `upgrade to implementation ${implementation}, and call it with ${cut(String(data))}`,
  },
};

/** Calldata of any length, for human readers. */
function cut(data: string): string {
  return data.length <= 138 ? data : `${data.slice(0, 138)}… (${(data.length - 2) / 2} bytes)`;
}

/** The calls this package can put into a batch, by contract and function name. */
export const ownerFunctions: Readonly<Record<OwnedContract, Readonly<Record<string, OwnerFunction>>>> = {
  app: {
    addComposeHash: onValue(["ComposeHashAdded"], "composeHash", "allow compose hash"),
    removeComposeHash: onValue(["ComposeHashRemoved"], "composeHash", "remove compose hash"),
    addDevice: onValue(["DeviceAdded"], "deviceId", "allow device"),
    removeDevice: onValue(["DeviceRemoved"], "deviceId", "remove device"),
    setAllowAnyDevice: onSwitch("AllowAnyDeviceSet", "allowAny", ["allow any device", "allow listed devices only"]),
    setRequireTcbUpToDate: onSwitch("RequireTcbUpToDateSet", "requireUpToDate", [
      "require an up-to-date TCB",
      "accept any TCB status",
    ]),
    disableUpgrades: {
      eventNames: ["UpgradesDisabled"],
      provenBy: () => ({}),
      describe: () => "disable upgrades permanently",
    },
    ...ownership,
  },
  kms: {
    addOsImageHash: onValue(["OsImageHashAdded"], "osImageHash", "allow OS image"),
    removeOsImageHash: onValue(["OsImageHashRemoved"], "osImageHash", "remove OS image"),
    addKmsAggregatedMr: onValue(["KmsAggregatedMrAdded"], "mrAggregated", "allow KMS measurement"),
    removeKmsAggregatedMr: onValue(["KmsAggregatedMrRemoved"], "mrAggregated", "remove KMS measurement"),
    addKmsDevice: onValue(["KmsDeviceAdded"], "deviceId", "allow KMS device"),
    removeKmsDevice: onValue(["KmsDeviceRemoved"], "deviceId", "remove KMS device"),
    setAppImplementation: onValue(["AppImplementationSet"], "implementation", "use app implementation"),
    ...ownership,
  },
  timelock: timelockFunctions((call) => `${requireOwnerCall(call).description} on ${call.to}`),
};

/** The owner call that a timelock makes. Undefined if this package does not make such a call. */
export function decodeTimelockCall({ to, value, data }: TimelockCall): OwnerCall | undefined {
  if (value !== 0n) return undefined;
  return decodeOwnerCall({ contract: "app", to, data }) ?? decodeOwnerCall({ contract: "kms", to, data });
}

function requireOwnerCall(call: TimelockCall): OwnerCall {
  const decoded = decodeTimelockCall(call);
  if (decoded === undefined) throw new TypeError(`This package does not make the call ${call.data} to ${call.to}.`);
  return decoded;
}

/** The calls in a timelock's operation that this call schedules or executes. Empty for every other call. */
export function callsInOperation({ contract, functionName, args }: OwnerCall): readonly OwnerCall[] {
  const request = contract === "timelock" ? readRequest(functionName, args) : undefined;
  return request === undefined || request.kind === "cancel" ? [] : request.operation.calls.map(requireOwnerCall);
}

/** A function whose event repeats its first argument. */
function onValue(eventNames: readonly string[], argument: string, verb: string): OwnerFunction {
  return { eventNames, provenBy: ([value]) => ({ [argument]: value }), describe: ([value]) => `${verb} ${value}` };
}

function onSwitch(eventName: string, argument: string, [on, off]: readonly [string, string]): OwnerFunction {
  return {
    eventNames: [eventName],
    provenBy: ([value]) => ({ [argument]: value }),
    describe: ([value]) => (value === true ? on : off),
  };
}

interface OnApp {
  readonly appId: AppId;
}

/**
 * Allows a compose hash.
 *
 * @example
 * import { addComposeHashCall } from "dstack-toolkit/batch";
 * import { appId, composeHash } from "./app.js";
 * const call = addComposeHashCall({ appId, composeHash });
 */
export function addComposeHashCall({ appId, composeHash }: OnApp & { readonly composeHash: ComposeHash }): OwnerCall {
  return onApp(appId, "addComposeHash", composeHash);
}

/**
 * Removes a compose hash from the list. This stops the next boot; a running CVM keeps running.
 *
 * @example
 * import { removeComposeHashCall } from "dstack-toolkit/batch";
 * import { appId, composeHash } from "./app.js";
 * const call = removeComposeHashCall({ appId, composeHash });
 */
export function removeComposeHashCall({
  appId,
  composeHash,
}: OnApp & { readonly composeHash: ComposeHash }): OwnerCall {
  return onApp(appId, "removeComposeHash", composeHash);
}

/**
 * Allows a device.
 *
 * @example
 * import { addDeviceCall } from "dstack-toolkit/batch";
 * import { appId, deviceId } from "./app.js";
 * const call = addDeviceCall({ appId, deviceId });
 */
export function addDeviceCall({ appId, deviceId }: OnApp & { readonly deviceId: DeviceId }): OwnerCall {
  return onApp(appId, "addDevice", deviceId);
}

/**
 * Removes a device from the list. This has no effect on boots while the app allows any device.
 *
 * @example
 * import { removeDeviceCall } from "dstack-toolkit/batch";
 * import { appId, deviceId } from "./app.js";
 * const call = removeDeviceCall({ appId, deviceId });
 */
export function removeDeviceCall({ appId, deviceId }: OnApp & { readonly deviceId: DeviceId }): OwnerCall {
  return onApp(appId, "removeDevice", deviceId);
}

/**
 * Switches between any device and the listed ones.
 *
 * @example
 * import { setAllowAnyDeviceCall } from "dstack-toolkit/batch";
 * import { appId } from "./app.js";
 * const call = setAllowAnyDeviceCall({ appId, allowAny: false });
 */
export function setAllowAnyDeviceCall({ appId, allowAny }: OnApp & { readonly allowAny: boolean }): OwnerCall {
  return onApp(appId, "setAllowAnyDevice", allowAny);
}

/**
 * Switches whether a boot needs an up-to-date TCB. Contracts of the first versions do not have it.
 *
 * @example
 * import { setRequireTcbUpToDateCall } from "dstack-toolkit/batch";
 * import { appId } from "./app.js";
 * const call = setRequireTcbUpToDateCall({ appId, requireUpToDate: true });
 */
export function setRequireTcbUpToDateCall({
  appId,
  requireUpToDate,
}: OnApp & { readonly requireUpToDate: boolean }): OwnerCall {
  return onApp(appId, "setRequireTcbUpToDate", requireUpToDate);
}

/**
 * Disables upgrades permanently.
 *
 * @example
 * import { disableUpgradesCall } from "dstack-toolkit/batch";
 * import { appId } from "./app.js";
 * const call = disableUpgradesCall({ appId });
 */
export function disableUpgradesCall({ appId }: OnApp): OwnerCall {
  return onApp(appId, "disableUpgrades");
}

/**
 * Replaces the code behind the proxy and then calls the new code with `data`. Empty `data` makes no call.
 *
 * @example
 * import { upgradeCall } from "dstack-toolkit/batch";
 * import { appId, implementation } from "./app.js";
 * const call = upgradeCall({ appId, implementation });
 */
export function upgradeCall({
  appId,
  implementation,
  data = "0x",
}: OnApp & { readonly implementation: Address; readonly data?: Hex }): OwnerCall {
  return onApp(appId, "upgradeToAndCall", implementation, data);
}

/**
 * Offers ownership to a new owner. Contracts of the first versions transfer it immediately.
 *
 * @example
 * import { transferOwnershipCall } from "dstack-toolkit/batch";
 * import { appId, safe } from "./app.js";
 * const call = transferOwnershipCall({ appId, newOwner: safe });
 */
export function transferOwnershipCall({ appId, newOwner }: OnApp & { readonly newOwner: Address }): OwnerCall {
  return onApp(appId, "transferOwnership", newOwner);
}

/**
 * Accepts an offered ownership. The pending owner must send the call.
 *
 * @example
 * import { acceptOwnershipCall } from "dstack-toolkit/batch";
 * import { appId } from "./app.js";
 * const call = acceptOwnershipCall({ appId });
 */
export function acceptOwnershipCall({ appId }: OnApp): OwnerCall {
  return onApp(appId, "acceptOwnership");
}

/**
 * Renounces ownership. Afterwards no account can change the app.
 *
 * @example
 * import { renounceOwnershipCall } from "dstack-toolkit/batch";
 * import { appId } from "./app.js";
 * const call = renounceOwnershipCall({ appId });
 */
export function renounceOwnershipCall({ appId }: OnApp): OwnerCall {
  return onApp(appId, "renounceOwnership");
}

function onApp(appId: AppId, functionName: string, ...args: readonly unknown[]): OwnerCall {
  return buildOwnerCall({ contract: "app", to: appId, functionName, args });
}

interface SeenEvent {
  readonly eventName: string;
  readonly args: Readonly<Record<string, unknown>>;
}

/**
 * Returns normally if the receipt contains the event of every call, from the called contract and with the call's
 * values. Each event proves only one call. A timelock's execution needs the events of the calls in it too. Does not
 * check the transaction's own target.
 *
 * @throws ReceiptMismatchError for the first call without its event
 *
 * @example
 * import { proveCalls } from "dstack-toolkit/batch";
 * import { calls, receipt } from "./app.js";
 * proveCalls(receipt, calls);
 */
export function proveCalls(receipt: EventReceipt, calls: readonly OwnerCall[]): void {
  const unclaimed = new Map<string, SeenEvent[]>();
  for (const call of calls.flatMap(withExecuted)) {
    const key = `${call.contract} ${call.to}`;
    const events = unclaimed.get(key) ?? eventsOf(receipt, call);
    unclaimed.set(key, events);
    const index = events.findIndex((event) => isProof(event, call));
    if (index === -1) throw mismatch(receipt, call);
    events.splice(index, 1);
  }
}

function withExecuted(call: OwnerCall): readonly OwnerCall[] {
  return call.functionName.startsWith("execute") ? [call, ...callsInOperation(call)] : [call];
}

function eventsOf(receipt: EventReceipt, call: OwnerCall): SeenEvent[] {
  return decodeEvents(abiOf(call), receipt, call.to).map(({ eventName, args }) => ({
    eventName: eventName ?? "",
    args: { ...args },
  }));
}

function isProof({ eventName, args }: SeenEvent, { proof }: OwnerCall): boolean {
  if (!proof.eventNames.includes(eventName)) return false;
  return Object.entries(proof.args).every(([name, value]) => isSameValue(args[name], value));
}

/** Compares hex without regard to letter case. */
export function isSameValue(one: unknown, other: unknown): boolean {
  return typeof one === "string" && typeof other === "string"
    ? one.toLowerCase() === other.toLowerCase()
    : one === other;
}

function mismatch(receipt: EventReceipt, call: OwnerCall): ReceiptMismatchError {
  return new ReceiptMismatchError({
    transactionHash: receipt.transactionHash,
    eventName: call.proof.eventNames.join(" or "),
    emitter: call.to,
    expected: Object.values(call.proof.args).join(", "),
    found: eventsOf(receipt, call).map(({ eventName, args }) => `${eventName}(${Object.values(args).join(", ")})`),
  });
}
