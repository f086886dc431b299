import { homedir } from "node:os";
import { join } from "node:path";
import { createHardhatRuntimeEnvironment } from "hardhat/hre";
import { baseChainDescriptor, baseChainId } from "./base-network.ts";
import { refuseFatalCall } from "./fatal-calls.ts";
import { createForkErrorCleaner } from "./fork-errors.ts";
import type { ForkPoint } from "./fork-point.ts";
import type { AnswerRpc } from "./rpc-server.ts";
import { isTypeFour, sendTypeFour } from "./send-type-four.ts";

export interface SimulatedChainParameters {
  /** Timestamp of block 0; a fork goes on from its own block's. */
  readonly genesis: Date;
  readonly fork?: ForkPoint | undefined;
}

export interface SimulatedChain {
  readonly answer: AnswerRpc;
  close(): Promise<void>;
}

/**
 * Hardhat's simulated chain with Base's rules, in this process. It has a Hardhat environment of its own: whatever
 * project it runs in, neither that project's configuration nor its artifacts change it.
 */
export async function createSimulatedChain({ genesis, fork }: SimulatedChainParameters): Promise<SimulatedChain> {
  const cleaned = fork === undefined ? (error: unknown) => error : createForkErrorCleaner(fork.url);
  const hre = await createHardhatRuntimeEnvironment(
    {
      chainDescriptors: { [baseChainId]: baseChainDescriptor },
      // Blocks of a fork are kept across runs; artifacts would only be read to word the messages of reverts.
      paths: { cache: userDirectory("cache"), artifacts: userDirectory("no-artifacts") },
      networks: {
        chain: {
          type: "edr-simulated",
          chainType: "op",
          chainId: baseChainId,
          // EDR keeps some 200 bytes for each unit of gas that a failing call burns; an endless loop would fill the memory.
          transactionGasCap: 16_777_216n,
          // As on a real chain: a transaction that reverts is mined, and its receipt says so.
          throwOnTransactionFailures: false,
          ...(fork === undefined ? { initialDate: genesis } : forkSettings(fork)),
        },
      },
    },
    {},
    // Any directory of an npm package does, as nothing is read from it.
    import.meta.dirname,
  );
  const connection = await hre.network.create("chain").catch((error: unknown) => Promise.reject(cleaned(error)));
  const request: AnswerRpc = async (method, params) => {
    try {
      return await connection.provider.request({ method, params: [...params] });
    } catch (error) {
      throw cleaned(error);
    }
  };
  return {
    answer: async (method, params) => {
      refuseFatalCall(method, params);
      if (method === "hardhat_mine") return mine(request, params);
      const [raw] = params;
      return method === "eth_sendRawTransaction" && isTypeFour(raw)
        ? sendTypeFour(request, raw)
        : request(method, params);
    },
    close: () => connection.close(),
  };
}

function forkSettings({ url, blockNumber, hardfork }: ForkPoint) {
  return { forking: { url, blockNumber }, ...(hardfork !== undefined && { hardfork }) };
}

function userDirectory(name: string): string {
  return join(homedir(), ".cache", "dstack-toolkit", name);
}

/** EDR aborts the process when it is asked for more at once on an OP stack chain. */
const mostBlocksAtOnce = 7n;

async function mine(request: AnswerRpc, [count = "0x1", interval = "0x1"]: readonly unknown[]): Promise<unknown> {
  let left = BigInt(String(count));
  for (let isFirst = true; left > 0n; isFirst = false) {
    if (!isFirst) await spaceFromLatest(request, BigInt(String(interval)));
    const blocks = left < mostBlocksAtOnce ? left : mostBlocksAtOnce;
    await request("hardhat_mine", [toQuantity(blocks), interval]);
    left -= blocks;
  }
  return true;
}

async function spaceFromLatest(request: AnswerRpc, interval: bigint): Promise<void> {
  const latest = Object(await request("eth_getBlockByNumber", ["latest", false])) as { timestamp: string };
  await request("evm_setNextBlockTimestamp", [toQuantity(BigInt(latest.timestamp) + interval)]);
}

function toQuantity(value: bigint): string {
  return `0x${value.toString(16)}`;
}
