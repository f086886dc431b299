import {
  decodeFunctionData,
  encodeFunctionResult,
  type Hex,
  keccak256,
  multicall3Abi,
  numberToHex,
  pad,
  stringToHex,
  toEventSelector,
  toFunctionSelector,
} from "viem";
import { base } from "viem/chains";
import type { ComposeHash } from "../../../src/core/ids.ts";
import { currentSlots } from "../../../src/history/proof.ts";
import { createProvableBlock, type ProvableBlock } from "./provable-state.ts";

export interface SyntheticChainSettings {
  /** Of the newest block. */
  readonly head: number;
  /** Blocks from one change to the next. */
  readonly every: number;
  /** Different compose hashes, added and removed in turn. */
  readonly hashes: number;
  /** Blocks between the newest and the final one. @default the node knows no final block, and offers no proof */
  readonly finalityLag?: number;
}

export interface SyntheticChain {
  readonly appId: Hex;
  readonly createdInBlock: number;
  /** Logs of all blocks so far. */
  logCount(): number;
  /** Appends blocks with the same pattern of changes. */
  grow(blocks: number): void;
  /** Builds the state of the final block, so that the node can prove it. */
  prepareProof(): Promise<void>;
  /**
   * The logs of these blocks as JSON, without the brackets of the list: at most those of so many changes. Each log is
   * encoded once.
   */
  logsAsJson(from: number, to: number, mostChanges?: number): string;
  request(call: { method: string; params?: unknown[] }): Promise<unknown>;
}

const word = (value: bigint | number) => numberToHex(value, { size: 32 });
const selector = (signature: string) => toFunctionSelector(`function ${signature}`);
const topic = (signature: string) => toEventSelector(`event ${signature}`);

const appId: Hex = `0x${"a9".repeat(20)}`;
const owner: Hex = `0x${"0e".repeat(20)}`;
const implementation: Hex = `0x${"1e".repeat(20)}`;
const createdInBlock = 1_000;
const ownerSlot = "0x9016d09d72d40fdae2fd8ceac6b6234c7706214fd39c1cd1e609a0528c199300";
const versionSlot = "0xf0c57e16840df040f15088dc2f81fe391c3923bec73e23a9662efc9c229c6a00";
const implementationSlot = "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc";
const added = topic("ComposeHashAdded(bytes32)");
const removed = topic("ComposeHashRemoved(bytes32)");
const recorded = topic("PolicyChanged(address,bytes32,bytes32,bool)");
const composeHashLabel = keccak256(stringToHex("compose-hash"));

/**
 * A node with one app of long history, generated for each request: a real chain cannot mine a million blocks within a
 * test. Every change is an event and its PolicyChanged; each hash is added and removed in turn.
 */
