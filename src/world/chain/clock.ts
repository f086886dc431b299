import type { AnswerRpc } from "./rpc-server.ts";

/** EDR's chain, and how it was started. */
export interface SimulatedEngine {
  readonly request: AnswerRpc;
  /** Whether a block may have the timestamp of its parent. */
  readonly allowsEqualTimestamps: boolean;
}

export interface ChainClock {
  readonly answer: AnswerRpc;
  /** The time of a block that would be mined now, in Unix seconds. */
  now(): Promise<number>;
}

/** Calls that mine, or may mine. */
const miningCalls = ["evm_mine", "hardhat_mine", "eth_sendTransaction", "eth_sendRawTransaction"];

/**
 * The clock of EDR's chain, with one correction. After `evm_revert`, EDR's clock is ahead by the time that passed since
 * the snapshot, instead of back at the snapshot's time. The next block then gets the right timestamp, and with it EDR's
 * clock is right again.
 */
export function createChainClock({ request, allowsEqualTimestamps }: SimulatedEngine): ChainClock {
  /** The time at each snapshot. */
  const snapshots = new Map<unknown, number>();
  /** How far EDR's clock is ahead, and its offset to this machine's clock, until a block is mined. */
  let error: { readonly ahead: number; readonly offset: number; readonly isTimeChosen?: boolean } | undefined;

  const readOffset = async () => Number(await request("evm_increaseTime", [0]));

  /** The seconds that EDR's clock is ahead now. Another offset shows that a block was mined since. */
  async function readAhead(offset: number): Promise<number> {
    if (error?.offset !== offset) error = undefined;
    return error?.ahead ?? 0;
  }

  async function now(): Promise<number> {
    const offset = await readOffset();
    return Math.floor(Date.now() / 1000) + offset - (await readAhead(offset));
  }

  async function setNextTimestamp(): Promise<void> {
    const [time, head] = await Promise.all([now(), request("eth_getBlockByNumber", ["latest", false])]);
    if (error === undefined || error.isTimeChosen) return;
    const earliest = Number(Object(head).timestamp) + (allowsEqualTimestamps ? 0 : 1);
    // EDR refuses the time if another call has mined a block meanwhile, and so has set the clock.
    await request("evm_setNextBlockTimestamp", [Math.max(time, earliest)]).catch(() => {});
  }

  async function revert(params: readonly unknown[]): Promise<unknown> {
    const isBack = await request("evm_revert", params);
    const time = snapshots.get(params[0]);
    if (isBack !== true || time === undefined) return isBack;
    error = undefined;
    const [ahead, offset] = [(await now()) - time, await readOffset()];
    if (ahead > 0) error = { ahead, offset };
    await setNextTimestamp();
    return isBack;
  }

  async function increaseTime(params: readonly unknown[]): Promise<unknown> {
    const ahead = await readAhead(await readOffset());
    const offset = Number(await request("evm_increaseTime", params));
    if (error !== undefined) error = { ...error, offset };
    await setNextTimestamp();
    return String(offset - ahead);
  }

  return {
    now,
    answer: async (method, params) => {
      if (method === "evm_revert") return revert(params);
      if (method === "evm_increaseTime") return increaseTime(params);
      if (error !== undefined && miningCalls.includes(method)) await setNextTimestamp();
      const result = await request(method, params);
      if (method === "evm_snapshot") snapshots.set(result, await now());
      if (method === "evm_setNextBlockTimestamp" && error) error = { ...error, isTimeChosen: true };
      return result;
    },
  };
}
