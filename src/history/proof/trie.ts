import { createMPT, verifyMerkleProof } from "@ethereumjs/mpt";
import { bytesToHex, type Hex, hexToBytes, toRlp } from "viem";
import { quantityBytes } from "./block-header.ts";

/** Root of the storage trie that holds exactly these words. Words that are zero are not in it. */
export async function storageRoot(words: ReadonlyMap<Hex, Hex>): Promise<Hex> {
  const trie = await createMPT({ useKeyHashing: true });
  for (const [slot, word] of words) {
    const value = storedValue(word);
    if (value !== undefined) await trie.put(hexToBytes(slot), hexToBytes(value));
  }
  return bytesToHex(trie.root());
}

/** What a proof shows to be stored under `key` below `root`: undefined if nothing is. Throws if the proof is none. */
export async function provenValue(root: Hex, key: Hex, proof: readonly Hex[]): Promise<Hex | undefined> {
  const nodes = proof.map((node) => hexToBytes(node));
  const value = await verifyMerkleProof(hexToBytes(key), nodes, { root: hexToBytes(root), useKeyHashing: true });
  return value === null ? undefined : bytesToHex(value);
}

/** A storage word as the trie keeps it; undefined for zero. */
export function storedValue(word: Hex): Hex | undefined {
  const bytes = quantityBytes(word);
  return bytes === undefined || bytes === "0x" ? undefined : toRlp(bytes);
}
