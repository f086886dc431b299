import { verifyMerkleProof } from "@ethereumjs/mpt";
import {
  type Address,
  bytesToHex,
  checksumAddress,
  concat,
  type Hex,
  hexToBigInt,
  hexToBytes,
  isHex,
  keccak256,
  numberToHex,
  toRlp,
} from "viem";
import type { ChainClient } from "../chain/client.ts";
import { type RetryOptions, requestOnce } from "../chain/retry.ts";
import type { AppId, ComposeHash, DeviceId } from "../core/ids.ts";
import { type Refusal, retryUnlessRefused } from "./refusals.ts";
import { trieRoot } from "./storage-root.ts";

export interface AccountProof {
  readonly accountProof: readonly Hex[];
  readonly storageHash: Hex;
  readonly codeHash: Hex;
  readonly storage: ReadonlyMap<Hex, { readonly value: Hex; readonly proof: readonly Hex[] }>;
}

export interface ReadProofParameters extends RetryOptions {
  readonly appId: AppId;
  readonly slots: readonly Hex[];
  readonly blockNumber: bigint;
}

/**
 * Sends one `eth_getProof`. Most public endpoints do not offer it, or only for the newest blocks, so a refusal is a
 * result and not an error. The result then holds the endpoint's message.
 *
 * @throws RpcUnavailableError, the signal's reason
 */
export async function readProof(
  client: ChainClient,
  { appId, slots, blockNumber, ...retry }: ReadProofParameters,
): Promise<AccountProof | { readonly refusal: string }> {
  const params = [appId, slots, numberToHex(blockNumber)];
  const read = async () =>
    parseProof(await requestOnce(client, { method: "eth_getProof", params }, retry.signal), slots);
  const onRefusal = ({ answer }: Refusal) => ({ refusal: answer });
  const doing = "reading a proof of the app's storage";
  return retryUnlessRefused(client, { ...retry, block: blockNumber, doing, onRefusal }, read);
}

function parseProof(answer: unknown, slots: readonly Hex[]): AccountProof | { readonly refusal: string } {
  const { accountProof, storageHash, codeHash, storageProof } = Object(answer) as Record<string, unknown>;
  const malformed = { refusal: "The answer contains no proof." };
  if (!isHexList(accountProof) || !isHex(storageHash) || !isHex(codeHash) || !Array.isArray(storageProof))
    return malformed;
  const storage = new Map<Hex, { value: Hex; proof: readonly Hex[] }>();
  for (const [index, slot] of slots.entries()) {
    const { value, proof } = Object(storageProof[index]) as Record<string, unknown>; // in the order asked for
    if (!isHex(value) || !isHexList(proof)) return malformed;
    storage.set(slot, { value, proof });
  }
  return { accountProof, storageHash, codeHash, storage };
}

function isHexList(value: unknown): value is readonly Hex[] {
  return Array.isArray(value) && value.every((item) => isHex(item));
}

/** The value of a zero word in the trie of a node that keeps such words. */
export const emptyWord: Hex = "0x80";

/**
 * Root of the storage trie that holds exactly these words. Zero words are not stored.
 *
 * @param empty slots of zero words that the node keeps all the same
 */
export function storageRoot(words: ReadonlyMap<Hex, Hex>, empty: readonly Hex[] = []): Hex {
  const filled = [...words].flatMap(([slot, word]) => {
    const value = storedValue(word);
    return value === undefined ? [] : [[slot, value] as const];
  });
  return trieRoot([...filled, ...empty.map((slot) => [slot, emptyWord] as const)]);
}

/**
 * The value that a proof shows under `key` below `root`; undefined if there is none. Throws if the proof is invalid.
 */
export async function provenValue(root: Hex, key: Hex, proof: readonly Hex[]): Promise<Hex | undefined> {
  const nodes = proof.map((node) => hexToBytes(node));
  const value = await verifyMerkleProof(hexToBytes(key), nodes, { root: hexToBytes(root), useKeyHashing: true });
  return value === null ? undefined : bytesToHex(value);
}

