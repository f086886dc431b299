import type { Chain } from "viem";
import { base } from "viem/chains";
import { batchExecutorAddress } from "../../core/batch-executor.ts";
import type { PageGuardOptions } from "../../mock-cloud/http/page-guard.ts";
import { installBatchExecutor } from "../batch-executor.ts";
import { whileListening } from "../listen-error.ts";
import { installMulticall3, multicall3Address } from "../multicall3.ts";
import { Teardown } from "../teardown.ts";
import { baseChainId } from "./base-network.ts";
import type { ForkPoint } from "./fork-point.ts";
import { createLocalChainClient, type LocalChainClient } from "./local-chain-client.ts";
import { type ChainRecord, recordRequests, replayRequests } from "./record.ts";
import { serveRpc } from "./rpc-server.ts";
import { createSimulatedChain } from "./simulated-chain.ts";

export interface StartChainParameters extends PageGuardOptions {
  /** 0, the default, takes a free port. */
  readonly port?: number | undefined;
  readonly fork?: ForkPoint | undefined;
  /** Keeps what happens on the chain, and has it happen again first. In memory only by default. */
  readonly record?: ChainRecord | undefined;
}

export interface LocalChain {
  readonly id: number;
  readonly rpcUrl: string;
  readonly client: LocalChainClient;
  close(): Promise<void>;
}

/**
 * Starts a Base-like chain in this process and serves it over JSON-RPC on loopback: OP stack rules, chain id 8453,
 * Multicall3 and the batch executor at their addresses, a block per transaction, Hardhat's well-known funded accounts.
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
    // Its formatters of OP fields are not part of what is promised.
    const client = createLocalChainClient(server.url, base as Chain);
    // A fork of Base has them, and so has a chain that was recorded.
    if ((await client.getCode({ address: multicall3Address })) === undefined) await installMulticall3(client);
    if ((await client.getCode({ address: batchExecutorAddress })) === undefined) await installBatchExecutor(client);
    return { id: baseChainId, rpcUrl: server.url, client, close: () => teardown.run() };
  } catch (error) {
    throw await teardown.after(error);
  }
}
