import { type Abi, type Address, decodeFunctionData, encodeFunctionData, isHex } from "viem";
import { ReceiptMismatchError } from "../errors/index.ts";
import { dstackAppAbi, dstackKmsAbi } from "../generated/abi.ts";
import { decodeEvents, type EventReceipt } from "./events.ts";
import type { AppId, ComposeHash, DeviceId, Hex } from "./ids.ts";

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

/** Which of the two contracts a call is for: an app's DstackApp or the DstackKms. */
export type PolicyContract = "app" | "kms";

/** One function only an owner (or the invited next owner) may call, and what it leaves behind when it worked. */
export interface PolicyFunction {
  /** The event that proves it; several where versions of the contract differ. */
  readonly eventNames: readonly string[];
  /** Arguments of that event which the call decides. */
  readonly provenBy: (args: readonly unknown[]) => Readonly<Record<string, unknown>>;
  /** What it does, for people: "allow compose hash 0x…". */
  readonly describe: (args: readonly unknown[]) => string;
}

export const policyAbis: Readonly<Record<PolicyContract, Abi>> = { app: dstackAppAbi, kms: dstackKmsAbi };

const ownership = {
  // One-step contracts of the first versions log the second event and change hands at once.
  transferOwnership: onValue(["OwnershipTransferStarted", "OwnershipTransferred"], "newOwner", "offer ownership to"),
  acceptOwnership: { eventNames: ["OwnershipTransferred"], provenBy: () => ({}), describe: () => "accept ownership" },
  renounceOwnership: {
    eventNames: ["OwnershipTransferred"],
    provenBy: () => ({ newOwner: `0x${"00".repeat(20)}` }),
    describe: () => "renounce ownership, for good",
  },
  upgradeToAndCall: onValue(["Upgraded"], "implementation", "upgrade to implementation"),
};

/** The calls this package can put into a batch, by contract and function name. */
export const policyFunctions: Readonly<Record<PolicyContract, Readonly<Record<string, PolicyFunction>>>> = {
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
      describe: () => "disable upgrades, for good",
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
};

/** A function whose first argument is what its event repeats. */
function onValue(eventNames: readonly string[], argument: string, verb: string): PolicyFunction {
  return { eventNames, provenBy: ([value]) => ({ [argument]: value }), describe: ([value]) => `${verb} ${value}` };
}

function onSwitch(eventName: string, argument: string, [on, off]: readonly [string, string]): PolicyFunction {
  return {
    eventNames: [eventName],
    provenBy: ([value]) => ({ [argument]: value }),
    describe: ([value]) => (value === true ? on : off),
  };
}

interface OnApp {
  readonly appId: AppId;
}

/** Allows a compose hash. */
export function addComposeHashCall({ appId, composeHash }: OnApp & { readonly composeHash: ComposeHash }): PolicyCall {
  return onApp(appId, "addComposeHash", composeHash);
}

/** Takes a compose hash off the list: stops the next boot, not a CVM that runs. */
export function removeComposeHashCall({
  appId,
  composeHash,
}: OnApp & { readonly composeHash: ComposeHash }): PolicyCall {
  return onApp(appId, "removeComposeHash", composeHash);
}

/** Allows a device. */
export function addDeviceCall({ appId, deviceId }: OnApp & { readonly deviceId: DeviceId }): PolicyCall {
  return onApp(appId, "addDevice", deviceId);
}

/** Takes a device off the list. Without effect on boots while any device is allowed. */
export function removeDeviceCall({ appId, deviceId }: OnApp & { readonly deviceId: DeviceId }): PolicyCall {
  return onApp(appId, "removeDevice", deviceId);
}

/** Switches between any device and the listed ones. */
export function setAllowAnyDeviceCall({ appId, allowAny }: OnApp & { readonly allowAny: boolean }): PolicyCall {
  return onApp(appId, "setAllowAnyDevice", allowAny);
}

/** Switches whether a boot needs an up-to-date TCB. Contracts of the first versions do not have it. */
export function setRequireTcbUpToDateCall({
  appId,
  requireUpToDate,
}: OnApp & { readonly requireUpToDate: boolean }): PolicyCall {
  return onApp(appId, "setRequireTcbUpToDate", requireUpToDate);
}

/** Closes the upgrade path. Nobody can open it again. */
export function disableUpgradesCall({ appId }: OnApp): PolicyCall {
  return onApp(appId, "disableUpgrades");
}

/** Replaces the code behind the proxy and makes one call to the new one; `data` is empty for none. */
export function upgradeCall({
  appId,
  implementation,
  data = "0x",
}: OnApp & { readonly implementation: Address; readonly data?: Hex }): PolicyCall {
  return onApp(appId, "upgradeToAndCall", implementation, data);
}

