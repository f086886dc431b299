import { concat, type Hex, hexToBigInt, keccak256, numberToHex } from "viem";
import type { ComposeHash, DeviceId } from "../../core/ids.ts";

/** Where a layout of the app's storage keeps what. contracts/layout pins every one of them. */
export interface StorageSlots {
  /** The words an app's proxy may hold besides its two mappings. */
  readonly known: readonly Hex[];
  /** Slots an app leaves at zero: the heads of its mappings, and its gap. */
  readonly unused: readonly Hex[];
  readonly composeHash: (composeHash: ComposeHash) => Hex;
  readonly device: (deviceId: DeviceId) => Hex;
}

/** ERC-7201 namespaces of OpenZeppelin's upgradeable parents, and ERC-1967. The same in every release. */
const namespaced: readonly Hex[] = [
  "0x9016d09d72d40fdae2fd8ceac6b6234c7706214fd39c1cd1e609a0528c199300", // owner
  "0x237e158222e3e6968b72b9db0d8043aacf074ad9f650f0d1606b4d82ee432c00", // pending owner
  "0xf0c57e16840df040f15088dc2f81fe391c3923bec73e23a9662efc9c229c6a00", // initializer version
  "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc", // implementation
];
const gap = Array.from({ length: 49 }, (_, index) => 4n + BigInt(index));

/**
 * DstackApp from v0.5.4 on. The older ones of these lack the TCB flag: a word that is zero is not in the storage trie, so
 * one list serves them all.
 */
export const currentSlots: StorageSlots = {
  known: [plainSlot(1n), plainSlot(3n), ...namespaced],
  unused: [0n, 2n, ...gap].map(plainSlot),
  composeHash: (composeHash) => mappingSlot(composeHash, 0n),
  device: (deviceId) => mappingSlot(deviceId, 2n),
};

/** AppAuth of v0.4.2 to v0.5.3: the app id in slot 0, everything one slot later, and no TCB flag. */
export const shiftedSlots: StorageSlots = {
  known: [plainSlot(0n), plainSlot(2n), ...namespaced],
  unused: [1n, 3n, ...gap].map(plainSlot),
  composeHash: (composeHash) => mappingSlot(composeHash, 1n),
  device: (deviceId) => mappingSlot(deviceId, 3n),
};

/** Every word by which the layouts are told apart, and every known one. */
export const askedSlots: readonly Hex[] = [...new Set([...currentSlots.known, ...shiftedSlots.known])];

/**
 * The layout by the words of `askedSlots`. A mistake costs the proof and proves nothing false: the rebuilt storage must
 * have the root of the real one, whatever the layout is believed to be.
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
