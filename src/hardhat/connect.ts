import "./type-extensions.ts";
import type { ResolvedConfigurationVariable } from "hardhat/types/config";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import {
  type Abi,
  type Account,
  type Chain,
  createClient,
  custom,
  defineChain,
  type Hex,
  type HttpTransport,
  isAddress,
  isAddressEqual,
  type Transport,
} from "viem";
import { mnemonicToAccount, parseAccount, privateKeyToAccount } from "viem/accounts";
import { getAddresses } from "viem/actions";
import { base, baseSepolia, mainnet, sepolia } from "viem/chains";
import { z } from "zod";
import { requireChain } from "../chain/client.ts";
import { httpEndpoint } from "../chain/endpoint.ts";
import { readOwner } from "../chain/read-owner.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import type {
  CommandHost,
  ConnectedChain,
  HardwareWallet,
  ProjectContract,
  ReadHardwareWalletParameters,
  ReadSignerParameters,
} from "../commands/host.ts";
import { parseFixedHex } from "../core/ids.ts";
import { InvalidArgumentError, SignerRequiredError, WrongChainError } from "../errors/index.ts";

/** Makes a command host of Hardhat's runtime environment. */
export function hostOf(hre: HardhatRuntimeEnvironment): CommandHost {
  const { config, globalOptions } = hre;
  return {
    root: config.paths.root,
    cache: config.paths.cache,
    settings: config.dstack,
    namedNetwork: globalOptions.network,
    hasDefaultEndpoint: config.networks.default?.type === "http",
    connectChain: (fallback) => connectChain(hre, fallback),
    readEndpoint: (fallback) => readEndpoint(hre, fallback),
    readSigner: (parameters) => readSigner(hre, parameters),
    readHardwareWallet: (parameters) => readHardwareWallet(hre, parameters),
    readContract: (name) => readContract(hre, name),
  };
}

/** @throws InvalidArgumentError */
async function readContract({ artifacts }: HardhatRuntimeEnvironment, name: string): Promise<ProjectContract> {
  const artifact = await artifacts.readArtifact(name).catch((error: unknown) => {
    throw new InvalidArgumentError(`The project has no compiled contract ${name}, or several of that name.`, {
      nextStep: "Run npx hardhat build. Give the name as in the source, or as file:name, as contracts/MyApp.sol:MyApp.",
      context: { name },
      cause: error,
    });
  });
  const { contractName, sourceName, abi, linkReferences, immutableReferences = {}, buildInfoId } = artifact;
  const [inputPath, outputPath] =
    buildInfoId === undefined
      ? []
      : [await artifacts.getBuildInfoPath(buildInfoId), await artifacts.getBuildInfoOutputPath(buildInfoId)];
  const contract = `${artifact.inputSourceName ?? sourceName}:${contractName}`;
  return {
    name: `${sourceName}:${contractName}`,
    abi: abi as Abi, // of any contract
    bytecode: artifact.bytecode as Hex, // Hardhat's are hex, except where a library's address is missing
    libraries: Object.values(linkReferences).flatMap((ofFile) => Object.keys(ofFile)),
    deployedBytecode: artifact.deployedBytecode as Hex,
    immutables: Object.values(immutableReferences).flat(),
    build: inputPath === undefined || outputPath === undefined ? undefined : { inputPath, outputPath, contract },
  };
}

/**
 * The account that pays: the owner's key of the configuration, or one of the network's accounts. Keys of the
 * configuration sign in this process, so that a transaction can be recorded before it is sent.
 *
 * @throws InvalidArgumentError, WrongChainError if only the endpoint says which chain it is
 * @throws SignerRequiredError, InvalidHexError, RpcUnavailableError
 */
