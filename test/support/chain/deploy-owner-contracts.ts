import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import {
  type Abi,
  type Account,
  type Address,
  concat,
  encodeFunctionData,
  type Hex,
  pad,
  zeroAddress,
  zeroHash,
} from "viem";
import { deployContract, simulateContract, waitForTransactionReceipt, writeContract } from "viem/actions";
import type { ChainClient } from "../../../src/chain/client.ts";
import type { SafeDeployment } from "../../../src/core/safe-deployments.ts";

export interface Artifact {
  readonly abi: Abi;
  readonly bytecode: Hex;
}

const require = createRequire(import.meta.url);
const artifactOf = (path: string): Artifact => JSON.parse(readFileSync(require.resolve(path), "utf8"));
const packages = { "1.4.1": "@safe-global/safe-contracts", "1.5.0": "@safe-global/safe-smart-account" } as const;
export type SafeVersion = keyof typeof packages;
/** The published artifact of one of Safe's contracts. */
export const safeArtifact = (version: SafeVersion, path: string): Artifact =>
  artifactOf(`${packages[version]}/build/artifacts/contracts/${path}`);
const safe = safeArtifact("1.5.0", "SafeL2.sol/SafeL2.json");
const timelock = artifactOf("@openzeppelin/contracts/build/contracts/TimelockController.json");

export interface DeploySafeParameters {
  readonly payer: Account;
  readonly owners: readonly Address[];
  readonly threshold: number;
  /** @default "1.5.0" */
  readonly version?: SafeVersion;
  /** Also deploys Safe's fallback handler, with which a Safe can be an owner of another. */
  readonly withFallbackHandler?: boolean;
  /** Contracts of this release that the chain has. @default new ones */
  readonly singletons?: Pick<SafeDeployment, "safeL2" | "proxyFactory" | "fallbackHandler"> | undefined;
}

/** The Safe team's own contracts: singleton, factory and a proxy. */
export async function deploySafe(
  client: ChainClient,
  { payer, owners, threshold, version = "1.5.0", withFallbackHandler = false, singletons }: DeploySafeParameters,
): Promise<Address> {
  const artifact = (path: string) => safeArtifact(version, path);
  const deployed = (path: string) => deploy(client, payer, artifact(path), []);
  const safeProxyFactory = artifact("proxies/SafeProxyFactory.sol/SafeProxyFactory.json");
  const singleton = singletons?.safeL2 ?? (await deployed("SafeL2.sol/SafeL2.json"));
  const factory = singletons?.proxyFactory ?? (await deployed("proxies/SafeProxyFactory.sol/SafeProxyFactory.json"));
  const newHandler = "handler/CompatibilityFallbackHandler.sol/CompatibilityFallbackHandler.json";
  const handler = singletons?.fallbackHandler ?? (withFallbackHandler ? await deployed(newHandler) : zeroAddress);
  const initializer = encodeFunctionData({
    abi: safe.abi,
    functionName: "setup",
    args: [owners, BigInt(threshold), zeroAddress, "0x", handler, zeroAddress, 0n, zeroAddress],
  });
  const call = {
    abi: safeProxyFactory.abi,
    functionName: "createProxyWithNonce",
    args: [singleton, initializer, 1n],
  } as const;
  const { result } = await simulateContract(client, { ...call, address: factory, account: payer });
  const hash = await writeContract(client, { ...call, address: factory, account: payer, chain: client.chain });
  await waitForTransactionReceipt(client, { hash });
  return result as Address; // of an ABI read from a file
}

/** Carries out a transaction of a Safe whose only signature is the sender's own. */
export async function executeSafe(
  client: ChainClient,
  owner: Account,
  { safe: address, to, data, operation }: { safe: Address; to: Address; data: Hex; operation: number },
): Promise<void> {
  const approval = concat([pad(owner.address), zeroHash, "0x01"]);
  const hash = await writeContract(client, {
    abi: safe.abi,
    address,
    functionName: "execTransaction",
    args: [to, 0n, data, operation, 0n, 0n, 0n, zeroAddress, zeroAddress, approval],
    account: owner,
    chain: client.chain,
  });
  await waitForTransactionReceipt(client, { hash });
}

export interface TimelockAccounts {
  /** They may also cancel. */
  readonly proposers: readonly Address[];
  /** The zero address lets every account execute. */
  readonly executors: readonly Address[];
}

/** OpenZeppelin's TimelockController. By default its payer has every role. */
export async function deployTimelock(
  client: ChainClient,
  payer: Account,
  minDelaySeconds: bigint,
  { proposers, executors }: TimelockAccounts = { proposers: [payer.address], executors: [payer.address] },
): Promise<Address> {
  return deploy(client, payer, timelock, [minDelaySeconds, proposers, executors, payer.address]);
}

/** The interface that OpenZeppelin publishes. */
export const timelockArtifactAbi = timelock.abi;

async function deploy(
  client: ChainClient,
  account: Account,
  { abi, bytecode }: Artifact,
  args: readonly unknown[],
): Promise<Address> {
  const hash = await deployContract(client, { abi, bytecode, args, account, chain: client.chain });
  const { contractAddress } = await waitForTransactionReceipt(client, { hash });
  if (!contractAddress) throw new Error("Nothing was deployed.");
  return contractAddress;
}
