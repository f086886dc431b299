import { type Address, checksumAddress, keccak256, size, slice, stringToHex, toEventSelector } from "viem";
import {
  type ComposeHash,
  type DeviceId,
  type Hex,
  parseComposeHash,
  parseDeviceId,
  parseTransactionHash,
  type TransactionHash,
} from "../core/ids.ts";
import { dstackAppAbi } from "../generated/abi.ts";

/** The fields of a log that a change needs. Logs of one app, each at most once, in any order. */
export interface PolicyLog extends Omit<ChangeOrigin, "transactionHash" | "actor"> {
  readonly transactionHash: Hex;
  readonly topics: readonly Hex[];
  readonly data: Hex;
}

export interface DecodePolicyChangesReturnType {
  /** In the order in which they took effect. */
  readonly changes: readonly PolicyChange[];
  /** Number of logs that are not DstackApp events: another contract behind the proxy emitted them. */
  readonly unknownLogs: number;
}

type AppEventName = Extract<(typeof dstackAppAbi)[number], { type: "event" }>["name"];
/** The 32-byte words of an event: its indexed arguments, then its data. */
type Words = readonly Hex[];

interface Decoder {
  readonly topics: number;
  readonly dataBytes: number;
  readonly decode: (words: Words) => PolicyChangeContent | undefined;
}

// This may decode a hundred thousand logs. Every argument of these events is one word, so cutting the data into words
// gives the same result as an ABI decoder in a fraction of the time. A log that does not match an event byte for byte
// is not decoded.
const decoders: ReadonlyMap<Hex, Decoder> = new Map(
  Object.entries({
    ComposeHashAdded: ([hash]) => hash && { kind: "composeHashAdded", composeHash: parseComposeHash(hash) },
    ComposeHashRemoved: ([hash]) => hash && { kind: "composeHashRemoved", composeHash: parseComposeHash(hash) },
    DeviceAdded: ([id]) => id && { kind: "deviceAdded", deviceId: parseDeviceId(id) },
    DeviceRemoved: ([id]) => id && { kind: "deviceRemoved", deviceId: parseDeviceId(id) },
    AllowAnyDeviceSet: ([flag]) => withFlag(flag, (enabled) => ({ kind: "allowAnyDeviceSet", enabled })),
    RequireTcbUpToDateSet: ([flag]) => withFlag(flag, (enabled) => ({ kind: "requireTcbUpToDateSet", enabled })),
    UpgradesDisabled: () => ({ kind: "upgradesDisabled" }),
    Upgraded: ([word]) => withAddresses([word], ([implementation]) => ({ kind: "upgraded", implementation })),
    OwnershipTransferStarted: (words) =>
      withAddresses(words, ([from, to = from]) => ({ kind: "ownershipTransferStarted", from, to })),
    OwnershipTransferred: (words) =>
      withAddresses(words, ([from, to = from]) => ({ kind: "ownershipTransferred", from, to })),
    Initialized: ([version]) => version && { kind: "initialized", version: BigInt(version) },
    PolicyChanged: ([, policy, value, flag]) =>
      policy && value && withFlag(flag, (enabled) => ({ kind: "otherPolicyChanged", policy, value, enabled })),
  } satisfies Record<AppEventName, (words: Words) => PolicyChangeContent | undefined | "">).map(([name, decode]) => {
    const event = dstackAppAbi.find((item) => item.type === "event" && item.name === name);
    const inputs = event?.type === "event" ? event.inputs : [];
    const topics = 1 + inputs.filter((input) => input.indexed).length;
    const entry: Decoder = { topics, dataBytes: (inputs.length + 1 - topics) * 32, decode };
    return [toEventSelector(`${name}(${inputs.map(({ type }) => type).join(",")})`), entry];
  }),
);

/**
 * Decodes the logs of one app, in the order in which they took effect. A PolicyChanged that belongs to another event is
 * not a change of its own: it gives that event its actor. The contract emits it before the event (upgrades) or after
 * it.
 */
export function decodePolicyChanges(logs: readonly PolicyLog[]): DecodePolicyChangesReturnType {
  return decodeOrderedPolicyChanges(logs.toSorted(compareChanges));
}

