import { BlockNotFoundError, type TransactionReceipt } from "viem";
import { getBlock } from "viem/actions";
import { parseTransactionHash } from "../../core/ids.ts";
import { poll } from "../../core/retry.ts";
import {
  FinalityTimeoutError,
  NonceTakenError,
  RpcUnavailableError,
  TransactionCancelledError,
  TransactionRevertedError,
} from "../../errors/index.ts";
import type { ChainClient } from "../client.ts";
import { systemClock } from "../retry.ts";
import { errorChain, withRpcErrors } from "../rpc-errors.ts";
import { defaultFinality, type FinalityTag } from "./chain-identity.ts";
import { followTransaction } from "./follow.ts";
import type { Ended, FollowContext, FollowSettings } from "./follow-context.ts";
import type { LedgerTransaction } from "./ledger-records.ts";
import { recordEnd } from "./outcome.ts";
import { isBlockOnChain, readReceipt } from "./receipt.ts";
import type { SenderParameters } from "./sender-parameters.ts";

/** A mined transaction with its receipt. */
export type Mined = Ended & { readonly receipt: TransactionReceipt };

/** Usual times from a block to its stage, in ms. Nine of ten blocks are faster. */
const typicalTimes: Readonly<Record<"ethereum" | "rollup", Readonly<Record<FinalityTag, number>>>> = {
  ethereum: { latest: 0, safe: 735_000, finalized: 1_120_000 },
  rollup: { latest: 0, safe: 75_000, finalized: 1_235_000 },
};
const ethereum = [1, 11_155_111, 17_000, 560_048];
/**
 * The wait for a stage lasts at most this many times its usual duration. After half of that, the stage counts as
 * stalled.
 */
const patience = 4;

/** The usual time from a block of this chain to its stage, in ms. */
function typicalMs(chainId: number, tag: FinalityTag): number {
  return typicalTimes[ethereum.includes(chainId) ? "ethereum" : "rollup"][tag];
}

/** The stage that counts as done, and how long it may take. */
export type Stage = Pick<SenderParameters, "until" | "finalityTimeoutMs" | "typicalFinalityMs">;

/**
 * Waits once for several mined transactions, until the newest of their blocks is at a stage. If a reorganisation removes
 * one of them from the chain, it is sent again, and waited for again.
 *
 * @param ended mined transactions. The receipts of earlier runs' transactions may be absent; they are read.
 * @throws FinalityTimeoutError; TransactionRevertedError and NonceTakenError after a reorganisation; and what
 * followTransaction throws
 */
export async function waitForFinality(
  context: FollowContext,
  ended: readonly Ended[],
  stage: Stage,
): Promise<readonly Mined[]> {
  const { ledger, settings, identity } = context;
  const { until = defaultFinality(identity) } = stage;
  let mined = await Promise.all(ended.map((one) => (isMined(one) ? one : keepMined(context, one))));
  if (mined.length === 0 || until === "latest") return mined;
  const { typicalFinalityMs: typical = typicalMs(identity.chainId, until) } = stage;
  const { finalityTimeoutMs: timeoutMs = patience * typical } = stage;
  const tag = new TagWatch(context, until, typical);
  settings.onEvent?.({
    ...{ kind: "waitingForFinality", tag: until },
    ...{ blockNumber: newestOf(mined).blockNumber, typicalMs: typical },
  });
  let taggedBlock: bigint | undefined;
  const look = async (): Promise<readonly Mined[] | undefined> => {
    const newest = newestOf(mined);
    taggedBlock = await tag.read();
    const isReached = tag.hasReached(newest.blockNumber);
    if (!(await isElsewhere(context, newest))) {
      if (isReached) await requireOnChain(context, newest);
      return isReached ? mined : undefined;
    }
    mined = await Promise.all(mined.map((one) => keepMined(context, one)));
    return undefined;
  };
  const onTimeout = (waitedMs: number, fault: unknown) => {
    const transactionHashes = mined.map(({ receipt }) => receipt.transactionHash);
    const details = { tag: until, transactionHashes, blockNumber: newestOf(mined).blockNumber, taggedBlock };
    return fault ?? new FinalityTimeoutError(details, waitedMs);
  };
  const mayPass = (error: unknown) => error instanceof RpcUnavailableError;
  await poll(
    { clock: systemClock, signal: settings.signal },
    { everyMs: settings.pollIntervalMs, timeoutMs, mayPass, onTimeout },
    look,
  );
  ledger.setFinality(
    mined.map(({ transaction }) => transaction.id),
    until,
  );
  settings.onEvent?.({ kind: "final", tag: until, blockNumber: newestOf(mined).blockNumber });
  return mined;
}

