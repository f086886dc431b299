import { type Address, type Hex, numberToHex } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { type RetryOptions, requestOnce, retryPause, systemClock } from "../chain/retry.ts";
import { translateChainError, withoutSecrets } from "../chain/rpc-errors.ts";
import { LogsRefusedError, LogsUnavailableError } from "../errors/index.ts";
import { type BlockRange, lengthOf, RangeSize } from "./block-ranges.ts";
import type { PolicyLog } from "./policy.ts";
import { classifyRefusal, type Refusal } from "./refusals.ts";

/** Give up on a piece after this many waits. */
const mostWaits = 10;
/** A single block cannot be split. If the endpoint refuses it for its size, give up after this many tries. */
const mostTriesOfOneBlock = 4;
/** Ask once more after an answer with other logs than those requested. Fewer blocks would not help. */
const mostWrongAnswers = 2;
/** After this many empty or unreadable replies for the same blocks, assume the range is too large and halve it. */
const silencesBeforeShrinking = 3;
/** Some endpoints truncate a long answer at a round number without saying so. */
const roundNumberOfLogs = 1_000;

/** A service that has the logs of one contract. */
export interface LogSource {
  /**
   * Reads the logs of a range, or only those of its first blocks.
   *
   * @throws any error; `classify` says what it means
   */
  read(range: BlockRange, signal: AbortSignal): Promise<LogAnswer>;
  classify(error: unknown, asked: BlockRange): Refusal;
  /** The error for the caller, when the scan gives up. */
  toError(refusal: Refusal, asked: BlockRange, error: unknown): Error;
  /** Whether fewer blocks may help if the service answers nothing, or nothing readable. */
  readonly maySplitSilence: boolean;
}

export interface LogAnswer {
  /** In any order. */
  readonly logs: readonly PolicyLog[];
  /** The last block that `logs` covers. */
  readonly toBlock: bigint;
}

export interface ScanParameters extends RetryOptions {
  readonly ranges: readonly BlockRange[];
  /** Maximum number of parallel requests. */
  readonly concurrency: number;
  /** Learns the range that the endpoint accepts. Pass the same one to several scans of that endpoint. */
  readonly size: RangeSize;
  /** Called once per piece, in no particular order. The pieces cover the ranges, each block exactly once. */
  readonly onLogs: (piece: BlockRange, logs: readonly PolicyLog[]) => void;
}

export interface ScanLogsParameters extends ScanParameters {
  readonly address: Address;
}

interface Piece extends BlockRange {
  /** Maximum size of this piece. A piece only shrinks, so every refusal brings the scan closer to its end. */
  readonly mostBlocks: bigint | undefined;
  /** The endpoint's suggestion was already followed once for these blocks. */
  readonly suggested: boolean;
  readonly waits: number;
}

/**
 * Reads all logs of one contract in the given ranges through an RPC endpoint. Splits them into pieces that the endpoint
 * accepts, and reads several in parallel. Pieces read before an error have been passed to `onLogs`.
 *
 * @throws LogsRefusedError, LogsUnavailableError, RpcUnavailableError, what `onLogs` throws, the signal's reason
 */
export function scanLogs(client: ChainClient, { address, ...parameters }: ScanLogsParameters): Promise<void> {
  return scanSource(endpointSource(client, address), parameters);
}

