import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { createTestClient, http, publicActions, walletActions } from "viem";
import { base } from "viem/chains";
import { installMulticall3 } from "./multicall3.ts";

export interface StartChainParameters {
  readonly hre: HardhatRuntimeEnvironment;
  /** 0, the default, takes a free port. */
  readonly port?: number;
}

export interface LocalChain {
  readonly rpcUrl: string;
  readonly client: LocalChainClient;
  close(): Promise<void>;
}

export type LocalChainClient = ReturnType<typeof createLocalChainClient>;

/**
 * Starts a Base-like chain in this process and serves it over JSON-RPC on loopback: OP stack rules, chain id 8453,
 * Multicall3 at its canonical address, a block per transaction, Hardhat's well-known funded accounts.
 */
export async function startChain({ hre, port = 0 }: StartChainParameters): Promise<LocalChain> {
  const server = await hre.network.createServer("local", "127.0.0.1", port);
  const { port: listeningOn } = await server.listen();
  const rpcUrl = `http://127.0.0.1:${listeningOn}`;
  const client = createLocalChainClient(rpcUrl);
  await client.setLoggingEnabled(false);
  await installMulticall3(client);
  return { rpcUrl, client, close: () => server.close() };
}

function createLocalChainClient(rpcUrl: string) {
  return createTestClient({ chain: base, mode: "hardhat", transport: http(rpcUrl), pollingInterval: 50 })
    .extend(publicActions)
    .extend(walletActions);
}
