import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { createClient, custom, type HttpTransport, http, type Transport } from "viem";
import { getChainId } from "viem/actions";
import type { ChainClient } from "../../chain/chain-client.ts";
import { duringRpc } from "../../chain/translate-chain-error.ts";
import { InvalidArgumentError, WrongChainError } from "../../errors/index.ts";
import { chainDefinition } from "./chain-definition.ts";
import { impatientFetch } from "./impatient-fetch.ts";

export interface ConnectedChain {
  /** Reads; it has no account. */
  readonly client: ChainClient;
  readonly chainId: number;
  /** As `--network` names it. */
  readonly network: string;
  /** Of the project, where tasks keep what they must remember. */
  readonly root: string;
}

/**
 * The chain that `--network` names, or else `fallback`. An HTTP network is asked directly: Hardhat's own provider would
 * want the keys of its accounts first, and may change a transaction on its way.
 *
 * @throws InvalidArgumentError, RpcUnavailableError, WrongChainError if the network is configured for another chain
 */
export async function connectChain(
  hre: Pick<HardhatRuntimeEnvironment, "config" | "globalOptions" | "network">,
  fallback?: string | undefined,
): Promise<ConnectedChain> {
  const network = hre.globalOptions.network ?? fallback ?? "default";
  const { root } = hre.config.paths;
  const config = hre.config.networks[network];
  const isChosen = hre.globalOptions.network !== undefined || fallback !== undefined;
  if (config === undefined || (!isChosen && config.type !== "http")) {
    const names = Object.entries(hre.config.networks).flatMap(([name, { type }]) => (type === "http" ? [name] : []));
    throw new InvalidArgumentError(
      config === undefined ? `hardhat.config has no network named ${network}.` : "No network was chosen.",
      { nextStep: `Name the app's network, as in --network ${names[0] ?? "base"}.`, context: { networks: names } },
    );
  }
  if (config.type === "http") {
    const url = await config.url.getUrl();
    const fetchOptions = { headers: config.httpHeaders };
    const transport = http(url, { fetchOptions, fetchFn: impatientFetch, timeout: config.timeout });
    const connected = await connect({ network, root }, transport, isLoopback(url));
    if (config.chainId !== undefined && config.chainId !== connected.chainId)
      throw new WrongChainError(config.chainId, connected.chainId);
    return connected;
  }
  const { provider } = await hre.network.getOrCreate(network);
  return connect({ network, root }, custom(provider, { retryCount: 0 }), true);
}

async function connect(
  place: Pick<ConnectedChain, "network" | "root">,
  transport: Transport | HttpTransport,
  isLocal: boolean,
): Promise<ConnectedChain> {
  const chainId = await duringRpc("reading the chain id", () => getChainId(createClient({ transport })));
  const chain = chainDefinition(chainId, { isLocal });
  const client = createClient({ chain, transport, ...(isLocal && { pollingInterval: 50 }) });
  return { ...place, client, chainId };
}

function isLoopback(url: string): boolean {
  return /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(url).hostname);
}