async function readSigner(
  { config }: Pick<HardhatRuntimeEnvironment, "config">,
  { chain, wanted, purpose }: ReadSignerParameters,
): Promise<Account> {
  await requirePinnedChain(config, chain);
  const ownerKey = await config.dstack.ownerKey.get();
  const candidates = ownerKey === "" ? await networkAccounts(config, chain) : [accountOf(ownerKey)];
  const match = wanted && candidates.find(({ address }) => isAddressEqual(address, wanted));
  const signer = match ?? candidates[0];
  if (signer !== undefined) return signer;
  const kind = wanted && (await readOwner(chain.client, { address: wanted })).kind;
  throw new SignerRequiredError([purpose], { ownerKind: kind === "eoa" || kind === "renounced" ? undefined : kind });
}

/**
 * The Ledger of @nomicfoundation/hardhat-ledger, which handles the requests for the network's `ledgerAccounts`. The
 * plugin connects to the device when it is asked for the first signature.
 */
async function readHardwareWallet(
  hre: HardhatRuntimeEnvironment,
  { chain, wanted }: ReadHardwareWalletParameters,
): Promise<HardwareWallet> {
  await requirePinnedChain(hre.config, chain);
  const { network } = chain;
  const accounts: unknown = Reflect.get(hre.config.networks[network] ?? {}, "ledgerAccounts");
  const listed = z.array(z.string().refine((raw) => isAddress(raw, { strict: false }))).safeParse(accounts).data ?? [];
  const address = wanted.find((owner) => listed.some((one) => isAddressEqual(owner, one)));
  if (address !== undefined) {
    const { provider } = await hre.network.getOrCreate(network);
    return { address, request: (request) => provider.request(request) };
  }
  const isMissing = accounts === undefined;
  throw new InvalidArgumentError(
    isMissing
      ? "The plugin for Ledger wallets is not installed, or not in the plugins of hardhat.config."
      : `networks.${network}.ledgerAccounts has none of the addresses that may sign.`,
    {
      nextStep: `${isMissing ? "Install @nomicfoundation/hardhat-ledger, and add it to plugins. Then list" : "List"} one of these in networks.${network}.ledgerAccounts: ${wanted.join(", ")}.`,
      context: { network, wanted },
    },
  );
}

async function networkAccounts(
  { networks }: HardhatRuntimeEnvironment["config"],
  { network, client }: ConnectedChain,
): Promise<Account[]> {
  const config = networks[network];
  if (config?.type !== "http" || config.accounts === "remote") {
    const addresses = await withRpcErrors(client, "asking for its accounts", () => getAddresses(client));
    return addresses.map((address) => parseAccount(address));
  }
  const { accounts } = config;
  if (Array.isArray(accounts)) return Promise.all(accounts.map(async (key) => accountOf(await textOf(key))));
  const { mnemonic, passphrase, path, initialIndex, count } = accounts;
  const [words, secret] = [await mnemonic.get(), await passphrase.get()];
  return Array.from(
    { length: count },
    (_, index) =>
      mnemonicToAccount(words, {
        passphrase: secret,
        path: `${path}/${initialIndex + index}` as `m/44'/60'/${string}`,
      }), // viem's type allows Ethereum's derivation path only
  );
}

function textOf(key: ResolvedConfigurationVariable): Promise<string> {
  return key.get();
}

function accountOf(key: string): Account {
  const digits = parseFixedHex("The signer's private key", key.trim(), 32);
  try {
    return privateKeyToAccount(digits);
  } catch {
    // The cause may contain the key.
    throw new InvalidArgumentError("The signer's private key is not a valid secp256k1 key: it is zero or too large.", {
      nextStep: "Set DSTACK_OWNER_KEY, dstack.ownerKey or the network's accounts to the account's own key.",
    });
  }
}

/**
 * Connects the chain that `--network` names, or else `fallback`. An HTTP network is asked directly: Hardhat's own
 * provider would first require the keys of its accounts, and may change a transaction before it is sent.
 *
 * @throws InvalidArgumentError, RpcUnavailableError, WrongChainError if the network is configured for another chain
 */
