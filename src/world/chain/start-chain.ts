import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createHardhatRuntimeEnvironment } from "hardhat/hre";
import { BlockNotFoundError, createPublicClient, size, type Transport } from "viem";
import { httpEndpoint } from "../../chain/endpoint.ts";
import { withRpcErrors } from "../../chain/rpc-errors.ts";
import { batchExecutorAddress } from "../../core/batch-executor.ts";
import { multicall3Address } from "../../core/contract-deployment.ts";
import { InvalidArgumentError } from "../../errors/index.ts";
import { cacheDirectory } from "../../files/cache-directory.ts";
import type { PageGuardOptions } from "../../mock-cloud/http/page-guard.ts";
import { Teardown, whileListening } from "../teardown.ts";
import { type TagLags, withLaggingTags } from "./block-tags.ts";
import { isTypeFour, sendTypeFour, withoutFeesOfCalls } from "./calls-without-fees.ts";
import { createLocalChainClient, type LocalChainClient } from "./client.ts";
import { type ChainClock, createChainClock } from "./clock.ts";
import { openForkEndpoint } from "./fork-endpoint.ts";
import { createMining, type Mining } from "./mining.ts";
import {
  baseChain,
  baseChainDescriptor,
  baseChainId,
  findPlatformChain,
  installBatchExecutor,
  installMulticall3,
  installRollupFees,
} from "./predeploys.ts";
import { type ChainRecord, recordRequests, replayRequests } from "./record.ts";
import { createForkErrorCleaner, gasCap, refuseEndlessRange, refuseFatalCall } from "./rpc-faults.ts";
import { type AnswerRpc, inProcessTransport, serveRpc } from "./rpc-server.ts";