/** A storage word as the trie stores it; undefined for zero. */
export function storedValue(word: Hex): Hex | undefined {
  const bytes = quantityBytes(word);
  return bytes === undefined || bytes === "0x" ? undefined : toRlp(bytes);
}

/** The storage slots of one layout of the app. The tests in contracts/layout check each of them. */
export interface StorageSlots {
  /** The slots that an app's proxy may use besides its two mappings. */
  readonly known: readonly Hex[];
  /** Slots that an app leaves at zero: the base slots of its mappings, and its gap. */
  readonly unused: readonly Hex[];
  /** The slot of `_upgradesDisabled` in its first byte and `allowAnyDevice` in its second. */
  readonly flags: Hex;
  /** The slot of `requireTcbUpToDate`, if there is one. */
  readonly tcbFlag?: Hex;
  readonly composeHash: (composeHash: ComposeHash) => Hex;
  readonly device: (deviceId: DeviceId) => Hex;
}

/** Flags and addresses of an app, as its storage has them. */
export interface ProvenPolicy {
  readonly owner: Address | undefined;
  readonly pendingOwner: Address | undefined;
  readonly implementation: Address | undefined;
  readonly allowAnyDevice: boolean;
  readonly requireTcbUpToDate: boolean;
  readonly upgradesDisabled: boolean;
}

/** Reads the flags and addresses from the words of an app's known slots. */
export function policyIn(words: ReadonlyMap<Hex, Hex>, { flags, tcbFlag }: StorageSlots): ProvenPolicy {
  const wordAt = (slot: Hex | undefined) => {
    const word = slot === undefined ? "0x" : (words.get(slot) ?? "0x");
    return word === "0x" ? 0n : hexToBigInt(word);
  };
  const byteAt = (slot: Hex | undefined, index: bigint) => ((wordAt(slot) >> (8n * index)) & 0xffn) !== 0n;
  const [owner, pendingOwner, , implementation] = namespaced.map((slot) => {
    const value = wordAt(slot);
    return value === 0n ? undefined : checksumAddress(numberToHex(value & (2n ** 160n - 1n), { size: 20 }));
  });
  return {
    ...{ owner, pendingOwner, implementation },
    upgradesDisabled: byteAt(flags, 0n),
    allowAnyDevice: byteAt(flags, 1n),
    requireTcbUpToDate: byteAt(tcbFlag, 0n),
  };
}

/** ERC-7201 namespaces of OpenZeppelin's upgradeable base contracts, and ERC-1967. The same in every release. */
const namespaced: readonly Hex[] = [
  "0x9016d09d72d40fdae2fd8ceac6b6234c7706214fd39c1cd1e609a0528c199300", // owner
  "0x237e158222e3e6968b72b9db0d8043aacf074ad9f650f0d1606b4d82ee432c00", // pending owner
  "0xf0c57e16840df040f15088dc2f81fe391c3923bec73e23a9662efc9c229c6a00", // initializer version
  "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc", // implementation
];
const gap = Array.from({ length: 49 }, (_, index) => 4n + BigInt(index));

/**
 * DstackApp from v0.5.4 on. The older of these releases lack the TCB flag. The storage trie does not contain zero
 * words, so one list works for all of them.
 */
export const currentSlots: StorageSlots = {
  known: [plainSlot(1n), plainSlot(3n), ...namespaced],
  flags: plainSlot(1n),
  tcbFlag: plainSlot(3n),
  unused: [0n, 2n, ...gap].map(plainSlot),
  composeHash: (composeHash) => mappingSlot(composeHash, 0n),
  device: (deviceId) => mappingSlot(deviceId, 2n),
};

