import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createHardhatRuntimeEnvironment } from "hardhat/hre";
import { type Chain, createPublicClient, size, type Transport } from "viem";
import { base } from "viem/chains";
import { httpEndpoint } from "../../chain/endpoint.ts";
import { withRpcErrors } from "../../chain/rpc-errors.ts";
import { batchExecutorAddress } from "../../core/batch-executor.ts";
import { InvalidArgumentError } from "../../errors/index.ts";
import { cacheDirectory } from "../../files/cache-directory.ts";
import type { PageGuardOptions } from "../../mock-cloud/http/page-guard.ts";
import { Teardown, whileListening } from "../teardown.ts";
import { isTypeFour, sendTypeFour, withoutFeesOfCalls } from "./calls-without-fees.ts";
import { createLocalChainClient, type LocalChainClient } from "./client.ts";
import {
  baseChainDescriptor,
  baseChainId,
  installBatchExecutor,
  installMulticall3,
  installRollupFees,
  multicall3Address,
} from "./predeploys.ts";
import { type ChainRecord, recordRequests, replayRequests } from "./record.ts";
import { createForkErrorCleaner, gasCap, parseQuantity, refuseEndlessRange, refuseFatalCall } from "./rpc-faults.ts";
import { type AnswerRpc, inProcessTransport, serveRpc } from "./rpc-server.ts";

export interface StartChainParameters extends PageGuardOptions {
  /** @default 0, any free port */
  readonly port?: number | undefined;
  readonly fork?: ForkPoint | undefined;
  /** Replays this record first, then records later calls in it. @default none: the chain is in memory only */
  readonly record?: ChainRecord | undefined;
}

export interface LocalChain {
  readonly id: number;
  readonly rpcUrl: string;
  readonly client: LocalChainClient;
  /** The same chain without HTTP, for clients of this process. */
  readonly transport: Transport;
  close(): Promise<void>;
}

/**
 * Starts a Base-like chain in this process and serves it over JSON-RPC on loopback. It has OP stack rules, chain id
 * 8453, Multicall3 and the batch executor at their addresses, an L1 data fee and an operator fee, one block per
 * transaction, and Hardhat's funded accounts.
 */
export async function startChain(parameters: StartChainParameters = {}): Promise<LocalChain> {
  const { port = 0, fork, record, ...guardOptions } = parameters;
  const teardown = new Teardown();
  try {
    const chain = await createSimulatedChain({ genesis: record?.genesis ?? new Date(), fork });
    teardown.add(() => chain.close());
    if (record !== undefined) await replayRequests(chain.answer, record);
    const answer = record === undefined ? chain.answer : recordRequests(chain.answer, record);
    const server = await whileListening(() => serveRpc(answer, port, guardOptions));
    teardown.add(() => server.close());
    // A cast to `Chain`, because the formatters of OP fields are not part of this API.
    const client = createLocalChainClient(server.url, base as Chain);
    // A fork of Base and a replayed chain already have these contracts.
    if ((await client.getCode({ address: multicall3Address })) === undefined) await installMulticall3(client);
    if ((await client.getCode({ address: batchExecutorAddress })) === undefined) await installBatchExecutor(client);
    if (fork === undefined) await installRollupFees(client);
    const transport = inProcessTransport(answer, server.url);
    return { id: baseChainId, rpcUrl: server.url, client, transport, close: () => teardown.run() };
  } catch (error) {
    throw await teardown.after(error);
  }
}

export interface SimulatedChainParameters {
  /** Timestamp of block 0. A fork continues from its own block instead. */
  readonly genesis: Date;
  readonly fork?: ForkPoint | undefined;
}

export interface SimulatedChain {
  readonly answer: AnswerRpc;
  close(): Promise<void>;
}

/**
 * Hardhat's simulated chain with Base's rules, in this process. It has its own Hardhat environment, so the
 * configuration and the artifacts of the user's project do not change it.
 */
