import { type Address, type Hex, isHex, numberToHex } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { defaultTries, type RetryOptions, requestOnce, retryPause, systemClock } from "../chain/retry.ts";
import {
  errorChain,
  errorText,
  hideSecrets,
  type RpcSource,
  translateChainError,
  withoutSecrets,
} from "../chain/rpc-errors.ts";
import { withRetry } from "../core/retry.ts";
import { LogsRefusedError, LogsUnavailableError } from "../errors/index.ts";
import type { PolicyLog } from "./policy.ts";

/** Give up on a piece after this many waits. */
const mostWaits = 10;
/** A single block cannot be split. If the endpoint refuses it for its size, give up after this many tries. */
const mostTriesOfOneBlock = 4;
/** After this many empty or unreadable replies for the same blocks, assume the range is too large and halve it. */
const silencesBeforeShrinking = 3;
/** Successful requests before one more request may run in parallel. */
const passesPerRequestInFlight = 8;
/** Some endpoints truncate a long answer at a round number without saying so. */
const roundNumberOfLogs = 1_000;

export interface ScanLogsParameters extends RetryOptions {
  readonly address: Address;
  readonly ranges: readonly BlockRange[];
  /** Maximum number of parallel requests. */
  readonly concurrency: number;
  /** Learns the range that the endpoint accepts. Pass the same one to several scans of that endpoint. */
  readonly size: RangeSize;
  /** Called once per piece, in no particular order. The pieces cover the ranges, each block exactly once. */
  readonly onLogs: (piece: BlockRange, logs: readonly PolicyLog[]) => void;
}

interface Piece extends BlockRange {
  /** Maximum size of this piece. A piece only shrinks, so every refusal brings the scan closer to its end. */
  readonly mostBlocks: bigint | undefined;
  /** The endpoint's suggestion was already followed once for these blocks. */
  readonly suggested: boolean;
  readonly waits: number;
}

/**
 * Reads all logs of one contract in the given ranges. Splits them into pieces that the endpoint accepts, and reads
 * several in parallel. Pieces read before an error have been passed to `onLogs`.
 *
 * @throws LogsRefusedError, LogsUnavailableError, RpcUnavailableError, what `onLogs` throws, the signal's reason
 */
