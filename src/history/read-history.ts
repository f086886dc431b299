import { zeroHash } from "viem";
import { type ChainClient, requireChain } from "../chain/client.ts";
import { type RetryOptions, systemClock, withRpcRetry } from "../chain/retry.ts";
import type { AppId } from "../core/ids.ts";
import {
  HistoryStoreError,
  isDstackError,
  LogsUnavailableError,
  NoContractError,
  RpcUnavailableError,
} from "../errors/index.ts";
import { type BlockRange, blocksIn, gapsIn, lengthOf, mergeRanges, RangeSize } from "./block-ranges.ts";
import { dropReplacedBlocks, readBlock, readTimestamps, readUnsettledBlocks } from "./blocks.ts";
import { compareWithState, readInitialFlags } from "./compare-with-state.ts";
import { findCreationBlock, findCreationInLogs, readCodePresence, type Start } from "./creation.ts";
import type { History, IncompletenessReason, PinnedBlock } from "./history.ts";
import type { LogIndex } from "./log-index.ts";
import type { InitialFlags, PolicyChange, PolicyLog } from "./policy.ts";
import { indexRangeSize, proveIndexed, readStableBlocks } from "./read-index.ts";
import { endpointSource, findServedRanges, type LogSource, scanSource } from "./scan-logs.ts";
import { type CoveredRange, type HistoryScope, type HistoryStore, openHistoryStore } from "./store.ts";