/** As `decodePolicyChanges`, for logs that arrive in order. It does not keep the logs in memory. */
export function decodeOrderedPolicyChanges(logs: Iterable<PolicyLog>): DecodePolicyChangesReturnType {
  const changes: PolicyChange[] = [];
  let unknownLogs = 0;
  let transaction: DecodedLog[] = [];
  for (const log of logs) {
    if (transaction.length > 0 && transaction[0]?.log.transactionHash !== log.transactionHash) {
      changes.push(...changesOf(transaction));
      transaction = [];
    }
    const content = decode(log);
    if (content === undefined) unknownLogs += 1;
    else transaction.push({ content, log });
  }
  changes.push(...changesOf(transaction));
  return { changes, unknownLogs };
}

interface DecodedLog {
  readonly content: PolicyChangeContent;
  readonly log: PolicyLog;
}

function decode({ topics, data }: PolicyLog): PolicyChangeContent | undefined {
  const decoder = decoders.get(topics[0] ?? "0x");
  if (decoder === undefined || topics.length !== decoder.topics || size(data) !== decoder.dataBytes) return undefined;
  const words = topics.slice(1);
  for (let start = 2; start < data.length; start += 64) words.push(`0x${data.slice(start, start + 64)}`);
  return decoder.decode(words) || undefined;
}

/** The changes of one transaction. The k-th PolicyChanged of a fact belongs to the k-th event of that fact. */
function changesOf(transaction: readonly DecodedLog[]): PolicyChange[] {
  const events = transaction.filter(({ content }) => content.kind !== "otherPolicyChanged");
  if (events.length === transaction.length) return events.map((event) => toChange(event));
  const waiting = new Map<string, DecodedLog[]>();
  for (const event of events) {
    const fact = factOf(event.content);
    const others = fact === undefined ? undefined : waiting.get(fact);
    if (others !== undefined) others.push(event);
    else if (fact !== undefined) waiting.set(fact, [event]);
  }
  const actors = new Map<DecodedLog, Address>();
  const paired = new Set<DecodedLog>();
  for (const record of transaction) {
    if (record.content.kind !== "otherPolicyChanged") continue;
    const event = waiting.get(factOf(record.content) ?? "")?.shift();
    const actor = record.log.topics[1] && addressOf(record.log.topics[1]);
    if (!event || !actor) continue;
    actors.set(event, actor);
    paired.add(record);
  }
  return transaction.filter((log) => !paired.has(log)).map((log) => toChange(log, actors.get(log)));
}

function toChange({ content, log }: DecodedLog, actor?: Address): PolicyChange {
  const { blockNumber, blockHash, logIndex, timestamp } = log;
  const transactionHash = parseTransactionHash(log.transactionHash);
  return { ...content, blockNumber, blockHash, logIndex, transactionHash, timestamp, actor };
}

const zeroWord: Hex = `0x${"00".repeat(32)}`;
const labels = {
  composeHash: keccak256(stringToHex("compose-hash")),
  device: keccak256(stringToHex("device")),
  allowAnyDevice: keccak256(stringToHex("allow-any-device")),
  requireTcbUpToDate: keccak256(stringToHex("require-tcb-up-to-date")),
  upgradesDisabled: keccak256(stringToHex("upgrades-disabled")),
  implementationUpgrade: keccak256(stringToHex("implementation-upgrade")),
};

/**
 * The arguments of the PolicyChanged that records this event, as one key; undefined for events without such a record.
 */
function factOf(content: PolicyChangeContent): string | undefined {
  switch (content.kind) {
    case "composeHashAdded":
    case "composeHashRemoved":
      return fact(labels.composeHash, content.composeHash, content.kind === "composeHashAdded");
    case "deviceAdded":
    case "deviceRemoved":
      return fact(labels.device, content.deviceId, content.kind === "deviceAdded");
    case "allowAnyDeviceSet":
      return fact(labels.allowAnyDevice, zeroWord, content.enabled);
    case "requireTcbUpToDateSet":
      return fact(labels.requireTcbUpToDate, zeroWord, content.enabled);
    case "upgradesDisabled":
      return fact(labels.upgradesDisabled, zeroWord, true);
    case "upgraded":
      return fact(labels.implementationUpgrade, `0x${content.implementation.slice(2).padStart(64, "0")}`, true);
    case "otherPolicyChanged":
      return fact(content.policy, content.value, content.enabled);
    default:
      return undefined;
  }
}

