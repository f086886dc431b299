import {
  type Address,
  type Chain,
  createClient,
  decodeFunctionResult,
  defineChain,
  encodeFunctionData,
  http,
} from "viem";
import { base, hardhat, mainnet } from "viem/chains";
import { ethCall } from "../chain/calls.ts";
import { type ChainClient, parseAddress, requireChain } from "../chain/client.ts";
import { requireCode } from "../chain/code.ts";
import { fetchWithoutRedirects } from "../chain/redirects.ts";
import { duringRpc } from "../chain/rpc-errors.ts";
import { InvalidArgumentError } from "../errors/index.ts";
import { dstackKmsAbi } from "../generated/abi.ts";
import type { DeployedContracts } from "./contracts.ts";

export interface ExistingChain {
  readonly id: number;
  readonly rpcUrl: string;
  readonly definition: Chain;
  /** Reads; it has no account. */
  readonly client: ChainClient;
  readonly contracts: DeployedContracts;
  /** Whether it is Hardhat's or anvil's own, where nothing that is done lasts or costs. */
  readonly isDevChain: boolean;
  /** How long to wait before asking it for the same thing again. */
  readonly pollingMs: number;
}

export interface FindExistingChainParameters {
  readonly rpcUrl: string;
  /** Address of a DstackKms proxy. */
  readonly kms: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Looks at a chain somebody else runs and at the KMS on it. Sends nothing.
 *
 * @throws InvalidHexError, InvalidArgumentError, NoContractError, RpcUnavailableError
 */
export async function findExistingChain(parameters: FindExistingChainParameters): Promise<ExistingChain> {
  const { rpcUrl, kms, signal } = parameters;
  const address = parseAddress("The KMS address", kms);
  const transport = http(rpcUrl, { fetchFn: fetchWithoutRedirects, fetchOptions: { signal: signal ?? null } });
  const definition = definitionOf(await requireChain(createClient({ transport })));
  const client = createClient({ chain: definition, transport });
  await requireCode(client, { address });
  const isDevChain = await readIsDevChain(client);
  return {
    id: definition.id,
    rpcUrl,
    definition,
    client,
    contracts: { kms: address, appImplementation: await readAppImplementation(client, address) },
    isDevChain,
    pollingMs: isDevChain ? 50 : 1000,
  };
}

/** Only chains that viem knows have a Multicall3 it would look for. */
function definitionOf(id: number): Chain {
  const known = [base, mainnet, hardhat].find((chain) => chain.id === id);
  return (
    known ??
    defineChain({
      id,
      name: `Chain ${id}`,
      nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
      rpcUrls: { default: { http: [] } },
    })
  );
}

async function readAppImplementation(client: ChainClient, kms: Address): Promise<Address> {
  const call = { abi: dstackKmsAbi, functionName: "appImplementation" } as const;
  const { data = "0x" } = await ethCall(client, {
    to: kms,
    data: encodeFunctionData(call),
    abi: dstackKmsAbi,
    doing: "reading the KMS",
  });
  if (data.length !== 66) {
    throw new InvalidArgumentError(`The contract at ${kms} is no DstackKms: it names no app implementation.`, {
      nextStep: "Give the address of the KMS proxy, not of an app or an implementation.",
      context: { kms },
    });
  }
  return decodeFunctionResult({ ...call, data });
}

async function readIsDevChain(client: ChainClient): Promise<boolean> {
  const version = await duringRpc(client, "asking for its version", () =>
    client.request({ method: "web3_clientVersion" }),
  );
  return /^(?:hardhat|anvil)/i.test(version);
}