/** What a wait for the stage of another program's transaction needs. */
export interface StageContext extends Pick<FollowContext, "client" | "identity"> {
  readonly settings: Pick<FollowSettings, "pollIntervalMs" | "signal" | "onEvent">;
}

/**
 * Waits until the block of a transaction that no ledger here holds is at a stage. Returns false if a reorganisation has
 * moved or removed the transaction.
 *
 * @throws FinalityTimeoutError, RpcUnavailableError
 */
export async function waitForStage(
  context: StageContext,
  {
    transactionHash,
    blockNumber,
    blockHash,
  }: Pick<TransactionReceipt, "transactionHash" | "blockNumber" | "blockHash">,
  stage: Stage,
): Promise<boolean> {
  const { client, settings, identity } = context;
  const { until = defaultFinality(identity) } = stage;
  if (until === "latest") return true;
  const { typicalFinalityMs = typicalMs(identity.chainId, until) } = stage;
  const tag = new TagWatch(context, until, typicalFinalityMs);
  settings.onEvent?.({ kind: "waitingForFinality", tag: until, blockNumber, typicalMs: typicalFinalityMs });
  let taggedBlock: bigint | undefined;
  await poll(
    { clock: systemClock, signal: settings.signal },
    {
      everyMs: settings.pollIntervalMs,
      timeoutMs: stage.finalityTimeoutMs ?? patience * typicalFinalityMs,
      mayPass: (error) => error instanceof RpcUnavailableError,
      onTimeout: (waitedMs, fault) => {
        const details = { tag: until, transactionHashes: [transactionHash], blockNumber, taggedBlock };
        return fault ?? new FinalityTimeoutError(details, waitedMs);
      },
    },
    async () => {
      taggedBlock = await tag.read();
      return tag.hasReached(blockNumber) ? true : undefined;
    },
  );
  settings.onEvent?.({ kind: "final", tag: until, blockNumber });
  const receipt = await readReceipt(client, parseTransactionHash(transactionHash));
  return receipt?.blockHash === blockHash && (await isBlockOnChain(client, receipt));
}

function isMined(ended: Ended): ended is Mined {
  return ended.receipt !== undefined;
}

/** The receipt of the newest block. A reorganisation that removes any of the blocks removes this one as well. */
function newestOf(mined: readonly Mined[]): TransactionReceipt {
  const receipts = mined.map(({ receipt }) => receipt);
  return receipts.reduce((newest, receipt) => (receipt.blockNumber > newest.blockNumber ? receipt : newest));
}

/** Whether the transaction is no longer in the block in which it was seen. */
async function isElsewhere(context: FollowContext, seen: TransactionReceipt): Promise<boolean> {
  const receipt = await readReceipt(context.client, parseTransactionHash(seen.transactionHash));
  if (receipt !== undefined) return receipt.blockHash !== seen.blockHash;
  // An endpoint that is behind does not know the block at all.
  const block = await findBlock(context, seen.blockNumber);
  return block !== undefined && block.hash !== seen.blockHash;
}

/** A cache before a node may return the receipt of a block that left the chain. It proves no stage. */
async function requireOnChain({ client }: FollowContext, receipt: TransactionReceipt): Promise<void> {
  if (await isBlockOnChain(client, receipt)) return;
  throw new RpcUnavailableError(readingBlock, { said: `block ${receipt.blockNumber} of its receipt left the chain` });
}

async function findBlock({ client }: FollowContext, blockNumber: bigint) {
  return withRpcErrors(client, readingBlock, () =>
    getBlock(client, { blockNumber }).catch((error: unknown) => {
      if (error instanceof BlockNotFoundError) return undefined;
      throw error;
    }),
  );
}

const readingBlock = "reading the transaction's block";

/** An endpoint that is behind says nothing about a mined transaction. A development chain can be set back. */
async function requireBlock(context: FollowContext, { proof }: LedgerTransaction): Promise<void> {
  const { blockNumber } = proof ?? {};
  if (context.identity.isDevelopment || blockNumber === undefined) return;
  if ((await findBlock(context, blockNumber)) !== undefined) return;
  throw new RpcUnavailableError(readingBlock, { said: `it does not know block ${blockNumber}` });
}

/** Reads a mined transaction again, which may revert in another block. */
async function keepMined(context: FollowContext, { transaction, receipt: seen }: Ended): Promise<Mined> {
  const isCancelled = transaction.state === "cancelled";
  const hash = transaction.proof?.transactionHash;
  const receipt = hash && (await readReceipt(context.client, hash));
  if (receipt === undefined && seen !== undefined && !(await isElsewhere(context, seen)))
    return { transaction, receipt: seen };
  const ended = receipt
    ? recordEnd(context, transaction, receipt, isCancelled ? "cancel" : "call")
    : await sendDropped(context, transaction, seen);
  return isCancelled && ended.transaction.state === "cancelled" && isMined(ended) ? ended : requireMined(ended);
}

