import { type Hex, isHex, numberToHex } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { type RetryOptions, requestOnce, withRpcRetry } from "../chain/retry.ts";
import { RpcUnavailableError } from "../errors/index.ts";
import type { PinnedBlock } from "./history.ts";
import type { HistoryScope } from "./store.ts";

export interface FindBlockAtParameters {
  /** Seconds since 1970. */
  readonly timestamp: bigint;
  /**
   * The moment within that second, for chains with several blocks a second. Where blocks do not tell their
   * milliseconds, each of them counts as a block of the beginning of its second. @default 999, the end of the second
   */
  readonly milliseconds?: bigint | undefined;
  readonly signal?: AbortSignal | undefined;
  /** First pause after an error, doubled each time. @default 250 */
  readonly retryDelayMs?: number | undefined;
}

/**
 * Finds the newest block whose time is at or before a moment: the last of several blocks with the same timestamp.
 * Undefined if the chain starts later.
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
  { timestamp, milliseconds = 999n, retryDelayMs = 250, signal }: FindBlockAtParameters,
): Promise<PinnedBlock | undefined> {
  const moment = timestamp * 1000n + milliseconds;
  const read = async (number: bigint | "latest") => {
    const block = await readTimedBlock(client, number, { retryDelayMs, signal });
    if (block !== undefined) return block;
    throw new RpcUnavailableError("looking for a block by its time", { cause: new Error(`No block ${number}.`) });
  };
  let after = await read("latest");
  if (after.timeMs <= moment) return after.block;
  let found = await read(0n);
  if (found.timeMs > moment) return undefined;
  while (after.block.number - found.block.number > 1n) {
    const middle = await read((found.block.number + after.block.number) / 2n);
    if (middle.timeMs <= moment) found = middle;
    else after = middle;
  }
  return found.block;
}

const mostDenials = 3;

/**
 * Number, hash and time of a block; undefined if the chain has no such block.
 *
 * @throws RpcUnavailableError, the signal's reason
 */
export async function readBlock(
  client: ChainClient,
  block: bigint | "latest",
  retry: RetryOptions,
): Promise<PinnedBlock | undefined> {
  return (await readTimedBlock(client, block, retry))?.block;
}

interface TimedBlock {
  readonly block: PinnedBlock;
  /** Milliseconds since 1970. */
  readonly timeMs: bigint;
}

function readTimedBlock(
  client: ChainClient,
  block: bigint | "latest",
  retry: RetryOptions,
): Promise<TimedBlock | undefined> {
  const params = [block === "latest" ? block : numberToHex(block), false];
  // A backend that is behind answers that there is no such block. Only believe this after repeated answers.
  let denials = 0;
  return withRpcRetry(client, retry, "reading a block", async () => {
    const answer = await requestOnce(client, { method: "eth_getBlockByNumber", params }, retry.signal);
    if (answer === null && block !== "latest") denials += 1;
    if (denials === mostDenials) return undefined;
    return parseBlock(answer);
  });
}

function parseBlock(answer: unknown): TimedBlock {
  const { number, hash, timestamp, timestampMs } = Object(answer) as Record<string, unknown>;
  if (!isHex(number) || !isHex(hash) || !isHex(timestamp)) throw new Error("The endpoint's answer contains no block.");
  const seconds = BigInt(timestamp);
  const told = isHex(timestampMs) ? BigInt(timestampMs) : seconds * 1000n;
  return {
    block: { number: BigInt(number), hash: hash.toLowerCase() as Hex, timestamp: seconds },
    timeMs: told / 1000n === seconds ? told : seconds * 1000n,
  };
}

/** The newest blocks of a chain, which may still change. */
export interface UnsettledBlocks {
  /** Number of blocks at the end of an earlier run that are read again: a backend that lagged may have left out logs. */
  readonly count: bigint;
  /** Blocks whose hashes are kept, to find where a reorganisation started. */
  readonly checkpoints: readonly PinnedBlock[];
}

/** For nodes that do not tell which blocks are safe and finalized. Counts of blocks mean another time on each chain. */
const unsettledSeconds = { tail: 128n, safe: 32n, finalized: 512n };
const blocksToMeasure = 64n;
/** Bounds for the measured time of a block, because local chains skip time or stand still. */
const [shortestMs, longestMs] = [100n, 2_000n];

/**
 * The blocks after the last safe one. If the node does not tell which blocks are safe and finalized, or says it of the
 * newest, the time that the chain took for its last blocks decides.
 *
 * @param start the first block of the history
 * @throws RpcUnavailableError, the signal's reason
 */
export async function readUnsettledBlocks(
  client: ChainClient,
  pinned: PinnedBlock,
  { start, ...retry }: RetryOptions & { readonly start: bigint },
): Promise<UnsettledBlocks> {
  const read = async (number: bigint) => (number > start ? readBlock(client, number, retry) : undefined);
  const tagged = await Promise.all((["safe", "finalized"] as const).map((tag) => readTaggedBlock(client, tag, retry)));
  // A node that names the newest block does not tell which blocks may change.
  const [safe, finalized] = tagged.map((block) => (block && block.number < pinned.number ? block : undefined));
  const earlier =
    safe === undefined || finalized === undefined ? await read(pinned.number - blocksToMeasure) : undefined;
  const tookMs = earlier === undefined ? longestMs : ((pinned.timestamp - earlier.timestamp) * 1000n) / blocksToMeasure;
  const blockMs = tookMs < shortestMs ? shortestMs : tookMs > longestMs ? longestMs : tookMs;
  const blocksOf = (seconds: bigint) => (seconds * 1000n) / blockMs;
  const checkpoints = await Promise.all([
    safe ?? read(pinned.number - blocksOf(unsettledSeconds.safe)),
    finalized ?? read(pinned.number - blocksOf(unsettledSeconds.finalized)),
  ]);
  return {
    count: safe === undefined ? blocksOf(unsettledSeconds.tail) : pinned.number - safe.number,
    checkpoints: checkpoints.filter((block) => block !== undefined),
  };
}

/** Undefined if the node does not know the tag. Asked once: no result depends on it. */
export async function readTaggedBlock(
  client: ChainClient,
  tag: "safe" | "finalized",
  { signal }: Pick<RetryOptions, "signal">,
): Promise<PinnedBlock | undefined> {
  try {
    const answer = await requestOnce(client, { method: "eth_getBlockByNumber", params: [tag, false] }, signal);
    return parseBlock(answer).block;
  } catch {
    signal?.throwIfAborted();
    return undefined;
  }
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
