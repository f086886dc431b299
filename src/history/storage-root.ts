import { type Hex, hexToBytes, keccak256, toHex } from "viem";

/** A word of a contract's storage. */
interface Leaf {
  /** Hash of its slot: the path in the trie. */
  readonly key: Uint8Array;
  /** Encoded value. */
  readonly value: Uint8Array;
}

const nothing = Uint8Array.of(0x80);

/**
 * Root of the trie that holds exactly these values, each under the hash of its slot. It is computed from the leaves up,
 * without a database of nodes, because a history may allow ten thousands of hashes.
 *
 * @param values of each slot: the word as the trie stores it, without leading zeros and with its length
 */
export function trieRoot(values: Iterable<readonly [slot: Hex, value: Hex]>): Hex {
  const leaves = Array.from(
    values,
    ([slot, value]): Leaf => ({ key: keccak256(bytesOf(slot), "bytes"), value: bytesOf(value) }),
  );
  leaves.sort((one, other) => Buffer.compare(one.key, other.key));
  return keccak256(leaves.length === 0 ? nothing : nodeOf(leaves, 0, leaves.length, 0));
}

function bytesOf(hex: Hex): Uint8Array {
  return Buffer.from(hex.slice(2), "hex");
}

/** The encoded node of the leaves from `start` to `end`, whose keys agree in the first `depth` digits. */
function nodeOf(leaves: readonly Leaf[], start: number, end: number, depth: number): Uint8Array {
  const first = leafAt(leaves, start);
  if (end - start === 1) return listOf([stringOf(compactPath(first.key, depth, 64, true)), stringOf(first.value)]);
  const last = leafAt(leaves, end - 1);
  let common = depth;
  while (digitAt(first.key, common) === digitAt(last.key, common)) common += 1;
  const branch = branchOf(leaves, start, end, common);
  if (common === depth) return branch;
  return listOf([stringOf(compactPath(first.key, depth, common, false)), referenceTo(branch)]);
}

function branchOf(leaves: readonly Leaf[], start: number, end: number, depth: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let next = start;
  for (let digit = 0; digit < 16; digit += 1) {
    const from = next;
    while (next < end && digitAt(leafAt(leaves, next).key, depth) === digit) next += 1;
    parts.push(next === from ? nothing : referenceTo(nodeOf(leaves, from, next, depth + 1)));
  }
  return listOf([...parts, nothing]);
}

function leafAt(leaves: readonly Leaf[], index: number): Leaf {
  return leaves[index] as Leaf; // the caller stays within the list
}

/** The digit in base 16. */
function digitAt(key: Uint8Array, index: number): number {
  const byte = key[index >> 1] ?? 0;
  return index % 2 === 0 ? byte >> 4 : byte & 15;
}

/** Digits of a key as bytes. The first digit says whether the path ends in a leaf and whether its length is odd. */
function compactPath(key: Uint8Array, from: number, to: number, isLeaf: boolean): Uint8Array {
  const isOdd = (to - from) % 2 === 1;
  const flags = (isLeaf ? 2 : 0) + (isOdd ? 1 : 0);
  const path = new Uint8Array(1 + ((to - from) >> 1));
  path[0] = (flags << 4) | (isOdd ? digitAt(key, from) : 0);
  for (let index = isOdd ? from + 1 : from, at = 1; index < to; index += 2, at += 1)
    path[at] = (digitAt(key, index) << 4) | digitAt(key, index + 1);
  return path;
}

/** A short node stands in its parent itself, any other by its hash. */
function referenceTo(node: Uint8Array): Uint8Array {
  return node.length < 32 ? node : stringOf(keccak256(node, "bytes"));
}

// RLP, for parts of at most a few hundred bytes.
function stringOf(bytes: Uint8Array): Uint8Array {
  return bytes.length === 1 && (bytes[0] ?? 0) < 0x80 ? bytes : Buffer.concat([lengthOf(bytes.length, 0x80), bytes]);
}

function listOf(parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([lengthOf(length, 0xc0), ...parts]);
}

function lengthOf(length: number, offset: number): Uint8Array {
  if (length < 56) return Uint8Array.of(offset + length);
  const digits = hexToBytes(toHex(length));
  return Uint8Array.of(offset + 55 + digits.length, ...digits);
}