/** AppAuth of v0.4.2 to v0.5.3: the app id in slot 0, everything else one slot later, and no TCB flag. */
export const shiftedSlots: StorageSlots = {
  known: [plainSlot(0n), plainSlot(2n), ...namespaced],
  flags: plainSlot(2n),
  unused: [1n, 3n, ...gap].map(plainSlot),
  composeHash: (composeHash) => mappingSlot(composeHash, 1n),
  device: (deviceId) => mappingSlot(deviceId, 3n),
};

/** Every slot that distinguishes the layouts, and every known slot. */
export const askedSlots: readonly Hex[] = [...new Set([...currentSlots.known, ...shiftedSlots.known])];

/**
 * Chooses the layout from the words of `askedSlots`. A wrong choice makes the proof fail but cannot prove anything
 * false: the rebuilt storage must always have the root of the real one.
 */
export function chooseSlots(words: ReadonlyMap<Hex, Hex>): StorageSlots {
  const wordAt = (slot: bigint) => {
    const word = words.get(plainSlot(slot)) ?? "0x";
    return word === "0x" ? 0n : hexToBigInt(word);
  };
  const holdsAnAddress = wordAt(0n) > 0n && wordAt(0n) < 2n ** 160n;
  return holdsAnAddress && wordAt(1n) === 0n && wordAt(3n) === 0n ? shiftedSlots : currentSlots;
}

function mappingSlot(key: Hex, mapping: bigint): Hex {
  return keccak256(concat([key, plainSlot(mapping)]));
}

function plainSlot(slot: bigint): Hex {
  return numberToHex(slot, { size: 32 });
}

// In the order in which a header hashes them. Each fork has only appended fields, so the fields missing at the end of
// an answer belong to later forks.
const byteFields = ["parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom"];
const quantityFields = ["difficulty", "number", "gasLimit", "gasUsed", "timestamp"];
const moreByteFields = ["extraData", "mixHash", "nonce"];
const laterFields = [
  { name: "baseFeePerGas", isQuantity: true },
  { name: "withdrawalsRoot", isQuantity: false },
  { name: "blobGasUsed", isQuantity: true },
  { name: "excessBlobGas", isQuantity: true },
  { name: "parentBeaconBlockRoot", isQuantity: false },
  { name: "requestsHash", isQuantity: false },
];

/** Fields of a block that its header does not hash. */
const besideHeader: ReadonlySet<string> = new Set([
  ...["hash", "size", "totalDifficulty", "transactions", "uncles", "withdrawals", "author"],
  ...["timestampMs", "blockTimestampMs", "l1BlockNumber", "sendCount", "sendRoot", "requests"],
]);
const headerFields: ReadonlySet<string> = new Set([
  ...[...byteFields, ...quantityFields, ...moreByteFields],
  ...laterFields.map(({ name }) => name),
]);

/** Names of the fields that may belong to a header of a later hard fork. They come from the endpoint. */
export function unknownFieldsOf(block: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.keys(block).filter((name) => !headerFields.has(name) && !besideHeader.has(name) && isHex(block[name]));
}

/** Hash of the header in an `eth_getBlockBy…` answer, computed from its fields. Undefined if one is missing. */
export function hashHeader(block: Readonly<Record<string, unknown>>): Hex | undefined {
  const later = laterFields.filter(({ name }) => block[name] !== undefined && block[name] !== null);
  const fields = [
    ...byteFields.map((name) => block[name]),
    ...quantityFields.map((name) => quantityBytes(block[name])),
    ...moreByteFields.map((name) => block[name]),
    ...later.map(({ name, isQuantity }) => (isQuantity ? quantityBytes(block[name]) : block[name])),
  ];
  return fields.every((field): field is Hex => isHex(field)) ? keccak256(toRlp(fields)) : undefined;
}

/** A number in the fewest bytes: no bytes for zero. */
export function quantityBytes(value: unknown): Hex | undefined {
  if (!isHex(value)) return undefined;
  const digits = value.slice(2).replace(/^0+/, "");
  return `0x${digits.length % 2 === 0 ? "" : "0"}${digits}`;
}
