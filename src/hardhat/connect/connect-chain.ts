import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { createClient, custom, type HttpTransport, http, type Transport } from "viem";
import { type ChainClient, requireChain } from "../../chain/client.ts";
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
  const chainId = await requireChain(createClient({ transport }));
  const chain = chainDefinition(chainId, { isLocal });
  const client = createClient({ chain, transport, ...(isLocal && { pollingInterval: 50 }) });
  return { ...place, client, chainId };
}

/** Chains by the names that Hardhat projects give their networks. */
const wellKnown: Readonly<Record<string, number>> = {
  mainnet: 1,
  ethereum: 1,
  sepolia: 11_155_111,
  base: 8453,
  baseMainnet: 8453,
  baseSepolia: 84_532,
  "base-sepolia": 84_532,
};

/**
 * Returns if something else than the endpoint says which chain the network is: its `chainId` in the configuration, or a
 * name that stands for one chain. A contract has the same address on several chains, so that an endpoint which may name
 * the chain turns a change meant for a test network into one of the real app. This machine's own nodes are believed.
 *
 * @throws WrongChainError, InvalidArgumentError
 */
export async function requirePinnedChain(
  { networks }: HardhatRuntimeEnvironment["config"],
  { network, chainId }: Pick<ConnectedChain, "network" | "chainId">,
): Promise<void> {
  const config = networks[network];
  if (config?.type !== "http" || config.chainId !== undefined || isLoopback(await config.url.getUrl())) return;
  const expected = Object.hasOwn(wellKnown, network) ? wellKnown[network] : undefined;
  if (expected === chainId) return;
  if (expected !== undefined) throw new WrongChainError(expected, chainId);
  throw new InvalidArgumentError(`Only the RPC endpoint says that the network ${network} is chain ${chainId}.`, {
    nextStep: `Nothing was signed. Set networks.${network}.chainId in hardhat.config, to ${chainId} if that is the chain you mean.`,
    context: { network, chainId },
  });
}

function isLoopback(url: string): boolean {
  return /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(url).hostname);
}
