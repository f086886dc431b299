import { type Hex, isHex, numberToHex } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { type RetryOptions, requestOnce, withRpcRetry } from "../chain/retry.ts";
import { RpcUnavailableError } from "../errors/index.ts";
import type { PinnedBlock } from "./history.ts";
import type { HistoryScope } from "./store.ts";

export interface FindBlockAtParameters {
  /** Seconds since 1970. */
  readonly timestamp: bigint;
  readonly signal?: AbortSignal | undefined;
  /** First pause after an error, doubled each time. @default 250 */
  readonly retryDelayMs?: number | undefined;
}

/**
 * Finds the newest block whose time is at or before `timestamp`. Undefined if the chain starts later.
 *
 * @throws RpcUnavailableError, the signal's reason
 *
 * @example
 * import { findBlockAt } from "dstack-toolkit/history";
 * import { client } from "./app.js";
 * const block = await findBlockAt(client, { timestamp: 1_700_000_000n });
 */
export async function findBlockAt(
  client: ChainClient,
  { timestamp, retryDelayMs = 250, signal }: FindBlockAtParameters,
): Promise<PinnedBlock | undefined> {
  const read = async (number: bigint | "latest") => {
    const block = await readBlock(client, number, { retryDelayMs, signal });
    if (block !== undefined) return block;
    throw new RpcUnavailableError("looking for a block by its time", { cause: new Error(`No block ${number}.`) });
  };
  let after = await read("latest");
  if (after.timestamp <= timestamp) return after;
  let found = await read(0n);
  if (found.timestamp > timestamp) return undefined;
  while (after.number - found.number > 1n) {
    const middle = await read((found.number + after.number) / 2n);
    if (middle.timestamp <= timestamp) found = middle;
    else after = middle;
  }
  return found;
}

const mostDenials = 3;

/**
 * Number, hash and time of a block; undefined if the chain has no such block.
 *
 * @throws RpcUnavailableError, the signal's reason
 */
export function readBlock(
  client: ChainClient,
  block: bigint | "latest",
  retry: RetryOptions,
): Promise<PinnedBlock | undefined> {
  const params = [block === "latest" ? block : numberToHex(block), false];
  // A backend that is behind answers that there is no such block. Only believe this after repeated answers.
  let denials = 0;
  return withRpcRetry(client, retry, "reading a block", async () => {
    const answer = await requestOnce(client, { method: "eth_getBlockByNumber", params }, retry.signal);
    if (answer === null && block !== "latest") denials += 1;
    if (denials === mostDenials) return undefined;
    const { number, hash, timestamp } = Object(answer) as Record<string, unknown>;
    if (!isHex(number) || !isHex(hash) || !isHex(timestamp))
      throw new Error("The endpoint's answer contains no block.");
    return { number: BigInt(number), hash: hash.toLowerCase() as Hex, timestamp: BigInt(timestamp) };
  });
}

/** Number of blocks per call of `onTimestamps`. */
const perBatch = 200;

export interface ReadTimestampsParameters extends RetryOptions {
  readonly blocks: readonly bigint[];
  readonly concurrency: number;
  readonly onTimestamps: (timestamps: ReadonlyMap<bigint, bigint>) => void;
}

/**
 * Reads the times of some blocks, with one request per block and several requests in parallel.
 *
 * @throws RpcUnavailableError, the signal's reason
 */
export async function readTimestamps(client: ChainClient, parameters: ReadTimestampsParameters): Promise<void> {
  const { blocks, concurrency, onTimestamps, ...retry } = parameters;
  for (let start = 0; start < blocks.length; start += perBatch) {
    const waiting = blocks.slice(start, start + perBatch).values();
    const timestamps = new Map<bigint, bigint>();
    const work = async () => {
      for (const number of waiting) {
        const block = await readBlock(client, number, retry);
        if (block === undefined)
          throw new RpcUnavailableError("reading the time of a block", { cause: new Error(`No block ${number}.`) });
        timestamps.set(number, block.timestamp);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, work));
    onTimestamps(timestamps);
  }
}

const newest = BigInt(Number.MAX_SAFE_INTEGER);

/**
 * Compares the newest block in the store with the chain, and steps back in growing steps until both agree. Everything
 * stored above that block is deleted: a reorganisation replaced it, or it came from another chain. Returns whether
 * anything was replaced.
 *
 * @throws RpcUnavailableError, HistoryStoreError, the signal's reason
 */
export async function dropReplacedBlocks(
  client: ChainClient,
  scope: HistoryScope,
  retry: RetryOptions,
): Promise<boolean> {
  let below = newest;
  for (let step = 1n; ; step *= 2n) {
    const known = scope.checkpointAtOrBelow(below);
    if (known === undefined) {
      // Do this even if the store has no logs yet: another run may be about to save logs of the replaced blocks.
      if (below !== newest) scope.forgetAbove(undefined);
      return below !== newest;
    }
    const actual = await readBlock(client, known.number, retry);
    if (actual?.hash === known.hash) {
      if (below !== newest) scope.forgetAbove(known.number);
      return below !== newest;
    }
    below = known.number - step;
  }
}