/** Offers ownership; contracts of the first versions hand it over at once. */
export function transferOwnershipCall({ appId, newOwner }: OnApp & { readonly newOwner: Address }): PolicyCall {
  return onApp(appId, "transferOwnership", newOwner);
}

/** Takes an offered ownership, as the invited owner. */
export function acceptOwnershipCall({ appId }: OnApp): PolicyCall {
  return onApp(appId, "acceptOwnership");
}

/** Leaves the app without an owner: nobody can change anything again. */
export function renounceOwnershipCall({ appId }: OnApp): PolicyCall {
  return onApp(appId, "renounceOwnership");
}

function onApp(appId: AppId, functionName: string, ...args: readonly unknown[]): PolicyCall {
  return buildPolicyCall({ contract: "app", to: appId, functionName, args });
}

interface OnKms {
  readonly kms: Address;
}

/** Allows an OS image for every app of the KMS. */
export function addOsImageHashCall({ kms, osImageHash }: OnKms & { readonly osImageHash: Hex }): PolicyCall {
  return onKms(kms, "addOsImageHash", osImageHash);
}

/** Takes an OS image off the list, for every app of the KMS. */
export function removeOsImageHashCall({ kms, osImageHash }: OnKms & { readonly osImageHash: Hex }): PolicyCall {
  return onKms(kms, "removeOsImageHash", osImageHash);
}

/** Allows KMS nodes with this aggregated measurement. */
export function addKmsAggregatedMrCall({ kms, mrAggregated }: OnKms & { readonly mrAggregated: Hex }): PolicyCall {
  return onKms(kms, "addKmsAggregatedMr", mrAggregated);
}

/** Takes an aggregated measurement of KMS nodes off the list. */
export function removeKmsAggregatedMrCall({ kms, mrAggregated }: OnKms & { readonly mrAggregated: Hex }): PolicyCall {
  return onKms(kms, "removeKmsAggregatedMr", mrAggregated);
}

/** Allows a device to run KMS nodes. */
export function addKmsDeviceCall({ kms, deviceId }: OnKms & { readonly deviceId: Hex }): PolicyCall {
  return onKms(kms, "addKmsDevice", deviceId);
}

/** Takes a device of KMS nodes off the list. */
export function removeKmsDeviceCall({ kms, deviceId }: OnKms & { readonly deviceId: Hex }): PolicyCall {
  return onKms(kms, "removeKmsDevice", deviceId);
}

/** Chooses the code of apps the factory creates from now on. */
export function setAppImplementationCall({ kms, implementation }: OnKms & { readonly implementation: Address }) {
  return onKms(kms, "setAppImplementation", implementation);
}

/** Offers the KMS to a new owner. */
export function transferKmsOwnershipCall({ kms, newOwner }: OnKms & { readonly newOwner: Address }): PolicyCall {
  return onKms(kms, "transferOwnership", newOwner);
}

/** Takes an offered ownership of the KMS, as the invited owner. */
export function acceptKmsOwnershipCall({ kms }: OnKms): PolicyCall {
  return onKms(kms, "acceptOwnership");
}

function onKms(kms: Address, functionName: string, ...args: readonly unknown[]): PolicyCall {
  return buildPolicyCall({ contract: "kms", to: kms, functionName, args });
}

/** The view of the called contract that says whether a call would change anything, and what it answers if not. */
export interface CallEffect {
  readonly view: string;
  readonly args: readonly unknown[];
  readonly alreadySo: boolean;
}

const lists: Readonly<Record<string, string>> = {
  ComposeHash: "allowedComposeHashes",
  Device: "allowedDeviceIds",
  OsImageHash: "allowedOsImages",
  KmsAggregatedMr: "kmsAllowedAggregatedMrs",
  KmsDevice: "kmsAllowedDeviceIds",
};
const switches: Readonly<Record<string, string>> = {
  setAllowAnyDevice: "allowAnyDevice",
  setRequireTcbUpToDate: "requireTcbUpToDate",
};

/** Undefined for calls whose effect no single view tells. */
export function effectOf({ functionName, args }: PolicyCall): CallEffect | undefined {
  const [, verb, list = ""] = /^(add|remove)(.+)$/.exec(functionName) ?? [];
  const view = lists[list];
  if (view !== undefined) return { view, args, alreadySo: verb === "add" };
  const flag = switches[functionName];
  return flag === undefined ? undefined : { view: flag, args: [], alreadySo: args[0] === true };
}

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
