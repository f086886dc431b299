import type { Address } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { endpointsWords, withoutSecrets } from "../chain/rpc-errors.ts";
import type { PolicyLog } from "../core/policy/decode-policy-changes.ts";
import { LogsRefusedError, LogsUnavailableError, RpcUnavailableError } from "../errors/index.ts";
import { type BlockRange, lengthOf } from "./block-range.ts";
import { classifyRefusal } from "./classify-refusal.ts";
import { type Patience, pause } from "./pause.ts";
import type { RangeSize } from "./range-size.ts";
import { readLogs } from "./read-logs.ts";

/** A piece that had to wait this often is not served any more. */
const mostWaits = 10;
/** One block cannot be made smaller: refused for its size, it is asked for a few times more, and that was it. */
const mostTriesOfOneBlock = 4;
/** Who says nothing this often about the same blocks may well choke on them. */
const silencesBeforeShrinking = 3;
/** Requests that pass before one more goes out at the same time. */
const passesPerRequestInFlight = 8;
/** Some endpoints cut a long answer at a round number without saying so. */
const roundNumberOfLogs = 1_000;

export interface ScanLogsParameters extends Patience {
  readonly address: Address;
  readonly ranges: readonly BlockRange[];
  /** How many requests may be under way at once. */
  readonly concurrency: number;
  /** Learns what the endpoint takes; pass the same one to several scans of it. */
  readonly size: RangeSize;
  /** Called once for every piece, in no particular order; the pieces are the ranges, each block exactly once. */
  readonly onLogs: (piece: BlockRange, logs: readonly PolicyLog[]) => void;
}

interface Piece extends BlockRange {
  /** Never cut larger than this: a piece only ever shrinks, so that any refusal brings the end nearer. */
  readonly mostBlocks: bigint | undefined;
  /** An endpoint's suggestion was followed once for these blocks. */
  readonly suggested: boolean;
  readonly waits: number;
}

/**
 * Reads all logs of one contract in some ranges, in pieces the endpoint accepts, several at once.
 *
 * @throws LogsRefusedError, LogsUnavailableError, RpcUnavailableError, what `onLogs` throws, the signal's reason;
 *   pieces that were read before have been handed over
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

  /** The next blocks to ask for; what is left of their piece goes on waiting. */
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
      return takeUp(piece, error);
    }
    const blocks = lengthOf(piece);
    if (blocks > 1n && logs.length >= roundNumberOfLogs && logs.length % roundNumberOfLogs === 0)
      return shrink(piece, blocks / 2n);
    size.passed(blocks);
    passes += 1;
    if (passes % passesPerRequestInFlight === 0 && mayRun < concurrency) mayRun += 1;
    onLogs({ fromBlock: piece.fromBlock, toBlock: piece.toBlock }, logs);
  }

  async function takeUp(piece: Piece, error: unknown): Promise<void> {
    const { kind, retryAfterMs, suggestedBlocks, answer } = classifyRefusal(error, piece);
    const cause = withoutSecrets(error);
    if (kind === "gone" || kind === "unsupported") throw new LogsUnavailableError(piece, answer, { cause });
    const blocks = lengthOf(piece);
    const waits = piece.waits + 1;
    const isSilent = kind === "silent" && waits < silencesBeforeShrinking;
    if (kind === "busy" || isSilent || blocks === 1n) {
      if (kind === "tooMuch" && waits >= mostTriesOfOneBlock) throw new LogsRefusedError(piece, answer, { cause });
      if (waits > mostWaits)
        throw new RpcUnavailableError("reading the app's logs", { cause, said: endpointsWords(error) });
      if (kind === "busy") mayRun = Math.max(1, Math.floor(mayRun / 2));
      await pause({ retryDelayMs, signal }, waits, retryAfterMs);
      pending.unshift({ ...piece, waits });
      return;
    }
    if (kind !== "tooMuch") await pause({ retryDelayMs, signal }, 1, retryAfterMs);
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