/** Opens a transaction in the ledger that is not mined any more, and sees it to its end. */
async function sendDropped(
  context: FollowContext,
  transaction: LedgerTransaction,
  seen: TransactionReceipt | undefined,
): Promise<Ended> {
  if (seen === undefined) await requireBlock(context, transaction);
  const dropped = context.ledger.setState(transaction.id, "open");
  context.settings.onEvent?.({ kind: "dropped", transaction: dropped });
  return followTransaction(context, dropped);
}

/** @throws TransactionRevertedError, TransactionCancelledError, NonceTakenError */
export function requireMined(ended: Ended): Mined {
  const { transaction, receipt } = ended;
  const { from, nonce, functionName, state, proof } = transaction;
  if (state === "mined" && receipt !== undefined) return { transaction, receipt };
  if (state === "reverted" && receipt !== undefined)
    throw new TransactionRevertedError(receipt.transactionHash, functionName);
  const by = proof?.transactionHash;
  if (state === "cancelled" || state === "refused") throw new TransactionCancelledError(transaction, by);
  const taker = by === undefined ? undefined : ({ kind: "mined", transactionHash: by } as const);
  throw new NonceTakenError(from, nonce, transaction.attempts.at(-1)?.transactionHash, taker);
}

/** The block that a tag names, and how it moves. Falls back to a time if the endpoint does not know the tag. */
class TagWatch {
  readonly #context: Pick<StageContext, "client" | "settings">;
  readonly #tag: FinalityTag;
  readonly #typicalMs: number;
  readonly #start = Date.now();
  #block: bigint | undefined;
  #movedAt = Date.now();
  #isReported = false;

  constructor(context: Pick<StageContext, "client" | "settings">, tag: FinalityTag, typicalMs: number) {
    this.#context = context;
    this.#tag = tag;
    this.#typicalMs = typicalMs;
  }

  /** Undefined if the endpoint does not know the tag. */
  async read(): Promise<bigint | undefined> {
    const { client, settings } = this.#context;
    const block = await readTaggedBlock(client, this.#tag);
    const tag = this.#tag;
    if (block !== this.#block) {
      [this.#block, this.#movedAt, this.#isReported] = [block, Date.now(), false];
    }
    const stalledMs = Date.now() - this.#movedAt;
    if (!this.#isReported && block === undefined)
      settings.onEvent?.({ kind: "tagUnknown", tag, waitMs: this.#typicalMs });
    const isStalled = block !== undefined && stalledMs >= (patience / 2) * this.#typicalMs;
    if (!this.#isReported && isStalled) settings.onEvent?.({ kind: "tagStalled", tag, taggedBlock: block, stalledMs });
    this.#isReported ||= block === undefined || isStalled;
    return block;
  }

  hasReached(blockNumber: bigint): boolean {
    if (this.#block !== undefined) return this.#block >= blockNumber;
    return Date.now() - this.#start >= this.#typicalMs;
  }
}

/** Undefined if the endpoint does not know the tag. */
async function readTaggedBlock(client: ChainClient, tag: FinalityTag): Promise<bigint | undefined> {
  try {
    return (await getBlock(client, { blockTag: tag })).number ?? undefined;
  } catch (error) {
    const isAnswer =
      error instanceof BlockNotFoundError || errorChain(error).some(({ code }) => typeof code === "number");
    return isAnswer ? undefined : withRpcErrors(client, `reading the ${tag} block`, () => Promise.reject(error));
  }
}

/** How far a chain is with a stage of its blocks. */
export interface StageProgress {
  readonly latestBlock: bigint;
  /** The newest block at the stage. Undefined if the endpoint does not know the tag. */
  readonly taggedBlock: bigint | undefined;
  /** The usual time from a block to the stage, in ms. */
  readonly typicalMs: number;
  /** How long a wait for the stage may take, in ms. */
  readonly longestMs: number;
}

/** @throws RpcUnavailableError */
export async function readStageProgress(
  client: ChainClient,
  { chainId, tag }: { readonly chainId: number; readonly tag: FinalityTag },
): Promise<StageProgress> {
  const latest = withRpcErrors(client, "reading the latest block", () => getBlock(client));
  const [{ number: latestBlock }, taggedBlock] = await Promise.all([latest, readTaggedBlock(client, tag)]);
  const typical = typicalMs(chainId, tag);
  return { latestBlock, taggedBlock, typicalMs: typical, longestMs: patience * typical };
}