export interface ReadHistoryParameters {
  readonly appId: AppId;
  /** Keeps what was read for the next run. @default in memory only */
  readonly store?: HistoryStore | undefined;
  /**
   * Delivers the events of all blocks that the chain keeps for good and that the store lacks. It is not trusted: the
   * endpoint must prove the state that follows from them (`eth_getProof`). What a state cannot show stays unproven:
   * repeated changes, changes that were undone, times and transactions. See `History.indexed`.
   * @default none: the endpoint delivers every event
   */
  readonly index?: LogIndex | undefined;
  /**
   * A block before the app's creation. Not needed with an index. Give it for an endpoint that does not serve old state, because such an endpoint
   * cannot say when the app's code appeared. Ignored if the endpoint shows that the app existed before this block.
   */
  readonly fromBlock?: bigint | undefined;
  /** The last block of the history. @default the latest */
  readonly toBlock?: bigint | undefined;
  /**
   * Whether every change gets the time of its block. Many nodes send it with the logs; the others are asked once per
   * block with a change. @default false
   */
  readonly timestamps?: boolean | undefined;
  readonly onProgress?: ((progress: HistoryProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /**
   * Maximum number of parallel requests for logs. The first four are sent at once, and more while the endpoint bears it.
   * @default 64
   */
  readonly concurrency?: number | undefined;
  /** Number of blocks in the first request; later requests adapt to the endpoint. @default 2000 */
  readonly firstRange?: number | undefined;
  /** First pause after an error, doubled each time. @default 250 */
  readonly retryDelayMs?: number | undefined;
}

export interface HistoryProgress {
  readonly phase: "locating" | "reading" | "verifying";
  /** Number of blocks read so far, out of `blocksTotal` that this run has to read. */
  readonly blocksRead: bigint;
  readonly blocksTotal: bigint;
  readonly logsRead: number;
}

/** Maximum number of attempts if the chain replaces blocks during the read. */
const mostAttempts = 5;
const defaultConcurrency = 64;
/** Maximum number of parallel requests for the times of blocks. */
const mostTimesAtOnce = 8;
const firstStepBack = 100_000n;

/**
 * Reads every policy change of an app, from its creation to one block, and compares the result with the contract's
 * state at that block. The result says whether it is complete. What was read before an error stays in the store.
 *
 * @throws WrongChainError, NoContractError, ContractRevertedError if it is no DstackApp, LogsRefusedError,
 * LogsUnavailableError, LogIndexError, RpcUnavailableError, HistoryStoreError, the signal's reason
 *
 * @example
 * import { readHistory } from "dstack-toolkit/history";
 * import { appId, client } from "./app.js";
 * const { changes, completeness } = await readHistory(client, { appId });
 * if (!completeness.isComplete) console.log(completeness.reasons);
 */
export async function readHistory(client: ChainClient, parameters: ReadHistoryParameters): Promise<History> {
  const store = parameters.store ?? openHistoryStore(":memory:");
  try {
    return await new HistoryReader(client, parameters, store).read();
  } finally {
    if (parameters.store === undefined) store.close();
  }
}

/** One run. */
class HistoryReader {
  readonly #client: ChainClient;
  readonly #parameters: ReadHistoryParameters;
  readonly #store: HistoryStore;
  readonly #retry: RetryOptions;
  readonly #size: RangeSize;
  #progress: HistoryProgress = { phase: "locating", blocksRead: 0n, blocksTotal: 0n, logsRead: 0 };

  constructor(client: ChainClient, parameters: ReadHistoryParameters, store: HistoryStore) {
    const { retryDelayMs = 250, signal, firstRange } = parameters;
    this.#client = client;
    this.#parameters = parameters;
    this.#store = store;
    this.#retry = { retryDelayMs, signal };
    this.#size = new RangeSize(firstRange === undefined ? undefined : BigInt(firstRange));
  }

  async read(): Promise<History> {
    const { appId } = this.#parameters;
    const chainId = await withRpcRetry(this.#client, this.#retry, "reading the chain id", () =>
      requireChain(this.#client),
    );
    const genesisHash = await this.#readGenesisHash();
    const scope = this.#store.scope({ chainId, genesisHash }, appId);
    for (let attempt = 1; ; attempt += 1) {
      const isLast = attempt === mostAttempts;
      try {
        const { history, isStill, isContradicted } = await this.#readOnce(scope, chainId);
        // A backend that was behind may have answered without the newest logs. Read them again, once. The same for an
        // index, whose logs could be wrong anywhere.
        const isDoubtful = attempt === 1 && (isContradicted || differs(history));
        if (isDoubtful && history.indexed !== undefined) scope.forgetIndexed();
        if (isStill && !isDoubtful) return history;
        if (isLast) return withReason(history, chainKeepsChanging);
      } catch (error) {
        if (!(error instanceof StaleEpochError)) throw error;
        if (isLast) throw new HistoryStoreError(this.#store.path, "locked");
      }
    }
  }

  async #readOnce(
    scope: HistoryScope,
    chainId: number,
  ): Promise<{ history: History; isStill: boolean; isContradicted: boolean }> {
    const { appId, toBlock, index } = this.#parameters;
    this.#report({ phase: "locating" });
    // Read before the pinned block is chosen: if another run finds replaced blocks after this, this run starts again.
    const epochBefore = scope.epoch();
    const pinned = await this.#readPinned(toBlock ?? "latest");
    const hasDropped = await dropReplacedBlocks(this.#client, scope, this.#retry);
    const epoch = epochBefore + (hasDropped ? 1 : 0);
    const found = await this.#locate(scope, pinned);
    if (found.block > pinned.number) throw new NoContractError(appId);
    // Save before reading any log, so that later runs can compare the logs with the chain they were read from.
    const unsettled = await readUnsettledBlocks(this.#client, pinned, { start: found.block, ...this.#retry });
    if (!scope.saveCheckpoints(epoch, [pinned, ...unsettled.checkpoints])) throw new StaleEpochError();

    const stable = index && (await readStableBlocks(this.#client, pinned, { ...this.#retry, unsettled }));
    if (index !== undefined && stable !== undefined) {
      const upToStable = { fromBlock: found.block, toBlock: stable.lastIndexed };
      const source = index.logsOf({ chainId, address: appId });
      await this.#read(scope, epoch, gapsIn(upToStable, scope.covered()), { host: index.host, source });
    }
    const { content, creation } = await this.#readLogs(scope, epoch, found, { pinned, unsettled: unsettled.count });
    const changes = await this.#withTimestamps(scope, epoch, content.changes);
    this.#report({ phase: "verifying" });
    const fromBlock = creation ?? found.block;
    const known = scope.record();
    const initialFlags =
      known.initialFlags ??
      (index && known.indexed?.initialFlags) ??
      (await readInitialFlags(this.#client, {
        appId,
        createdInBlock: fromBlock,
        toBlock: pinned.number,
        changes,
        ...this.#retry,
      }));
    const proof =
      stable &&
      (await proveIndexed(this.#client, {
        appId,
        pinned,
        tagged: stable.tagged,
        covered: content.covered.filter((range) => range.toBlock >= fromBlock),
        changes,
        initialFlags,
        ...this.#retry,
      }));
    const reasons: IncompletenessReason[] = [
      ...gapsIn({ fromBlock, toBlock: pinned.number }, content.covered).map(notRead),
      ...(creation === undefined ? [creationUnproven(fromBlock)] : []),
      ...(await this.#compare(pinned, changes, initialFlags)),
      ...(proof?.reasons ?? []),
    ];
    const after = await readBlock(this.#client, pinned.number, this.#retry);
    const isStill = after?.hash === pinned.hash && scope.epoch() === epoch;
    const isComplete = reasons.length === 0;
    const facts = { createdInBlock: fromBlock.toString(), initialFlags };
    if (isStill && isComplete) scope.saveRecord(epoch, proof === undefined ? facts : { indexed: facts });
    return {
      isStill,
      isContradicted: proof?.isContradicted ?? false,
      history: {
        chainId,
        appId,
        createdInBlock: fromBlock,
        pinned,
        changes,
        initialFlags,
        unknownLogs: content.unknownLogs,
        indexed: proof?.indexed,
        completeness: isComplete ? { isComplete } : { isComplete, reasons },
      },
    };
  }

  /** If the endpoint does not serve the first block, only the chain id identifies the chain. */
  async #readGenesisHash() {
    try {
      return (await readBlock(this.#client, 0n, this.#retry))?.hash ?? zeroHash;
    } catch (error) {
      if (isDstackError(error)) return zeroHash;
      throw error;
    }
  }

  async #readPinned(block: bigint | "latest"): Promise<PinnedBlock> {
    const pinned = await readBlock(this.#client, block, this.#retry);
    if (pinned !== undefined) return pinned;
    throw new RpcUnavailableError(`reading block ${block}`, { cause: new Error("The chain has no such block.") });
  }

  /** The block at which to start reading. */
  async #locate(scope: HistoryScope, { number: toBlock }: PinnedBlock): Promise<Start> {
    const { appId, fromBlock, index } = this.#parameters;
    const { createdInBlock } = scope.record();
    if (createdInBlock !== undefined) return { block: BigInt(createdInBlock), isFirst: true, isGiven: true };
    // An index reads the whole chain as fast as a part of it.
    if (index !== undefined) return { block: 0n, isFirst: true, isGiven: true };
    if (fromBlock !== undefined && fromBlock <= toBlock) {
      const earlier =
        fromBlock === 0n ? "empty" : await readCodePresence(this.#client, appId, fromBlock - 1n, this.#retry);
      if (earlier !== "code") return { block: fromBlock, isFirst: earlier === "empty", isGiven: true };
    }
    return {
      ...(await findCreationBlock(this.#client, { appId, toBlock, ...this.#retry })),
      isGiven: false,
    };
  }

  /** Reads the blocks that the store lacks. Goes further back until the logs themselves show the app's creation. */
  async #readLogs(scope: HistoryScope, epoch: number, found: Start, { pinned, unsettled }: End) {
    let start = found.block;
    const earlier = this.#covered(scope);
    const byChain = earlier.filter(({ index }) => index === undefined);
    const tail = tailOf(upTo(start), { covered: byChain, length: unsettled });
    let isServed = await this.#readServed(scope, epoch, mergeRanges([...gapsIn(upTo(start), earlier), ...tail]));
    for (let step = firstStepBack; ; step *= 2n) {
      const content = scope.content(pinned.number, this.#origins());
      if (!isServed) return { content, creation: undefined };
      const creation = findCreationInLogs(found, start, content);
      const isStuck = found.isGiven && !found.isFirst; // the caller named the first block to read
      if (creation !== undefined || isStuck) return { content, creation };
      const next = start > step ? start - step : 0n;
      const gaps = gapsIn({ fromBlock: next, toBlock: start - 1n }, this.#covered(scope));
      isServed = await this.#readServed(scope, epoch, gaps);
      start = next;
    }

    function upTo(fromBlock: bigint): BlockRange {
      return { fromBlock, toBlock: pinned.number };
    }
  }

  /**
   * Reads what the endpoint serves. Returns false if it has dropped the logs of the older blocks.
   *
   * @throws LogsUnavailableError if it does not serve the logs of the newest block either
   */
  async #readServed(scope: HistoryScope, epoch: number, ranges: readonly BlockRange[]): Promise<boolean> {
    try {
      await this.#read(scope, epoch, ranges);
      return true;
    } catch (error) {
      if (!(error instanceof LogsUnavailableError)) throw error;
      const asked = { address: this.#parameters.appId, ranges, ...this.#retry };
      const served = await findServedRanges(this.#client, asked);
      if (served.length === 0) throw error;
      await this.#read(scope, epoch, served);
      return false;
    }
  }

  /** Without an index, what an earlier run read from one does not count. */
  #origins(): "any" | "chain" {
    return this.#parameters.index === undefined ? "chain" : "any";
  }

  #covered(scope: HistoryScope): CoveredRange[] {
    return scope.covered().filter(({ index }) => index === undefined || this.#origins() === "any");
  }

  /** @param from the index to read from; the chain's endpoint if undefined */
  async #read(
    scope: HistoryScope,
    epoch: number,
    ranges: readonly BlockRange[],
    from?: { readonly host: string; readonly source: LogSource },
  ): Promise<void> {
    const { appId, concurrency = defaultConcurrency } = this.#parameters;
    const { blocksTotal } = this.#progress;
    this.#report({ phase: "reading", blocksTotal: blocksTotal + blocksIn(ranges) });
    const origin = from === undefined ? "chain" : { index: from.host };
    const save = (pieces: readonly BlockRange[], logs: readonly PolicyLog[]) => {
      if (!scope.save(epoch, pieces, logs, origin)) throw new StaleEpochError();
    };
    const batch = new Batch(save, from === undefined ? logsPerBatch : 1);
    try {
      await scanSource(from?.source ?? endpointSource(this.#client, appId), {
        ranges,
        concurrency: from === undefined ? concurrency : 1,
        size: from === undefined ? this.#size : indexRangeSize(),
        ...this.#retry,
        onLogs: (piece, logs) => {
          batch.add(piece, logs);
          const { blocksRead, logsRead } = this.#progress;
          this.#report({ blocksRead: blocksRead + lengthOf(piece), logsRead: logsRead + logs.length });
        },
      });
    } finally {
      batch.save();
    }
  }

  async #withTimestamps(scope: HistoryScope, epoch: number, changes: readonly PolicyChange[]) {
    const { timestamps: areWanted = false, concurrency = defaultConcurrency } = this.#parameters;
    const untimed = changes.filter(({ timestamp }) => timestamp === undefined);
    if (!areWanted || untimed.length === 0) return changes;
    const known = new Map<bigint, bigint>();
    await readTimestamps(this.#client, {
      blocks: [...new Set(untimed.map(({ blockNumber }) => blockNumber))],
      concurrency: Math.min(concurrency, mostTimesAtOnce),
      ...this.#retry,
      onTimestamps: (timestamps) => {
        scope.saveTimestamps(epoch, timestamps);
        for (const [block, timestamp] of timestamps) known.set(block, timestamp);
      },
    });
    return changes.map((change) => ({ ...change, timestamp: change.timestamp ?? known.get(change.blockNumber) }));
  }

  async #compare(
    { number: blockNumber }: PinnedBlock,
    changes: readonly PolicyChange[],
    initialFlags: InitialFlags,
  ): Promise<IncompletenessReason[]> {
    const { appId, toBlock } = this.#parameters;
    try {
      return await compareWithState(this.#client, { appId, blockNumber, changes, initialFlags, ...this.#retry });
    } catch (error) {
      if (toBlock === undefined || !(error instanceof RpcUnavailableError)) throw error;
      const message = `The endpoint does not serve the state of block ${blockNumber}, so the events were not compared with it.`;
      return [{ kind: "notVerified", message }];
    }
  }

  #report(news: Partial<HistoryProgress>): void {
    this.#progress = { ...this.#progress, ...news };
    this.#parameters.onProgress?.(this.#progress);
  }
}

/** Pieces that are saved in one transaction. */
class Batch {
  readonly #save: (pieces: readonly BlockRange[], logs: readonly PolicyLog[]) => void;
  readonly #mostLogs: number;
  #pieces: BlockRange[] = [];
  #logs: PolicyLog[] = [];
  #since = 0;

  constructor(save: (pieces: readonly BlockRange[], logs: readonly PolicyLog[]) => void, mostLogs: number) {
    this.#save = save;
    this.#mostLogs = mostLogs;
  }

  /** Saves at once what is large or old enough: a killed process loses at most that much. */
  add(piece: BlockRange, logs: readonly PolicyLog[]): void {
    if (this.#pieces.length === 0) this.#since = systemClock.now();
    this.#pieces.push(piece);
    this.#logs.push(...logs);
    const isLarge = this.#logs.length >= this.#mostLogs;
    if (isLarge || systemClock.now() - this.#since >= longestBatchMs) this.save();
  }

  save(): void {
    const [pieces, logs] = [this.#pieces, this.#logs];
    this.#pieces = [];
    this.#logs = [];
    if (pieces.length > 0) this.#save(pieces, logs);
  }
}

/** Pages of an index are larger and slower, so each is saved at once. */
const logsPerBatch = 5_000;
const longestBatchMs = 200;

/** Another run deleted blocks from the store while this run was reading. */
class StaleEpochError extends Error {}

interface End {
  readonly pinned: PinnedBlock;
  /** Number of blocks below it that may still change. */
  readonly unsettled: bigint;
}

/** The last blocks that an earlier run read. */
function tailOf(
  { fromBlock, toBlock }: BlockRange,
  { covered, length }: { readonly covered: readonly BlockRange[]; readonly length: bigint },
): BlockRange[] {
  const last = covered.findLast((range) => range.fromBlock <= toBlock);
  if (last === undefined || last.toBlock < fromBlock) return [];
  const end = last.toBlock < toBlock ? last.toBlock : toBlock;
  const start = end - length + 1n;
  return [{ fromBlock: start > fromBlock ? start : fromBlock, toBlock: end }];
}

function differs({ completeness }: History): boolean {
  return !completeness.isComplete && completeness.reasons.some(({ kind }) => kind.endsWith("Differs"));
}

const chainKeepsChanging: IncompletenessReason = {
  kind: "chainKeepsChanging",
  message:
    "The chain replaced its newest blocks each time while they were read. Try again later, or give an older block.",
};

function withReason(history: History, reason: IncompletenessReason): History {
  const { completeness } = history;
  const reasons = completeness.isComplete ? [reason] : [...completeness.reasons, reason];
  return { ...history, completeness: { isComplete: false, reasons } };
}

function notRead(range: BlockRange): IncompletenessReason {
  return { kind: "blocksNotRead", ...range, message: `Blocks ${range.fromBlock} to ${range.toBlock} were not read.` };
}

function creationUnproven(fromBlock: bigint): IncompletenessReason {
  const message = `It is not proven that the app did not exist before block ${fromBlock}, where the history begins.`;
  return { kind: "creationUnproven", fromBlock, message };
}