export interface StartChainParameters extends PageGuardOptions {
  /** @default 0, any free port */
  readonly port?: number | undefined;
  /** Ethereum's id, 1, gives the chain Ethereum's rules. @default the forked chain's, or Base's */
  readonly chainId?: number | undefined;
  /** Whether a block may have the timestamp of its parent, as blocks of 200 ms do. @default false */
  readonly allowsEqualTimestamps?: boolean | undefined;
  /** @default none: both tags name the newest block */
  readonly lags?: TagLags | undefined;
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

/** A chain with what only its own world uses. */
export interface StartedChain extends LocalChain, Pick<Mining, "withoutTimer"> {}

/**
 * Starts a chain in this process and serves it over JSON-RPC on loopback. It has one block per transaction, Hardhat's
 * funded accounts, and Multicall3 and the batch executor at their addresses. A chain with Base's rules also takes an L1
 * data fee and an operator fee.
 */
export async function startChain(parameters: StartChainParameters = {}): Promise<StartedChain> {
  const { port = 0, fork, record, lags, chainId, allowsEqualTimestamps = false, ...guardOptions } = parameters;
  const id = chainId ?? fork?.chainId ?? baseChainId;
  const { chainType, definition } = findPlatformChain(fork?.chainId ?? id) ?? baseChain;
  const teardown = new Teardown();
  try {
    const genesis = record?.genesis ?? new Date();
    const chain = await createSimulatedChain({ genesis, id, chainType, fork, allowsEqualTimestamps });
    teardown.add(() => chain.close());
    if (record !== undefined) await replayRequests(chain.answer, record);
    const tagged = lags === undefined ? chain.answer : withLaggingTags(chain, lags);
    const answer = record === undefined ? tagged : recordRequests(tagged, record);
    const server = await whileListening(() => serveRpc(answer, port, guardOptions));
    teardown.add(() => server.close());
    const client = createLocalChainClient(server.url, { ...definition, id });
    // A fork and a replayed chain may already have these contracts.
    if ((await client.getCode({ address: multicall3Address })) === undefined) await installMulticall3(client);
    if ((await client.getCode({ address: batchExecutorAddress })) === undefined) await installBatchExecutor(client);
    if (fork === undefined && chainType === "op") await installRollupFees(client);
    return {
      ...{ id, rpcUrl: server.url, client, transport: inProcessTransport(answer, server.url) },
      withoutTimer: chain.withoutTimer,
      close: () => teardown.run(),
    };
  } catch (error) {
    throw await teardown.after(error);
  }
}

export interface SimulatedChainParameters {
  /** Timestamp of block 0. A fork continues from its own block instead. */
  readonly genesis: Date;
  /** @default Base's */
  readonly id?: number;
  /** @default op */
  readonly chainType?: "op" | "l1";
  /** @default false */
  readonly allowsEqualTimestamps?: boolean;
  readonly fork?: ForkPoint | undefined;
}

export interface SimulatedChain extends Mining, ChainClock {
  close(): Promise<void>;
}

/**
 * Hardhat's simulated chain in this process. It has its own Hardhat environment, so the configuration and the artifacts
 * of the user's project do not change it.
 */
export async function createSimulatedChain(parameters: SimulatedChainParameters): Promise<SimulatedChain> {
  const { genesis, id = baseChainId, chainType = "op", allowsEqualTimestamps = false, fork } = parameters;
  const cleaned = fork === undefined ? (error: unknown) => error : createForkErrorCleaner(fork.url);
  const endpoint = fork && (await openForkEndpoint(fork));
  const hre = await createHardhatRuntimeEnvironment(
    {
      // Hardhat knows Ethereum. The hardforks of a fork are those of the forked chain.
      chainDescriptors: {
        [baseChainId]: baseChainDescriptor,
        ...(chainType === "op" && { [id]: baseChainDescriptor }),
      },
      // Hardhat would read artifacts only for the texts of revert errors.
      paths: { cache: endpoint?.cache ?? join(cacheDirectory(), "cache"), artifacts: emptyArtifacts() },
      networks: {
        chain: {
          type: "edr-simulated",
          chainType,
          chainId: id,
          allowBlocksWithSameTimestamp: allowsEqualTimestamps,
          // EDR keeps some 200 bytes per unit of gas that a failing call burns, so an endless loop would fill the
          // memory.
          transactionGasCap: gasCap,
          // As on a real chain: a reverted transaction is mined, and its receipt shows the failure.
          throwOnTransactionFailures: false,
          ...(fork && endpoint ? forkSettings(fork, endpoint.url) : { initialDate: genesis }),
        },
      },
    },
    {},
    // Any directory of an npm package works, because Hardhat reads nothing from it.
    import.meta.dirname,
  );
  const connection = await hre.network.create("chain").catch(async (error: unknown) => {
    await endpoint?.close();
    throw cleaned(error);
  });
  const request = withoutFeesOfCalls(async (method, params) => {
    try {
      return await connection.provider.request({ method, params: [...params] });
    } catch (error) {
      throw cleaned(error);
    }
  });
  if (fork !== undefined) await passForkedBlock(request);
  const clock = createChainClock({ request, allowsEqualTimestamps });
  const mining = createMining({ request: clock.answer, allowsEqualTimestamps });
  return {
    answer: async (method, params) => {
      refuseFatalCall(method, params);
      if (method === "eth_getLogs" || method === "eth_newFilter") {
        refuseEndlessRange(params[0], BigInt(String(await request("eth_blockNumber", []))));
      }
      const [raw] = params;
      return chainType === "op" && method === "eth_sendRawTransaction" && isTypeFour(raw)
        ? sendTypeFour(mining.answer, raw)
        : mining.answer(method, params);
    },
    withoutTimer: mining.withoutTimer,
    now: clock.now,
    close: () => connection.close().finally(() => endpoint?.close()),
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

/** The forked block may be ahead of this machine's clock. EDR would then mine blocks that are older than it. */
async function passForkedBlock(request: AnswerRpc): Promise<void> {
  const { timestamp } = Object(await request("eth_getBlockByNumber", ["latest", false])) as { timestamp?: string };
  const ahead = Number(timestamp) - Math.floor(Date.now() / 1000);
  if (ahead >= 0) await request("evm_increaseTime", [ahead + 1]);
}

function forkSettings({ blockNumber, hardfork }: ForkPoint, url: string) {
  return { forking: { url, blockNumber }, ...(hardfork !== undefined && { hardfork }) };
}

/** A block of a chain, by its number or by what the endpoint says. */
export type ForkBlock = bigint | "latest" | "safe" | "finalized";

/** The block at which a fork starts. */
export interface ForkPoint {
  readonly url: string;
  /** Id of the chain that is forked. */
  readonly chainId: number;
  readonly blockNumber: bigint;
  /** @default the newest hardfork that is active at the block */
  readonly hardfork?: "granite" | undefined;
}

/** From Holocene on, the extra data of a header contains the fee parameters, in 9 bytes or more. */
const shortestHoloceneExtraData = 9;

export interface FindForkPointParameters {
  readonly url: string;
  readonly block?: ForkBlock | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Finds the block to fork, by default the newest one. The fork names it, because EDR would otherwise fork 128 blocks
 * earlier, where a contract that was deployed a minute ago does not exist.
 *
 * @throws InvalidArgumentError, RpcUnavailableError
 */
export async function findForkPoint({
  url,
  block: at = "latest",
  signal,
}: FindForkPointParameters): Promise<ForkPoint> {
  const transport = httpEndpoint(url, { signal });
  const client = createPublicClient({ transport });
  const [chainId, block] = await withRpcErrors(client, "looking for the block to fork from", () =>
    Promise.all([
      client.getChainId(),
      client.getBlock(typeof at === "bigint" ? { blockNumber: at } : { blockTag: at }).catch((error: unknown) => {
        if (error instanceof BlockNotFoundError) throw noSuchBlock(at);
        throw error;
      }),
    ]),
  );
  const forked = findPlatformChain(chainId);
  if (forked === undefined) {
    throw new InvalidArgumentError(
      `The endpoint to fork serves chain ${chainId}, but a world forks Base (chain 8453) or Ethereum (chain 1).`,
      {
        nextStep: "Give the RPC URL of one of them, or of a local chain with its chain id.",
        context: { chainId },
      },
    );
  }
  // anvil leaves the extra data empty. EDR ends the process when it mines on such a block after Granite.
  const isBeforeHolocene = forked.chainType === "op" && size(block.extraData) < shortestHoloceneExtraData;
  return { url, chainId, blockNumber: block.number, ...(isBeforeHolocene && { hardfork: "granite" as const }) };
}

function noSuchBlock(block: ForkBlock): InvalidArgumentError {
  const which = typeof block === "bigint" ? `block ${block}` : `${block} block`;
  return new InvalidArgumentError(`The endpoint to fork has no ${which}.`, {
    nextStep: "Name a block that the endpoint has.",
    context: { block: block.toString() },
  });
}
