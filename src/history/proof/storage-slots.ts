import { concat, type Hex, keccak256, numberToHex } from "viem";
import type { ComposeHash, DeviceId } from "../../core/ids.ts";

// Slots of DstackApp, the same in every version deployed so far; contracts/layout pins them.
const composeHashMapping = 0n;
const deviceMapping = 2n;

/**
 * The words an app's proxy may hold besides its two mappings. The first versions lack some: a word that is zero is not
 * in the storage trie, so one list serves them all.
 */
export const knownSlots: Readonly<Record<string, Hex>> = {
  "upgrades-disabled and allow-any-device flags": plainSlot(1n),
  "require-TCB-up-to-date flag": plainSlot(3n),
  // ERC-7201 namespaces of OpenZeppelin's upgradeable parents.
  owner: "0x9016d09d72d40fdae2fd8ceac6b6234c7706214fd39c1cd1e609a0528c199300",
  "pending owner": "0x237e158222e3e6968b72b9db0d8043aacf074ad9f650f0d1606b4d82ee432c00",
  "initializer version": "0xf0c57e16840df040f15088dc2f81fe391c3923bec73e23a9662efc9c229c6a00",
  // ERC-1967.
  implementation: "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc",
};

/** Slots a DstackApp leaves at zero: the heads of its mappings, and its gap. */
export const unusedSlots: readonly Hex[] = [
  composeHashMapping,
  deviceMapping,
  ...Array.from({ length: 49 }, (_, index) => 4n + BigInt(index)),
].map(plainSlot);

export function composeHashSlot(composeHash: ComposeHash): Hex {
  return mappingSlot(composeHash, composeHashMapping);
}

export function deviceSlot(deviceId: DeviceId): Hex {
  return mappingSlot(deviceId, deviceMapping);
}

function mappingSlot(key: Hex, mapping: bigint): Hex {
  return keccak256(concat([key, plainSlot(mapping)]));
}

function plainSlot(slot: bigint): Hex {
  return numberToHex(slot, { size: 32 });
}
