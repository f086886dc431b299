import { concat, type Hex, numberToHex, pad, size, toEventSelector, toFunctionSelector } from "viem";

// Bytecode for the contracts of the receipt corpus. A compiler would be needed for Solidity, and users of the corpus
// may have none.

/** A part of a program: bytes, the place of a label, or a push of a label's position. */
type Part = Hex | { readonly at: string } | { readonly to: string };

function assemble(parts: readonly Part[]): Hex {
  const positions = new Map<string, number>();
  let position = 0;
  for (const part of parts) {
    if (typeof part === "object" && "at" in part) positions.set(part.at, position);
    position += typeof part === "string" ? size(part) : "at" in part ? 1 : 3;
  }
  const bytes = parts.map((part): Hex => {
    if (typeof part === "string") return part;
    if ("at" in part) return "0x5b"; // JUMPDEST
    return concat(["0x61", numberToHex(positions.get(part.to) ?? 0, { size: 2 })]); // PUSH2
  });
  return concat(bytes);
}

const push32 = (word: Hex): Hex => concat(["0x7f", pad(word, { size: 32 })]);
const push4 = (word: Hex): Hex => concat(["0x63", word]);
const push2 = (value: number): Hex => concat(["0x61", numberToHex(value, { size: 2 })]);

/** Code that deploys `runtime`. `before` runs in the constructor. */
export function creationOf(runtime: Hex, before: Hex = "0x"): Hex {
  const header = 13;
  const length = push2(size(runtime));
  return concat([before, length, push2(size(before) + header), "0x5f39", length, "0x5ff3", runtime]);
}

export const topics = {
  added: toEventSelector("ComposeHashAdded(bytes32)"),
  removed: toEventSelector("ComposeHashRemoved(bytes32)"),
  deviceAdded: toEventSelector("DeviceAdded(bytes32)"),
} as const;

/** Code that logs this and goes on. The data are 32 bytes. */
function logWord(topic: Hex, word: Hex): Hex {
  return concat([push32(word), "0x5f52", push32(topic), "0x60205fa1"]);
}

/** A contract that logs the same at each call, with 0 to 4 topics and any data. */
export function logger(log: { readonly topics: readonly Hex[]; readonly data: Hex }): Hex {
  const length = push2(size(log.data));
  const pushes = concat(["0x", ...log.topics.map(push32).reverse()]);
  const end = concat([length, "0x5f", numberToHex(0xa0 + log.topics.length, { size: 1 }), "0x00"]);
  const header = 8; // two PUSH2, PUSH0, CODECOPY
  return concat([length, push2(header + size(pushes) + size(end)), "0x5f39", pushes, end, log.data]);
}

/** How a relay ends after the call that it makes. */
export const relayModes = {
  /** As the call ends. */
  strict: "0x00",
  /** Always well, like a contract with try and catch. */
  tolerant: "0x01",
  /** Always with a revert. */
  reverting: "0x02",
} as const satisfies Readonly<Record<string, Hex>>;

/**
 * A contract that makes the call in its calldata: one byte for the mode, 20 for the target, and then the call's data. It
 * stands for every owner that is a contract without known events.
 */
export const relay: Hex = assemble([
  "0x5f5f60153603", // return nothing; the size of the call's data
  "0x8060155f37", // CALLDATACOPY
  "0x5f5f60013560601c5af1", // CALL the target
  "0x5f3560f81c", // the mode
  "0x80600214",
  { to: "revert" },
  "0x57",
  "0x17", // OR: the call succeeded, or the mode is tolerant
  { to: "stop" },
  "0x57",
  { at: "revert" },
  "0x5f5ffd",
  { at: "stop" },
  "0x00",
]);

export function relayed(mode: keyof typeof relayModes, to: Hex, data: Hex): Hex {
  return concat([relayModes[mode], to, data]);
}

/** ERC-1967's slot, which an implementation for a UUPS proxy names. */
const implementationSlot = "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc";

export interface ListAppOptions {
  /** Supports the interface of this generation, such as one with key epochs. @default none, as the first releases */
  readonly interfaceId?: Hex | undefined;
  /** Logs each change and stores none. */
  readonly isForgetful?: boolean | undefined;
}

/**
 * An app reduced to its list of compose hashes, without an owner, and without PolicyChanged as in the first releases. It
 * can also be the implementation of a UUPS proxy.
 */
export function listApp({ interfaceId, isForgetful = false }: ListAppOptions = {}): Hex {
  const functions = {
    add: "addComposeHash(bytes32)",
    remove: "removeComposeHash(bytes32)",
    allowed: "allowedComposeHashes(bytes32)",
    uuid: "proxiableUUID()",
    ...(interfaceId !== undefined && { supports: "supportsInterface(bytes4)" }),
  };
  const dispatch = Object.entries(functions).flatMap(([to, signature]): Part[] => [
    ...(["0x80", push4(toFunctionSelector(signature)), "0x14"] as const),
    { to },
    "0x57",
  ]);
  const change = (at: string, value: Hex, topic: Hex): Part[] => [
    { at },
    "0x600435", // the hash
    isForgetful ? "0x" : concat(["0x80", value, "0x9055"]), // SSTORE(hash, value)
    ...(["0x5f52", push32(topic), "0x60205fa100"] as const),
  ];
  const answer: Hex = "0x5f5260205ff3"; // RETURN the word on the stack
  return assemble([
    "0x5f3560e01c",
    ...dispatch,
    "0x5f5ffd",
    ...change("add", "0x6001", topics.added),
    ...change("remove", "0x5f", topics.removed),
    ...[{ at: "allowed" }, "0x60043554", answer],
    ...[{ at: "uuid" }, push32(implementationSlot), answer],
    ...(interfaceId === undefined ? [] : [{ at: "supports" }, ...supports(["0x01ffc9a7", interfaceId]), answer]),
  ] as readonly Part[]);
}

/** Whether the argument is one of two interface ids. */
function supports([one, other]: readonly [Hex, Hex]): readonly Hex[] {
  return ["0x60043560e01c", "0x80", push4(one), "0x14", "0x90", push4(other), "0x14", "0x17"];
}

/** EIP-1167: a contract whose calls run the code of another one, on a storage of its own. */
export function cloneOf(implementation: Hex): Hex {
  return concat(["0x363d3d373d3d3d363d73", implementation, "0x5af43d82803e903d91602b57fd5bf3"]);
}

/**
 * Creation code that logs the addition of a hash and destroys the new contract, as long as `template` has no code.
 * Later it deploys the code of `template`, at the same address.
 */
export function shortLived({ template, hash }: { readonly template: Hex; readonly hash: Hex }): Hex {
  return assemble([
    concat(["0x73", template, "0x3b80"]), // the size of the template's code
    { to: "live" },
    "0x57",
    logWord(topics.added, hash),
    "0x5fff", // SELFDESTRUCT
    { at: "live" },
    concat(["0x805f5f73", template, "0x3c5ff3"]), // EXTCODECOPY and RETURN
  ]);
}

/** Creation code of a contract that logs the addition of a hash in its constructor, and then keeps a list. */
export function loggingConstructor(hash: Hex): Hex {
  return creationOf(listApp(), logWord(topics.added, hash));
}