export async function connectChain(
  hre: Pick<HardhatRuntimeEnvironment, "config" | "globalOptions" | "network">,
  fallback?: string | undefined,
): Promise<ConnectedChain> {
  const network = hre.globalOptions.network ?? fallback ?? "default";
  const { root } = hre.config.paths;
  const place = { network, root, allowDelegation: hre.config.dstack.batch.delegate };
  const config = hre.config.networks[network];
  const isChosen = hre.globalOptions.network !== undefined || fallback !== undefined;
  if (config === undefined || (!isChosen && config.type !== "http")) {
    const names = Object.entries(hre.config.networks).flatMap(([name, { type }]) => (type === "http" ? [name] : []));
    throw new InvalidArgumentError(
      config === undefined ? `hardhat.config has no network named ${network}.` : "No network was chosen.",
      {
        nextStep: `Give the app's network, for example --network ${names[0] ?? "base"}.`,
        context: { networks: names },
      },
    );
  }
  if (config.type === "http") {
    const url = await config.url.getUrl();
    const timeoutMs = config.timeout === hardhatsTimeoutMs ? undefined : config.timeout;
    const transport = httpEndpoint(url, { headers: config.httpHeaders, timeoutMs });
    const connected = await connect(place, transport, isLoopback(url));
    if (config.chainId !== undefined && config.chainId !== connected.chainId)
      throw new WrongChainError(config.chainId, connected.chainId);
    return connected;
  }
  const { provider } = await hre.network.getOrCreate(network);
  return connect(place, custom(provider, { retryCount: 0 }), true);
}

/** @throws InvalidArgumentError */
async function readEndpoint(
  { config, globalOptions }: Pick<HardhatRuntimeEnvironment, "config" | "globalOptions">,
  fallback: string | undefined,
): Promise<{ readonly url: string }> {
  const network = globalOptions.network ?? fallback ?? "default";
  const chosen = config.networks[network];
  const nextStep = "Give the endpoint with --rpc URL, or --network with the name of an HTTP network.";
  if (chosen?.type !== "http")
    throw new InvalidArgumentError(`${network} is no network with an RPC endpoint that can be forked.`, { nextStep });
  if (Object.keys(chosen.httpHeaders).length > 0)
    throw new InvalidArgumentError(`The network ${network} needs HTTP headers, which a fork cannot send.`, {
      nextStep,
    });
  return { url: await chosen.url.getUrl() };
}

async function connect(
  place: Omit<ConnectedChain, "client" | "chainId">,
  transport: Transport | HttpTransport,
  isLocal: boolean,
): Promise<ConnectedChain> {
  const chainId = await requireChain(createClient({ transport }));
  const chain = chainDefinition(chainId, { isLocal });
  const client = createClient({ chain, transport, ...(isLocal && { pollingInterval: 50 }) });
  return { ...place, client, chainId };
}

/** Hardhat's default timeout, in ms. A task would seem to hang for so long, so it counts as not set. */
const hardhatsTimeoutMs = 300_000;

/** Chain ids of common network names in Hardhat projects. */
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
 * Returns if the configuration identifies the network's chain: by its `chainId`, or by a name that belongs to one
 * chain. A contract can have the same address on several chains. If only the endpoint named the chain, it could turn a
 * change meant for a test network into a change of the real app. Local nodes are trusted.
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
    nextStep: `Nothing was signed. Set networks.${network}.chainId in hardhat.config, to ${chainId} if that is the correct chain.`,
    context: { network, chainId },
  });
}

function isLoopback(url: string): boolean {
  return /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(url).hostname);
}

const known = [base, baseSepolia, mainnet, sepolia];

/** Only chains that viem knows have a Multicall3 address and a block explorer. A local chain has no explorer. */
export function chainDefinition(id: number, { isLocal }: { readonly isLocal: boolean }): Chain {
  const chain = known.find((chain) => chain.id === id) ?? unknownChain(id);
  return isLocal ? ({ ...chain, blockExplorers: undefined } as Chain) : chain; // viem's type needs a value or no key
}

function unknownChain(id: number): Chain {
  return defineChain({
    id,
    name: `Chain ${id}`,
    nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
    rpcUrls: { default: { http: [] } },
  });
}