/**
 * Hashes and devices that a PolicyChanged names without the matching event, for example because the endpoint left that
 * event out.
 */
export function recordedValues(changes: readonly PolicyChange[]) {
  const valuesOf = (label: Hex) =>
    changes.flatMap((change) => (change.kind === "otherPolicyChanged" && change.policy === label ? change.value : []));
  return {
    composeHashes: valuesOf(labels.composeHash).map(parseComposeHash),
    devices: valuesOf(labels.device).map(parseDeviceId),
  };
}

function fact(policy: Hex, value: Hex, enabled: boolean): string {
  return `${policy} ${value} ${enabled}`.toLowerCase();
}

function withFlag(word: Hex | undefined, content: (enabled: boolean) => PolicyChangeContent) {
  const value = word === undefined ? undefined : BigInt(word);
  return value === 0n || value === 1n ? content(value === 1n) : undefined;
}

function withAddresses(
  words: readonly (Hex | undefined)[],
  content: (addresses: [Address, Address?]) => PolicyChangeContent,
) {
  const [first, second] = words.map((word) => (word === undefined ? undefined : addressOf(word)));
  return first === undefined || (words.length > 1 && second === undefined) ? undefined : content([first, second]);
}

/** Undefined if the word is wider than an address. */
function addressOf(word: Hex): Address | undefined {
  return /^0x0{24}/.test(word) ? checksumAddress(slice(word, 12)) : undefined;
}

/** Position of a change in the chain. */
export interface ChangeOrigin {
  readonly blockNumber: bigint;
  /** Undefined if an index delivered the event: only the state that follows from it can be proven. */
  readonly blockHash?: Hex | undefined;
  /** Position of the event among all events of its block. */
  readonly logIndex: number;
  readonly transactionHash: TransactionHash;
  /** Seconds since 1970. Undefined if the node does not send it with the event and it was not requested. */
  readonly timestamp?: bigint | undefined;
  /** The sender of the change, as the contract recorded it. Undefined for contracts without PolicyChanged. */
  readonly actor?: Address | undefined;
}

/** The content of one event of an app. */
export type PolicyChangeContent =
  | { readonly kind: "composeHashAdded" | "composeHashRemoved"; readonly composeHash: ComposeHash }
  | { readonly kind: "deviceAdded" | "deviceRemoved"; readonly deviceId: DeviceId }
  | { readonly kind: "allowAnyDeviceSet" | "requireTcbUpToDateSet"; readonly enabled: boolean }
  | { readonly kind: "upgradesDisabled" }
  | { readonly kind: "upgraded"; readonly implementation: Address }
  | { readonly kind: "ownershipTransferStarted" | "ownershipTransferred"; readonly from: Address; readonly to: Address }
  /** Version 1 ends an app's creation; a higher version is a re-initialisation after an upgrade. */
  | { readonly kind: "initialized"; readonly version: bigint }
  /** A PolicyChanged without a matching event: from an unknown contract, or false. */
  | {
      readonly kind: "otherPolicyChanged";
      /** keccak256 of the policy's label. */
      readonly policy: Hex;
      readonly value: Hex;
      readonly enabled: boolean;
    };

/** One event that changes or explains an app's policy. */
export type PolicyChange = PolicyChangeContent & ChangeOrigin;

export type PolicyChangeKind = PolicyChange["kind"];

/**
 * Compares two changes by block, then by position in the block. For `toSorted`.
 *
 * @example
 * import { compareChanges } from "dstack-toolkit/history";
 * import { history } from "./app.js";
 * const newestFirst = history.changes.toSorted((one, other) => compareChanges(other, one));
 */
