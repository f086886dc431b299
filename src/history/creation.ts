import { numberToHex } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { type RetryOptions, requestOnce } from "../chain/retry.ts";
import type { AppId } from "../core/ids.ts";
import { NoContractError } from "../errors/index.ts";
import { retryUnlessRefused } from "./refusals.ts";
import type { ScopeContent } from "./store.ts";

/**
 * An unclear refusal may be a temporary error or mean "no such state". After this many tries, accept it as an answer.
 */
const mostDoubts = 3;

export interface FindCreationBlockParameters extends RetryOptions {
  readonly appId: AppId;
  /** The newest block to search; the app's code must exist there. */
  readonly toBlock: bigint;
}

export interface FoundCreation {
  /**
   * The first block at which the endpoint shows the app's code, or `toBlock` if it does not serve that block's state.
   */
  readonly block: bigint;
  /** Whether the endpoint says that there was no code one block earlier. False if it does not serve that state. */
  readonly isFirst: boolean;
}

/**
 * Finds the block an app was created in, by a search that leaves a quarter of the chain with every three requests.
 *
 * @throws NoContractError, RpcUnavailableError, the signal's reason
 */
export async function findCreationBlock(
  client: ChainClient,
  { appId, toBlock, ...retry }: FindCreationBlockParameters,
): Promise<FoundCreation> {
  const now = await readCodePresence(client, appId, toBlock, retry);
  if (now === "empty") throw new NoContractError(appId);
  if (now === "unknown") return { block: toBlock, isFirst: false };
  let first = toBlock;
  let lowest = 0n;
  let isFirst = true;
  // Blocks below `lowest` have no code, or the endpoint does not serve their state. Block `first` has code.
  while (lowest < first) {
    const middles = pointsBetween(lowest, first);
    const presences = await Promise.all(middles.map((block) => readCodePresence(client, appId, block, retry)));
    const found = presences.indexOf("code");
    const below = (found === -1 ? presences.length : found) - 1;
    first = middles[found] ?? first;
    const [absent, presence] = [middles[below], presences[below]];
    if (absent === undefined) continue;
    lowest = absent + 1n;
    isFirst = presence === "empty";
  }
  return { block: first, isFirst };
}

/** Requests that run in parallel. A round of three leaves a quarter of the blocks, so it replaces two rounds of one. */
const pointsAtOnce = 3n;

/** Blocks from `lowest` to below `first`, at equal distances, ascending. */
function pointsBetween(lowest: bigint, first: bigint): bigint[] {
  const points = Array.from(
    { length: Number(pointsAtOnce) },
    (_, index) => lowest + ((first - lowest) * BigInt(index + 1)) / (pointsAtOnce + 1n),
  );
  return [...new Set(points)];
}

/** Whether there is code at a block; `unknown` if the endpoint does not serve that block's state. */
export async function readCodePresence(
  client: ChainClient,
  appId: AppId,
  block: bigint,
  retry: RetryOptions,
): Promise<"code" | "empty" | "unknown"> {
  const params = [appId, numberToHex(block)];
  const read = async () => {
    const code = await requestOnce(client, { method: "eth_getCode", params }, retry.signal);
    if (typeof code !== "string" || !code.startsWith("0x")) throw new Error("The endpoint's answer contains no code.");
    return code === "0x" ? "empty" : "code";
  };
  const onRefusal = () => "unknown" as const;
  const doing = "looking for the app's creation";
  return retryUnlessRefused(client, { ...retry, block, doing, mostDoubts, onRefusal }, read);
}

/** The block at which reading starts. */
export interface Start extends FoundCreation {
  /** The caller or an earlier run named the block, so it may be earlier than the creation itself. */
  readonly isGiven: boolean;
}

/**
 * The block of an app's creation, if the logs from `fromBlock` on show that nothing precedes it. An endpoint's answer
 * that there was no earlier code counts only if the start block was given, or if the block in which the code appeared
 * has a log: an endpoint that has pruned old state may also answer "no code".
 */
export function findCreationInLogs(
  start: Start,
  fromBlock: bigint,
  { firstBlockWithLogs, changes }: ScopeContent,
): bigint | undefined {
  const isShownByCode =
    start.isFirst && start.block === fromBlock && (start.isGiven || firstBlockWithLogs === fromBlock);
  const isShownByEvent = changes.some((change) => change.kind === "initialized" && change.version === 1n);
  const isWholeChain = fromBlock === 0n;
  return isShownByCode || isShownByEvent || isWholeChain ? (firstBlockWithLogs ?? fromBlock) : undefined;
}
