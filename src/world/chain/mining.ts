import { numberToHex } from "viem";
import type { SimulatedEngine } from "./clock.ts";
import { parseQuantity } from "./rpc-faults.ts";
import type { AnswerRpc } from "./rpc-server.ts";

/** EDR aborts the process when it is asked for more at once on an OP stack chain. */
const mostBlocksAtOnce = 7n;

export interface Mining {
  readonly answer: AnswerRpc;
  /** Runs the work while no timer mines. Blocks that callers mine are still mined. */
  withoutTimer<Result>(work: () => Promise<Result>): Promise<Result>;
}

/** Answers the calls that make blocks, and knows whether a timer makes them. */
export function createMining({ request, allowsEqualTimestamps }: SimulatedEngine): Mining {
  let timer: readonly unknown[] = [0];
  return {
    answer: async (method, params) => {
      if (method === "hardhat_mine") return mine(params);
      const result = await request(method, params);
      if (method === "evm_setIntervalMining") timer = params;
      return result;
    },
    withoutTimer: async (work) => {
      await request("evm_setIntervalMining", [0]);
      try {
        return await work();
      } finally {
        await request("evm_setIntervalMining", timer);
      }
    },
  };

  async function mine([count, seconds]: readonly unknown[]): Promise<unknown> {
    let left = parseQuantity(count) ?? 1n;
    const interval = parseQuantity(seconds) ?? 1n;
    const canBeSpaced = interval > 0n || allowsEqualTimestamps;
    for (let isFirst = true; left > 0n; isFirst = false) {
      if (!isFirst && canBeSpaced) await spaceFromLatest(interval);
      const blocks = left < mostBlocksAtOnce ? left : mostBlocksAtOnce;
      await request("hardhat_mine", [numberToHex(blocks), numberToHex(interval)]);
      left -= blocks;
    }
    return true;
  }

  async function spaceFromLatest(interval: bigint): Promise<void> {
    const latest = Object(await request("eth_getBlockByNumber", ["latest", false])) as { timestamp: string };
    await request("evm_setNextBlockTimestamp", [numberToHex(BigInt(latest.timestamp) + interval)]);
  }
}