export function compareChanges(
  one: Pick<ChangeOrigin, "blockNumber" | "logIndex">,
  other: Pick<ChangeOrigin, "blockNumber" | "logIndex">,
): number {
  if (one.blockNumber !== other.blockNumber) return one.blockNumber < other.blockNumber ? -1 : 1;
  return one.logIndex - other.logIndex;
}

type ChangeOf<kind extends PolicyChange["kind"]> = Extract<PolicyChange, { kind: kind }>;
export type ComposeHashChange = ChangeOf<"composeHashAdded" | "composeHashRemoved">;
export type DeviceChange = ChangeOf<"deviceAdded" | "deviceRemoved">;

/** The flags an app was created with. The creation logs no event for them. */
export interface InitialFlags {
  readonly allowAnyDevice?: boolean | undefined;
  readonly requireTcbUpToDate?: boolean | undefined;
  readonly upgradesDisabled?: boolean | undefined;
}

/** What an app allowed at one block. A flag or address is undefined if the given changes do not contain it. */
export interface AllowedAtReturnType {
  /** Each allowed hash with the change that allowed it: the first add after its last removal. */
  readonly composeHashes: ReadonlyMap<ComposeHash, ComposeHashChange>;
  /** Each listed device, in the same way. The list counts only while `allowAnyDevice` is false. */
  readonly devices: ReadonlyMap<DeviceId, DeviceChange>;
  readonly allowAnyDevice: boolean | undefined;
  readonly requireTcbUpToDate: boolean | undefined;
  readonly upgradesDisabled: boolean | undefined;
  readonly owner: Address | undefined;
  /** The pending owner; undefined if there is none. */
  readonly pendingOwner: Address | undefined;
  readonly implementation: Address | undefined;
}

/**
 * Replays an app's changes up to and including a block.
 *
 * @param blockNumber all changes if absent
 * @param initial the flags that the app's creation set without an event
 *
 * @example
 * import { allowedAt } from "dstack-toolkit/history";
 * import { history } from "./app.js";
 * const { composeHashes, devices } = allowedAt(history.changes, history.pinned.number);
 */
export function allowedAt(
  changes: readonly PolicyChange[],
  blockNumber?: bigint,
  initial: InitialFlags = {},
): AllowedAtReturnType {
  const composeHashes = new Map<ComposeHash, ComposeHashChange>();
  const devices = new Map<DeviceId, DeviceChange>();
  let { allowAnyDevice, requireTcbUpToDate, upgradesDisabled } = initial;
  let owner: Address | undefined;
  let pendingOwner: Address | undefined;
  let implementation: Address | undefined;
  for (const change of changes.toSorted(compareChanges)) {
    if (blockNumber !== undefined && change.blockNumber > blockNumber) break;
    switch (change.kind) {
      case "composeHashAdded":
        // A transaction may add an allowed hash again. This changes nothing.
        if (!composeHashes.has(change.composeHash)) composeHashes.set(change.composeHash, change);
        break;
      case "composeHashRemoved":
        composeHashes.delete(change.composeHash);
        break;
      case "deviceAdded":
        if (!devices.has(change.deviceId)) devices.set(change.deviceId, change);
        break;
      case "deviceRemoved":
        devices.delete(change.deviceId);
        break;
      case "allowAnyDeviceSet":
        allowAnyDevice = change.enabled;
        break;
      case "requireTcbUpToDateSet":
        requireTcbUpToDate = change.enabled;
        break;
      case "upgradesDisabled":
        upgradesDisabled = true;
        break;
      case "upgraded":
        implementation = change.implementation;
        break;
      case "ownershipTransferStarted":
        pendingOwner = change.to;
        break;
      case "ownershipTransferred":
        owner = change.to;
        pendingOwner = undefined;
        break;
    }
  }
  return {
    composeHashes,
    devices,
    allowAnyDevice,
    requireTcbUpToDate,
    upgradesDisabled,
    owner,
    pendingOwner: pendingOwner === undefined || BigInt(pendingOwner) === 0n ? undefined : pendingOwner,
    implementation,
  };
}
