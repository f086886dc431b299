import { artifacts } from "hardhat";
import { type Abi, type Address, encodeFunctionData, type Hex } from "viem";
import { deployContract, waitForTransactionReceipt, writeContract } from "viem/actions";
import { dstackAppAbi } from "../../../src/generated/abi.ts";
import type { OwnerClient } from "../../../src/world/chain/client.ts";

/** Interface ids of the generations with key epochs. */
export const epochInterfaces = { "0.6.4": "0xd33835bd", "0.6.5": "0xc396c1b0" } as const;

/** What an `OddInterfaceApp` does when it is asked for an interface. */
export const oddities = {
  reverts: 0,
  burnsAllGas: 1,
  answersTwo: 2,
  answersOneByte: 3,
  saysYesToAll: 4,
  saysNoToAll: 5,
  failsForEpochs: 6,
} as const;

/** Deploys a compiled contract of this repository with the client's account. */
export async function deployCompiled(
  client: OwnerClient,
  contract: string,
  args: readonly unknown[] = [],
): Promise<Address> {
  const { abi, bytecode } = await artifacts.readArtifact(contract);
  const { account, chain } = client;
  const deployed = await deployContract(client, { abi: abi as Abi, bytecode: bytecode as Hex, args, account, chain });
  const { contractAddress } = await waitForTransactionReceipt(client, { hash: deployed });
  if (!contractAddress) throw new Error(`${contract} was not deployed.`);
  return contractAddress;
}

/** Deploys a compiled contract of this repository behind a new proxy, initialised with these values. */
export async function deployBehindProxy(
  client: OwnerClient,
  { contract, args }: { readonly contract: string; readonly args: readonly unknown[] },
): Promise<Address> {
  const { abi } = await artifacts.readArtifact(contract);
  const data = encodeFunctionData({ abi: abi as Abi, functionName: "initialize", args });
  return deployCompiled(client, "ERC1967Proxy", [await deployCompiled(client, contract), data]);
}

/** Deploys a compiled contract of this repository, and upgrades the proxy to it with the client's account. */
export async function upgradeTo(
  client: OwnerClient,
  { proxy, contract, args }: { readonly proxy: Address; readonly contract: string; readonly args: readonly unknown[] },
): Promise<void> {
  const implementation = await deployCompiled(client, contract, args);
  const call = { abi: dstackAppAbi, functionName: "upgradeToAndCall", args: [implementation, "0x"] } as const;
  await waitForTransactionReceipt(client, { hash: await writeContract(client, { address: proxy, ...call }) });
}