export async function scanLogs(client: ChainClient, parameters: ScanLogsParameters): Promise<void> {
  const { address, concurrency, size, onLogs, retryDelayMs } = parameters;
  const pending: Piece[] = parameters.ranges.map((range) => ({
    ...range,
    mostBlocks: undefined,
    suggested: false,
    waits: 0,
  }));
  const stop = new AbortController();
  const signal = parameters.signal === undefined ? stop.signal : AbortSignal.any([parameters.signal, stop.signal]);
  let mayRun = concurrency;
  let passes = 0;
  const running = new Set<Promise<void>>();

  try {
    while (pending.length > 0 || running.size > 0) {
      parameters.signal?.throwIfAborted();
      while (pending.length > 0 && running.size < mayRun) {
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
    let logs: PolicyLog[];
    try {
      logs = await readLogs(client, address, piece, signal);
    } catch (error) {
      signal.throwIfAborted();
      return handleRefusal(piece, error);
    }
    const blocks = lengthOf(piece);
    if (blocks > 1n && logs.length >= roundNumberOfLogs && logs.length % roundNumberOfLogs === 0)
      return shrink(piece, blocks / 2n);
    size.passed(blocks);
    passes += 1;
    if (passes % passesPerRequestInFlight === 0 && mayRun < concurrency) mayRun += 1;
    onLogs({ fromBlock: piece.fromBlock, toBlock: piece.toBlock }, logs);
  }

  async function handleRefusal(piece: Piece, error: unknown): Promise<void> {
    const { kind, retryAfterMs, suggestedBlocks, answer } = classifyRefusal(client, error, piece);
    const cause = withoutSecrets(client, error);
    if (kind === "gone" || kind === "unsupported") throw new LogsUnavailableError(piece, answer, { cause });
    const blocks = lengthOf(piece);
    const waits = piece.waits + 1;
    const isSilent = kind === "silent" && waits < silencesBeforeShrinking;
    if (kind === "busy" || isSilent || blocks === 1n) {
      if (kind === "tooMuch" && waits >= mostTriesOfOneBlock) throw new LogsRefusedError(piece, answer, { cause });
      if (waits > mostWaits) throw translateChainError(client, error, "reading the app's logs");
      if (kind === "busy") mayRun = Math.max(1, Math.floor(mayRun / 2));
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

export interface Refusal {
  /**
   * - `tooMuch`: fewer blocks may pass, the same ones never will;
   * - `busy`: the same request may pass later;
   * - `unclear`: either of them;
   * - `silent`: no answer, or an unreadable one;
   * - `gone`: the endpoint keeps no logs of these blocks;
   * - `unsupported`: no such request ever passes.
   */
  readonly kind: "tooMuch" | "busy" | "unclear" | "silent" | "gone" | "unsupported";
  /** How long the endpoint asks the caller to wait. */
  readonly retryAfterMs: number | undefined;
  /** A number of blocks that the endpoint says would pass, always smaller than the requested number. */
  readonly suggestedBlocks: bigint | undefined;
  /** The endpoint's message, without secrets. */
  readonly answer: string;
}

// Codes and words as providers use them in 2026. One code means different things at different providers (-32005 is both
// "too many results" and "too many requests"), so the message decides if there is one.
const tooMuchCodes = new Set([-32602, -32600, -32614, -32062]);
const busyCodes = new Set([429, -32007, -32016, -32029]);
const unsupportedCodes = new Set([-32601, -32004, 4200]);
const prunedHistoryCode = 4444;

const busyWords =
  /rate.?limit|too many requests|requests? (?:limit|per)|per second|throttl|compute units|capacity|quota|daily|credits|(?:try|retry) (?:again|later|after|in)|temporarily|overloaded|currently healthy/i;
/** A backend behind a load balancer that has not received the newest blocks yet. */
const laggingWords =
  /header not found|unknown block|block not found|beyond (?:the )?(?:current |latest )?head|after last (?:accepted|finalized)|future block|not yet available/i;
const tooMuchWords =
  /block range|range (?:is )?(?:too|limit|exceed)|(?:limited to|up to|maximum of|max(?:imum)?) .*(?:blocks?|range|results|logs)|more than [\d,]+|too (?:large|wide|big|many (?:blocks|logs|results|events|topics))|max(?:imum)? (?:allowed|block|results|logs|range)|(?:response|result|payload|batch) .*(?:size|large|too big|exceed)|exceeds? .*(?:results|range|blocks|size)|time(?:d)? ?out|narrow|smaller range|\d+[- ]block/i;
const goneWords =
  /\bpruned\b|history (?:is )?(?:not available|unavailable)|no longer (?:available|stored)|archive (?:node|data|access)/i;
const keyWords = /api.?key|personal token|(?:free|your) (?:plan|tier)|unauthori[sz]ed|not authori[sz]ed|authenticat/i;
const tooMuchStatus = new Set([413]);
const busyStatus = new Set([403, 425, 429, 502, 503]);
const unsupportedStatus = new Set([401, 402, 404, 405]);

/** Classifies a failed request for the logs of `asked`. */
export function classifyRefusal(source: RpcSource | undefined, error: unknown, asked: BlockRange): Refusal {
  const chain = errorChain(error);
  const code = numberIn(chain, "code");
  const status = numberIn(chain, "status");
  // Use the node's message only: viem's own messages repeat the request, and its block numbers are no suggestion.
  const words = chain[0] === undefined ? String(error) : errorText(chain[0]);
  return {
    kind: kindOf({ code, status, words, names: chain.map((link) => String(Reflect.get(link, "name"))) }),
    retryAfterMs: retryAfterOf(chain, words),
    suggestedBlocks: suggestionIn(words, asked),
    answer: hideSecrets(source, error, words).slice(0, 300),
  };
}

interface ErrorDetails {
  readonly code: number | undefined;
  readonly status: number | undefined;
  readonly words: string;
  readonly names: readonly string[];
}

function kindOf({ code, status, words, names }: ErrorDetails): Refusal["kind"] {
  if (names.includes("ResponseBodyTooLargeError")) return "tooMuch";
  if (names.includes("TimeoutError")) return "unclear";
  const isTooMuch = tooMuchWords.test(words);
  const isBusy = busyWords.test(words) || laggingWords.test(words);
  if (status !== undefined) {
    if (tooMuchStatus.has(status)) return "tooMuch";
    if (unsupportedStatus.has(status)) return "unsupported";
    if (busyStatus.has(status)) return isTooMuch ? "unclear" : "busy";
  }
  if (code !== undefined && busyCodes.has(code)) return isTooMuch ? "unclear" : "busy";
  if (isTooMuch) return isBusy ? "unclear" : "tooMuch";
  if (code === prunedHistoryCode || goneWords.test(words)) return "gone";
  if (isBusy) return "busy";
  if (code === undefined) return "silent";
  if (unsupportedCodes.has(code) || keyWords.test(words)) return "unsupported";
  return tooMuchCodes.has(code) ? "tooMuch" : "unclear";
}

function numberIn(chain: readonly object[], field: "code" | "status"): number | undefined {
  return chain
    .map((link): unknown => Reflect.get(link, field))
    .find((value): value is number => typeof value === "number" && value !== -1); // viem's "unknown error"
}

/** Seconds or a date in a header, or seconds in the message. viem keeps headers only without a JSON-RPC error. */
function retryAfterOf(chain: readonly object[], words: string): number | undefined {
  for (const link of chain) {
    const headers: unknown = Reflect.get(link, "headers");
    const value = headers instanceof Headers ? headers.get("retry-after") : null;
    if (value === null) continue;
    const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
    if (Number.isFinite(ms)) return Math.max(0, ms);
  }
  const [, number, unit] = /(?:retry|again) (?:after|in) (\d+(?:\.\d+)?) ?(ms|s\b|sec)/i.exec(words) ?? [];
  return number === undefined ? undefined : Number(number) * (unit === "ms" ? 1 : 1000);
}

/**
 * The widest range that the message offers, as `[0x…, 0x…]` or as a number. Some providers suggest the range they just
 * refused, and a number may also be a number of results. Therefore only a number smaller than `asked` counts.
 */
function suggestionIn(words: string, { fromBlock, toBlock }: BlockRange): bigint | undefined {
  const asked = toBlock - fromBlock + 1n;
  const isUsable = (blocks: bigint) => blocks > 0n && blocks < asked;
  const [, first, last] = /\[\s*(0x[\da-f]+)\s*,\s*(0x[\da-f]+)\s*\]/i.exec(words) ?? [];
  if (first !== undefined && last !== undefined) {
    const blocks = BigInt(last) - BigInt(first) + 1n;
    return isUsable(blocks) ? blocks : undefined;
  }
  const numbers = [...words.matchAll(/(?<![\w.-])(\d{1,3}(?:,\d{3})+|\d{1,9})(k)?(?![\w.])/gi)]
    .map(([, digits = "", thousands]) => BigInt(digits.replaceAll(",", "")) * (thousands === undefined ? 1n : 1000n))
    .filter((number) => number !== fromBlock && number !== toBlock && isUsable(number));
  return numbers.length === 0 ? undefined : numbers.reduce((one, other) => (one > other ? one : other));
}

export interface RetryUnlessRefusedParameters<Result> extends RetryOptions {
  /** The block whose state is read. */
  readonly block: bigint;
  /** For the error: what is being read. */
  readonly doing: string;
  /** A refusal that may also be a temporary error counts as an answer after this many tries. @default 1 */
  readonly mostDoubts?: number;
  readonly onRefusal: (refusal: Refusal) => Result;
}

/**
 * Repeats a read of a block's state while the endpoint is busy or silent. Any other refusal is a result: many endpoints
 * do not serve old state.
 *
 * @throws RpcUnavailableError, the signal's reason
 */
export function retryUnlessRefused<Result>(
  client: ChainClient,
  parameters: RetryUnlessRefusedParameters<Result>,
  read: () => Promise<Result>,
): Promise<Result> {
  const { block, doing, mostDoubts = 1, onRefusal, retryDelayMs, signal } = parameters;
  const classify = (error: unknown) => classifyRefusal(client, error, { fromBlock: block, toBlock: block });
  const pauseAfter = (error: unknown, tries: number) => {
    if (tries >= defaultTries) throw translateChainError(client, error, doing);
    return retryPause(retryDelayMs, tries, classify(error).retryAfterMs);
  };
  return withRetry({ clock: systemClock, signal, pauseAfter }, async (tries) => {
    try {
      return await read();
    } catch (error) {
      signal?.throwIfAborted();
      const refusal = classify(error);
      const isFault = refusal.kind === "busy" || refusal.kind === "silent";
      if (isFault || tries < mostDoubts) throw error;
      return onRefusal(refusal);
    }
  });
}

/**
 * One `eth_getLogs` for all logs of one contract in a range. An answer with another contract's logs, other blocks or a
 * duplicate log is an error.
 *
 * @throws the transport's errors, and an error for such an answer
 */
export async function readLogs(
  client: ChainClient,
  address: Address,
  range: BlockRange,
  signal?: AbortSignal,
): Promise<PolicyLog[]> {
  const filter = { address, fromBlock: numberToHex(range.fromBlock), toBlock: numberToHex(range.toBlock) };
  const answer = await requestOnce(client, { method: "eth_getLogs", params: [filter] }, signal);
  if (!Array.isArray(answer)) throw new Error("The endpoint's answer contains no logs.");
  const logs = answer.map((log: unknown) => parseLog(log, address, range));
  if (new Set(logs.map(({ blockNumber, logIndex }) => `${blockNumber} ${logIndex}`)).size < logs.length)
    throw new Error("The endpoint's answer contains a log twice.");
  return logs;
}

function parseLog(raw: unknown, contract: Address, { fromBlock, toBlock }: BlockRange): PolicyLog {
  const log = Object(raw) as Record<string, unknown>;
  const { address, blockNumber, blockHash, transactionHash, logIndex, topics, data, blockTimestamp, removed } = log;
  if (
    !isHex(address) ||
    !isHex(blockNumber) ||
    !isHex(blockHash) ||
    !isHex(transactionHash) ||
    !isHex(logIndex) ||
    !isHex(data) ||
    !Array.isArray(topics) ||
    !topics.every((topic): topic is Hex => isHex(topic))
  )
    throw new Error("The endpoint's answer contains something that is not a mined log.");
  const number = BigInt(blockNumber);
  if (address.toLowerCase() !== contract.toLowerCase() || number < fromBlock || number > toBlock || removed === true)
    throw new Error("The endpoint's answer contains a log that was not requested.");
  return {
    blockNumber: number,
    blockHash: lowerCase(blockHash),
    logIndex: Number(logIndex),
    transactionHash: lowerCase(transactionHash),
    timestamp: isHex(blockTimestamp) ? BigInt(blockTimestamp) : undefined,
    topics: topics.map(lowerCase),
    data: lowerCase(data),
  };
}

function lowerCase(hex: Hex): Hex {
  return hex.toLowerCase() as Hex; // still hex
}

const mostBlocks = 100_000n;
/**
 * Number of full-size ranges that must pass before a wider one is tried again: limits by result count vary along the
 * chain.
 */
const emptyRepliesBeforeHalving = 100;

/**
 * How many blocks to request at once. Doubles until the endpoint refuses, then a binary search approaches the widest
 * range that it accepts. Starts at what the public endpoints of Base allow.
 */
export class RangeSize {
  #blocks: bigint;
  /** The widest range that passed since it was last refused. */
  #passed = 0n;
  /** The narrowest range that was refused. */
  #refused = mostBlocks + 1n;
  #passedAtThisSize = 0;
  #isProbing = false;

  constructor(first = 2_000n) {
    this.#blocks = first;
  }

  /** How many of `available` blocks to request next. Only one request at a time exceeds what has passed before. */
  next(available: bigint): bigint {
    const wanted = minimum(available, this.#blocks);
    if (this.#passed === 0n || wanted <= this.#passed) return wanted;
    if (this.#isProbing) return this.#passed;
    this.#isProbing = true;
    return wanted;
  }

  passed(blocks: bigint): void {
    if (blocks > this.#passed) this.#isProbing = false;
    if (blocks > this.#passed) this.#passed = blocks;
    if (blocks < this.#blocks) return;
    this.#passedAtThisSize += 1;
    if (this.#passedAtThisSize >= emptyRepliesBeforeHalving)
      this.#refused = minimum(this.#refused * 2n, mostBlocks + 1n);
    const room = this.#refused - 1n - this.#blocks;
    if (room <= this.#blocks / 8n) return;
    this.#passedAtThisSize = 0;
    this.#blocks = minimum(this.#blocks * 2n, this.#blocks + (room + 1n) / 2n);
  }

  /** @param next how many blocks to try instead, fewer than were refused */
  refused(blocks: bigint, next: bigint): void {
    if (blocks > this.#passed) this.#isProbing = false;
    if (blocks < this.#refused) this.#refused = blocks;
    if (this.#passed >= blocks) this.#passed = 0n;
    this.#passedAtThisSize = 0;
    const candidate = this.#passed > next ? this.#passed : next;
    // Several ranges of one size run in parallel. Their refusals say the same thing, so do not halve again for each.
    if (candidate < this.#blocks) this.#blocks = candidate;
  }

  /** The endpoint has named its limit, so do not try wider ranges soon. */
  limited(blocks: bigint): void {
    this.#refused = minimum(this.#refused, blocks + 1n);
    this.#blocks = minimum(this.#blocks, blocks);
  }
}

function minimum(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}

/** Blocks from `fromBlock` to `toBlock`, both included. */
export interface BlockRange {
  readonly fromBlock: bigint;
  readonly toBlock: bigint;
}

/** The number of blocks in a range. */
export function lengthOf({ fromBlock, toBlock }: BlockRange): bigint {
  return toBlock - fromBlock + 1n;
}

/** The union of these ranges, as ascending ranges that do not overlap or touch. */
export function mergeRanges(ranges: readonly BlockRange[]): BlockRange[] {
  const merged: BlockRange[] = [];
  for (const range of ranges.toSorted((one, other) => (one.fromBlock < other.fromBlock ? -1 : 1))) {
    const last = merged.at(-1);
    if (last === undefined || range.fromBlock > last.toBlock + 1n) merged.push(range);
    else if (range.toBlock > last.toBlock) merged.splice(-1, 1, { fromBlock: last.fromBlock, toBlock: range.toBlock });
  }
  return merged;
}

/** The blocks of `range` that are in none of `ranges`, as ascending ranges. */
export function gapsIn(range: BlockRange, ranges: readonly BlockRange[]): BlockRange[] {
  const gaps: BlockRange[] = [];
  let next = range.fromBlock;
  for (const { fromBlock, toBlock } of mergeRanges(ranges)) {
    if (toBlock < next) continue;
    if (fromBlock > range.toBlock) break;
    if (fromBlock > next) gaps.push({ fromBlock: next, toBlock: fromBlock - 1n });
    next = toBlock + 1n;
  }
  if (next <= range.toBlock) gaps.push({ fromBlock: next, toBlock: range.toBlock });
  return gaps;
}
