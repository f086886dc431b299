import { type Address, type Chain, createClient, decodeFunctionResult, defineChain, encodeFunctionData } from "viem";
import { base, hardhat, mainnet } from "viem/chains";
import { ethCall } from "../chain/calls.ts";
import { type ChainClient, parseAddress, requireChain } from "../chain/client.ts";
import { requireCode } from "../chain/code.ts";
import { httpEndpoint } from "../chain/endpoint.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import { InvalidArgumentError } from "../errors/index.ts";
import { dstackKmsAbi } from "../generated/abi.ts";
import type { DeployedContracts } from "./contracts.ts";

export interface ExistingChain {
  readonly id: number;
  readonly rpcUrl: string;
  readonly definition: Chain;
  /** A client without an account, for reads. */
  readonly client: ChainClient;
  readonly contracts: DeployedContracts;
  /** Whether it is a Hardhat or anvil chain, where transactions have no lasting effect and cost nothing. */
  readonly isDevChain: boolean;
  /** Pause between two polls of the chain. */
  readonly pollingMs: number;
}

export interface FindExistingChainParameters {
  readonly rpcUrl: string;
  /** Address of a DstackKms proxy. */
  readonly kms: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads a chain that runs outside this process, and the KMS on it. Sends no transaction.
 *
 * @throws InvalidHexError, InvalidArgumentError, NoContractError, RpcUnavailableError
 */
export async function findExistingChain(parameters: FindExistingChainParameters): Promise<ExistingChain> {
  const { rpcUrl, kms, signal } = parameters;
  const address = parseAddress("The KMS address", kms);
  const transport = httpEndpoint(rpcUrl, { signal });
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

/** Only chain definitions of viem name a Multicall3. */
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
    throw new InvalidArgumentError(`The contract at ${kms} is not a DstackKms: it has no app implementation.`, {
      nextStep: "Give the address of the KMS proxy, not of an app or an implementation.",
      context: { kms },
    });
  }
  return decodeFunctionResult({ ...call, data });
}

async function readIsDevChain(client: ChainClient): Promise<boolean> {
  const version = await withRpcErrors(client, "reading its version", () =>
    client.request({ method: "web3_clientVersion" }),
  );
  return /^(?:hardhat|anvil)/i.test(version);
}