export async function createSimulatedChain({ genesis, fork }: SimulatedChainParameters): Promise<SimulatedChain> {
  const cleaned = fork === undefined ? (error: unknown) => error : createForkErrorCleaner(fork.url);
  const hre = await createHardhatRuntimeEnvironment(
    {
      chainDescriptors: { [baseChainId]: baseChainDescriptor },
      // The cache keeps blocks of a fork across runs. Hardhat would read artifacts only for the texts of revert errors.
      paths: { cache: join(cacheDirectory(), "cache"), artifacts: emptyArtifacts() },
      networks: {
        chain: {
          type: "edr-simulated",
          chainType: "op",
          chainId: baseChainId,
          // EDR keeps some 200 bytes per unit of gas that a failing call burns, so an endless loop would fill the
          // memory.
          transactionGasCap: gasCap,
          // As on a real chain: a reverted transaction is mined, and its receipt shows the failure.
          throwOnTransactionFailures: false,
          ...(fork === undefined ? { initialDate: genesis } : forkSettings(fork)),
        },
      },
    },
    {},
    // Any directory of an npm package works, because Hardhat reads nothing from it.
    import.meta.dirname,
  );
  const connection = await hre.network.create("chain").catch((error: unknown) => Promise.reject(cleaned(error)));
  const request = withoutFeesOfCalls(async (method, params) => {
    try {
      return await connection.provider.request({ method, params: [...params] });
    } catch (error) {
      throw cleaned(error);
    }
  });
  return {
    answer: async (method, params) => {
      refuseFatalCall(method, params);
      if (method === "eth_getLogs" || method === "eth_newFilter") {
        refuseEndlessRange(params[0], BigInt(String(await request("eth_blockNumber", []))));
      }
      if (method === "hardhat_mine") return mine(request, params);
      const [raw] = params;
      return method === "eth_sendRawTransaction" && isTypeFour(raw)
        ? sendTypeFour(request, raw)
        : request(method, params);
    },
    close: () => connection.close(),
  };
}

/**
 * An artifacts folder without artifacts. It must exist: Jest's tests have an `Error` class of their own, so Hardhat does
 * not recognise the error of a missing folder there. Outside Jest, Hardhat accepts a missing folder.
 */
function emptyArtifacts(): string {
  const folder = join(cacheDirectory(), "no-artifacts");
  try {
    mkdirSync(join(folder, "build-info"), { recursive: true });
  } catch {
    // The home folder is read-only. Only Jest needs this folder.
  }
  return folder;
}

function forkSettings({ url, blockNumber, hardfork }: ForkPoint) {
  return { forking: { url, blockNumber }, ...(hardfork !== undefined && { hardfork }) };
}

/** EDR aborts the process when it is asked for more at once on an OP stack chain. */
const mostBlocksAtOnce = 7n;

async function mine(request: AnswerRpc, [count, seconds]: readonly unknown[]): Promise<unknown> {
  let left = parseQuantity(count) ?? 1n;
  const interval = parseQuantity(seconds) ?? 1n;
  for (let isFirst = true; left > 0n; isFirst = false) {
    if (!isFirst) await spaceFromLatest(request, interval);
    const blocks = left < mostBlocksAtOnce ? left : mostBlocksAtOnce;
    await request("hardhat_mine", [toQuantity(blocks), toQuantity(interval)]);
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

/** The block at which a fork starts. */
export interface ForkPoint {
  readonly url: string;
  readonly blockNumber: bigint;
  /** @default the newest hardfork that is active at the block */
  readonly hardfork?: "granite" | undefined;
}

/** From Holocene on, the extra data of a header contains the fee parameters, in 9 bytes or more. */
const shortestHoloceneExtraData = 9;

/**
 * Finds the endpoint's newest block. The fork names it, because EDR would otherwise fork 128 blocks earlier, where a
 * contract that was deployed a minute ago does not exist.
 *
 * @throws InvalidArgumentError, RpcUnavailableError
 */
export async function findForkPoint(url: string, signal?: AbortSignal): Promise<ForkPoint> {
  const transport = httpEndpoint(url, { signal });
  const client = createPublicClient({ transport });
  const [chainId, block] = await withRpcErrors(client, "looking for the block to fork from", () =>
    Promise.all([client.getChainId(), client.getBlock()]),
  );
  if (chainId !== baseChainId) {
    throw new InvalidArgumentError(
      `The endpoint to fork serves chain ${chainId}, but a world forks Base, ${baseChainId}.`,
      {
        nextStep: "Give the RPC URL of Base, or of a local chain with its chain id.",
        context: { chainId },
      },
    );
  }
  // anvil leaves the extra data empty. EDR ends the process when it mines on such a block after Granite.
  const isBeforeHolocene = size(block.extraData) < shortestHoloceneExtraData;
  return { url, blockNumber: block.number, ...(isBeforeHolocene && { hardfork: "granite" as const }) };
}