export function createSyntheticChain({
  head: firstHead,
  every,
  hashes,
  finalityLag,
}: SyntheticChainSettings): SyntheticChain {
  let head = firstHead;
  const changesUpTo = (block: number) => Math.max(0, Math.floor((block - createdInBlock) / every));
  const encoded = new Map<number, string>();
  const composeHash = (change: number) => keccak256(word(change % hashes));
  const hashNumbers = new Map(Array.from({ length: hashes }, (_, index) => [composeHash(index), index]));
  const isAdd = (change: number) => Math.floor(change / hashes) % 2 === 0;
  const isAllowed = (hash: Hex, block = head) => {
    const index = hashNumbers.get(hash);
    if (index === undefined) return false;
    const times = Math.ceil((changesUpTo(block) - index) / hashes);
    return times > 0 && times % 2 === 1;
  };
  const provable = new Map<number, ProvableBlock>();
  const finalBlock = () => head - (finalityLag ?? 0);

  return {
    appId,
    createdInBlock,
    logCount: () => 3 + 2 * changesUpTo(head),
    grow: (blocks) => {
      head += blocks;
    },
    prepareProof: async () => {
      const number = finalBlock();
      const allowed = [...hashNumbers.keys()].filter((hash) => isAllowed(hash, number));
      const words = new Map([
        ...allowed.map((hash): [Hex, Hex] => [currentSlots.composeHash(hash as ComposeHash), word(1)]), // a hash
        ...([ownerSlot, versionSlot, implementationSlot] as const).map((slot, at): [Hex, Hex] => [
          slot,
          [pad(owner), word(1), pad(implementation)][at] ?? "0x",
        ]),
      ]);
      provable.set(number, await createProvableBlock(appId, words, { number, timestamp: 2 * number }));
    },
    logsAsJson: (from, to, mostChanges) => {
      const texts = changesIn(from, Math.min(head, to), mostChanges).map((change) => {
        const known = encoded.get(change) ?? JSON.stringify(logsOf(change)).slice(1, -1);
        encoded.set(change, known);
        return known;
      });
      if (from <= createdInBlock && to >= createdInBlock) texts.unshift(JSON.stringify(logsOfCreation()).slice(1, -1));
      return texts.join(",");
    },
    request: async ({ method, params = [] }) => answer(method, params),
  };

  function answer(method: string, params: readonly unknown[]): unknown {
    const isFinal = finalityLag !== undefined && (params[0] === "finalized" || params[0] === "safe");
    switch (method) {
      case "eth_chainId":
        return numberToHex(base.id);
      case "eth_blockNumber":
        return numberToHex(head);
      case "eth_getBlockByNumber":
        return blockOf(isFinal ? finalBlock() : params[0] === "latest" ? head : Number(params[0]));
      case "eth_getProof": {
        const proven = provable.get(Number(params[2]));
        if (proven !== undefined) return proven.prove(params[1] as readonly Hex[]);
        throw Object.assign(new Error("distance to target block exceeds maximum proof window"), { code: -32000 });
      }
      case "eth_getCode":
        return Number(params[1]) >= createdInBlock ? "0xfe" : "0x";
      case "eth_getStorageAt":
        return params[1] === implementationSlot ? pad(implementation) : word(0);
      case "eth_getLogs": {
        const { fromBlock, toBlock } = Object(params[0]) as { fromBlock: Hex; toBlock: Hex };
        return logsIn(Number(fromBlock), Math.min(head, Number(toBlock)));
      }
      case "eth_call": {
        const { to, data } = Object(params[0]) as { to: Hex; data: Hex };
        return to === appId ? view(data) : together(data);
      }
      default:
        throw Object.assign(new Error(`the method ${method} does not exist`), { code: -32601 });
    }
  }

  function blockOf(number: number) {
    if (number > head) return null;
    const known = provable.get(number)?.block;
    if (known !== undefined) return known;
    return { number: numberToHex(number), hash: keccak256(word(number)), timestamp: numberToHex(2 * number) };
  }

  function logsIn(from: number, to: number): object[] {
    const isCreation = from <= createdInBlock && to >= createdInBlock;
    return [...(isCreation ? logsOfCreation() : []), ...changesIn(from, to).flatMap(logsOf)];
  }

  function logsOfCreation(): object[] {
    const creation = [
      [[topic("Upgraded(address)"), pad(implementation)], "0x"],
      [[topic("OwnershipTransferred(address,address)"), word(0), pad(owner)], "0x"],
      [[topic("Initialized(uint64)")], word(1)],
    ] as const;
    return creation.map(([topics, data], index) => log(createdInBlock, index, topics, data));
  }

  function changesIn(from: number, to: number, most = Number.POSITIVE_INFINITY): number[] {
    const first = Math.max(0, Math.ceil((from - createdInBlock) / every) - 1);
    return Array.from({ length: Math.min(most, Math.max(0, changesUpTo(to) - first)) }, (_, index) => first + index);
  }

  function logsOf(change: number): object[] {
    const block = createdInBlock + (change + 1) * every;
    const hash = composeHash(change);
    const record = [recorded, pad(owner), composeHashLabel, hash];
    return [log(block, 0, [isAdd(change) ? added : removed], hash), log(block, 1, record, word(isAdd(change) ? 1 : 0))];
  }

  function log(block: number, logIndex: number, topics: readonly Hex[], data: Hex): object {
    const blockNumber = numberToHex(block);
    return {
      address: appId,
      blockNumber,
      blockHash: keccak256(word(block)),
      blockTimestamp: numberToHex(2 * block),
      transactionHash: pad(blockNumber, { size: 32 }),
      transactionIndex: "0x0",
      logIndex: numberToHex(logIndex),
      topics,
      data,
      removed: false,
    };
  }

  function view(data: Hex): Hex {
    const asked = data.slice(0, 10);
    if (asked === selector("owner()")) return pad(owner);
    if (asked === selector("version()")) return word(2);
    if (asked === selector("getBlockNumber()")) return word(head);
    if (asked === selector("allowedComposeHashes(bytes32)")) return word(isAllowed(`0x${data.slice(10)}`) ? 1 : 0);
    return word(0);
  }

  function together(data: Hex): Hex {
    const { args } = decodeFunctionData({ abi: multicall3Abi, data });
    const calls = args?.[0];
    const result = (Array.isArray(calls) ? calls : []).map((call: { callData: Hex }) => ({
      success: true,
      returnData: view(call.callData),
    }));
    return encodeFunctionResult({ abi: multicall3Abi, functionName: "aggregate3", result });
  }
}
