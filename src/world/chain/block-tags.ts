import { numberToHex } from "viem";
import type { ChainClock } from "./clock.ts";
import type { AnswerRpc } from "./rpc-server.ts";

/** How many seconds old a block must be to have a tag. */
export type TagLags = Readonly<Record<LaggingTag, number>>;

type LaggingTag = "safe" | "finalized";

/** The newest block that a tag has named. A chain's tags never go back. */
type Marks = Record<LaggingTag, bigint>;

/**
 * Answers `safe` and `finalized` with blocks that are some seconds old, as real chains do. EDR answers both with the
 * newest block. Every call that names one of the tags is passed on with the number of the block instead.
 *
 * A block's age counts on the chain's own clock, so a caller who moves the clock moves the tags. A chain without an old
 * enough block answers with block 0.
 */
export function withLaggingTags({ answer: request, now }: ChainClock, lags: TagLags): AnswerRpc {
  let marks: Marks = { safe: 0n, finalized: 0n };
  const isLagging = (value: unknown): value is LaggingTag =>
    (value === "safe" || value === "finalized") && lags[value] > 0;
  const translate = async (value: unknown) => (isLagging(value) ? findBlock(value) : value);
  return async (method, params) => {
    if (method === "evm_revert") {
      return request(method, params).finally(() => {
        marks = { safe: 0n, finalized: 0n };
      });
    }
    return request(method, await Promise.all(params.map(async (param) => translate(await withFilter(param)))));
  };

  /** A filter of logs names its blocks in fields. Other objects have no such fields. */
  async function withFilter(param: unknown): Promise<unknown> {
    const { fromBlock, toBlock } = Object(param) as Record<string, unknown>;
    if (!isLagging(fromBlock) && !isLagging(toBlock)) return param;
    const [from, to] = await Promise.all([translate(fromBlock), translate(toBlock)]);
    return {
      ...Object(param),
      ...(from !== undefined && { fromBlock: from }),
      ...(to !== undefined && { toBlock: to }),
    };
  }

  async function findBlock(tag: LaggingTag): Promise<string> {
    // A revert replaces the object, so a search that began before it cannot change the marks after it.
    const known = marks;
    const [clock, head] = await Promise.all([now(), readBlock("latest")]);
    if (head === undefined) throw new Error("The simulated chain did not answer with its newest block.");
    // Blocks that were mined in quick succession may be ahead of the clock.
    const time = Math.max(clock, head.timestamp) - lags[tag];
    const found = await findNewest(time, head.number, known[tag]);
    if (found > known[tag]) known[tag] = found;
    return numberToHex(known[tag]);
  }

  /** The newest block up to the time. Looks at blocks near the head first, because a fork reads each from its upstream. */
  async function findNewest(time: number, head: bigint, oldest: bigint): Promise<bigint> {
    const isOldEnough = async (number: bigint) => {
      const block = await readBlock(numberToHex(number));
      return block !== undefined && block.timestamp <= time;
    };
    let tooNew = head + 1n;
    let found = head;
    for (let step = 1n; found > oldest && !(await isOldEnough(found)); step *= 2n) {
      tooNew = found;
      found = found - step > oldest ? found - step : oldest;
    }
    while (tooNew - found > 1n) {
      const middle = (found + tooNew) / 2n;
      if (await isOldEnough(middle)) found = middle;
      else tooNew = middle;
    }
    return found;
  }

  /** Undefined if a revert has removed the block in the meantime. */
  async function readBlock(name: string) {
    const block = await request("eth_getBlockByNumber", [name, false]);
    if (block === null) return undefined;
    const { number, timestamp } = Object(block) as Record<"number" | "timestamp", string>;
    return { number: BigInt(number), timestamp: Number(timestamp) };
  }
}