/** As `scanLogs`, from any source. @throws what the source's `toError` returns, what `onLogs` throws, the signal's reason */
export async function scanSource(source: LogSource, parameters: ScanParameters): Promise<void> {
  const { size, onLogs, retryDelayMs } = parameters;
  const pending: Piece[] = parameters.ranges.map((range) => ({
    ...range,
    mostBlocks: undefined,
    suggested: false,
    waits: 0,
  }));
  const stop = new AbortController();
  const signal = parameters.signal === undefined ? stop.signal : AbortSignal.any([parameters.signal, stop.signal]);
  const load = new Load(parameters.concurrency);
  const running = new Set<Promise<void>>();

  try {
    while (pending.length > 0 || running.size > 0) {
      parameters.signal?.throwIfAborted();
      while (pending.length > 0 && running.size < load.inFlight) {
        const work: Promise<void> = readPiece(take()).finally(() => running.delete(work));
        running.add(work);
      }
      await Promise.race(running);
    }
  } finally {
    stop.abort();
    await Promise.allSettled(running);
  }

  /** The next blocks to request. The rest of their piece stays pending. */
  function take(): Piece {
    const piece = pending.shift() as Piece; // called while there is one
    const length = lengthOf(piece);
    const blocks = size.next(piece.mostBlocks === undefined || piece.mostBlocks > length ? length : piece.mostBlocks);
    if (length <= blocks) return piece;
    const toBlock = piece.fromBlock + blocks - 1n;
    pending.unshift({ ...piece, fromBlock: toBlock + 1n });
    return { ...piece, toBlock };
  }

  async function readPiece(piece: Piece): Promise<void> {
    const start = systemClock.now();
    let answer: LogAnswer;
    try {
      answer = await source.read(piece, signal);
    } catch (error) {
      signal.throwIfAborted();
      return handleRefusal(piece, error);
    }
    const { logs, toBlock } = answer;
    const blocks = lengthOf(piece);
    const isWhole = toBlock >= piece.toBlock;
    if (isWhole && blocks > 1n && logs.length >= roundNumberOfLogs && logs.length % roundNumberOfLogs === 0)
      return shrink(piece, blocks / 2n);
    size.passed(blocks);
    load.passed(systemClock.now() - start);
    if (!isWhole) pending.unshift({ ...piece, fromBlock: toBlock + 1n, waits: 0 });
    onLogs({ fromBlock: piece.fromBlock, toBlock: isWhole ? piece.toBlock : toBlock }, logs);
  }

  async function handleRefusal(piece: Piece, error: unknown): Promise<void> {
    const refusal = source.classify(error, piece);
    const { kind, retryAfterMs, suggestedBlocks } = refusal;
    const giveUp = () => source.toError(refusal, piece, error);
    if (kind === "gone" || kind === "unsupported") throw giveUp();
    const blocks = lengthOf(piece);
    const waits = piece.waits + 1;
    const isSilent = kind === "silent" && waits < silencesBeforeShrinking;
    if (kind === "silent" && !isSilent && !source.maySplitSilence) throw giveUp();
    if (kind === "busy" || isSilent || blocks === 1n) {
      const isWrong = error instanceof WrongLogsError && waits >= mostWrongAnswers;
      if (isWrong || waits > mostWaits || (kind === "tooMuch" && waits >= mostTriesOfOneBlock)) throw giveUp();
      if (kind === "busy") load.refused();
      await systemClock.sleep(retryPause(retryDelayMs, waits, retryAfterMs), signal);
      pending.unshift({ ...piece, waits });
      return;
    }
    if (kind !== "tooMuch") await systemClock.sleep(retryPause(retryDelayMs, 1, retryAfterMs), signal);
    const fewer = { ...piece, waits: 0 };
    if (suggestedBlocks === undefined || piece.suggested) return shrink(fewer, blocks / 2n);
    size.limited(suggestedBlocks);
    shrink({ ...fewer, suggested: true }, suggestedBlocks);
  }

  function shrink(piece: Piece, mostBlocks: bigint): void {
    size.refused(lengthOf(piece), mostBlocks);
    pending.unshift({ ...piece, mostBlocks });
  }
}

const firstInFlight = 4;
/** An answer that takes this many times as long as the fastest one shows that the endpoint, or this process, is full. */
const slowdown = 4;
/** Variations below this are no slowdown. */
const toleratedMs = 50;

/**
 * How many requests may run at once. Grows by one with every answer, so it doubles with every round, until the endpoint
 * refuses or becomes slow. From then on it grows by one a round, and halves with every refusal.
 */
export class Load {
  readonly #most: number;
  #allowed: number;
  #isLimited = false;
  #fastestMs = Number.POSITIVE_INFINITY;
  #passes = 0;

  constructor(most: number) {
    this.#most = most;
    this.#allowed = Math.min(most, firstInFlight);
  }

  get inFlight(): number {
    return this.#allowed;
  }

  passed(milliseconds: number): void {
    this.#fastestMs = Math.min(this.#fastestMs, milliseconds);
    this.#passes += 1;
    const isRound = this.#passes >= this.#allowed;
    const isSlow = milliseconds > this.#fastestMs * slowdown + toleratedMs;
    if (isSlow) this.#isLimited = true;
    if (this.#isLimited && !isRound) return;
    this.#passes = 0;
    if (isSlow) this.#allowed = Math.max(Math.min(this.#most, firstInFlight), this.#allowed - 1);
    else this.#allowed = Math.min(this.#most, this.#allowed + 1);
  }

  refused(): void {
    this.#isLimited = true;
    this.#passes = 0;
    this.#allowed = Math.max(1, Math.floor(this.#allowed / 2));
  }
}

/** The logs of one contract, by `eth_getLogs`. */
export function endpointSource(client: ChainClient, address: Address): LogSource {
  return {
    maySplitSilence: true,
    read: async (range, signal) => ({
      logs: await readLogs(client, address, range, signal),
      toBlock: range.toBlock,
    }),
    classify: (error, asked) => classifyRefusal(client, error, asked),
    toError: ({ kind, answer }, asked, error) => {
      const cause = withoutSecrets(client, error);
      if (kind === "gone" || kind === "unsupported") return new LogsUnavailableError(asked, answer, { cause });
      if (kind === "tooMuch") return new LogsRefusedError(asked, answer, { cause });
      return translateChainError(client, error, "reading the app's logs");
    },
  };
}

/**
 * One `eth_getLogs` for all logs of one contract in a range. An answer with another contract's logs, other blocks or a
 * duplicate log is an error.
 *
 * @throws the transport's errors, and an error for such an answer
 */
async function readLogs(
  client: ChainClient,
  address: Address,
  range: BlockRange,
  signal: AbortSignal,
): Promise<PolicyLog[]> {
  const filter = { address, fromBlock: numberToHex(range.fromBlock), toBlock: numberToHex(range.toBlock) };
  const answer = await requestOnce(client, { method: "eth_getLogs", params: [filter] }, signal);
  if (!Array.isArray(answer)) throw new Error("The endpoint's answer contains no logs.");
  const contract = address.toLowerCase();
  const logs = answer.map((log: unknown) => parseLog(log, contract, range));
  const places = new Set(logs.map(({ blockNumber, logIndex }) => Number(blockNumber) * placesPerBlock + logIndex));
  if (places.size < logs.length) throw new WrongLogsError("The endpoint's answer contains a log twice.");
  return logs;
}

/**
 * The part of some ascending ranges that an endpoint serves the logs of, if it keeps those of the newest blocks alone.
 * Empty if it does not serve those of the last block either.
 *
 * @throws RpcUnavailableError, LogsRefusedError, the signal's reason
 */
export async function findServedRanges(
  client: ChainClient,
  { address, ranges, ...retry }: RetryOptions & Pick<ScanLogsParameters, "address" | "ranges">,
): Promise<BlockRange[]> {
  const isServed = async (block: bigint) => {
    const one = { ranges: [{ fromBlock: block, toBlock: block }], concurrency: 1, size: new RangeSize(1n) };
    try {
      await scanLogs(client, { address, ...one, onLogs: () => {}, ...retry });
      return true;
    } catch (error) {
      if (error instanceof LogsUnavailableError) return false;
      throw error;
    }
  };
  let [lowest, first] = [ranges[0]?.fromBlock ?? 0n, ranges.at(-1)?.toBlock ?? 0n];
  if (ranges.length === 0 || !(await isServed(first))) return [];
  while (lowest < first) {
    const middle: bigint = (lowest + first) / 2n;
    if (await isServed(middle)) first = middle;
    else lowest = middle + 1n;
  }
  return ranges
    .filter(({ toBlock }) => toBlock >= first)
    .map(({ fromBlock, toBlock }) => ({ fromBlock: fromBlock > first ? fromBlock : first, toBlock }));
}

/** The endpoint's answer is not about what was requested, so nothing in it can be trusted. */
export class WrongLogsError extends Error {}

/** More logs than any block has, and few enough for exact products with block numbers. */
const placesPerBlock = 2 ** 20;
// A history may have a hundred thousand logs, so each log is checked by few and simple tests.
export const hashPattern = /^0x[0-9a-f]{64}$/i;
export const dataPattern = /^0x[0-9a-f]*$/i;
const quantityPattern = /^0x[0-9a-f]{1,13}$/i;

function parseLog(raw: unknown, contract: string, { fromBlock, toBlock }: BlockRange): PolicyLog {
  const log = Object(raw) as Record<string, unknown>;
  const { address, topics, blockTimestamp } = log;
  if (typeof address !== "string" || !Array.isArray(topics) || topics.length > 4) throw notMined();
  const blockNumber = BigInt(matching(log.blockNumber, quantityPattern));
  if (address.toLowerCase() !== contract || blockNumber < fromBlock || blockNumber > toBlock || log.removed === true)
    throw new WrongLogsError("The endpoint's answer contains a log that was not requested.");
  return {
    blockNumber,
    blockHash: matching(log.blockHash, hashPattern),
    logIndex: Number(matching(log.logIndex, quantityPattern)),
    transactionHash: matching(log.transactionHash, hashPattern),
    timestamp:
      typeof blockTimestamp === "string" && quantityPattern.test(blockTimestamp) ? BigInt(blockTimestamp) : undefined,
    topics: topics.map((topic: unknown) => matching(topic, hashPattern)),
    data: matching(log.data, dataPattern),
  };
}

/** The value in lower case, if it has this form. */
export function matching(value: unknown, pattern: RegExp): Hex {
  if (typeof value !== "string" || !pattern.test(value)) throw notMined();
  return value.toLowerCase() as Hex; // by the pattern
}

function notMined(): Error {
  return new WrongLogsError("The answer contains something that is not a mined log.");
}
