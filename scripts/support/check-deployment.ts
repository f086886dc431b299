import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Address, getAddress, isAddressEqual } from "viem";
import { getBalance } from "viem/actions";
import type { ChainClient } from "../../src/chain/client.ts";
import { readCode } from "../../src/chain/code.ts";
import { readKmsStatus } from "../../src/chain/read-kms.ts";
import { withRpcErrors } from "../../src/chain/rpc-errors.ts";
import { readChainIdentity } from "../../src/chain/transactions/chain-identity.ts";
import { readFees } from "../../src/chain/transactions/fees.ts";
import { InsufficientFundsError, InvalidArgumentError } from "../../src/errors/index.ts";

/**
 * Names the folder in which Ignition records a deployment. A development chain's name includes its first block: such
 * chains have the ids of live ones, and lose their contracts when they are restarted.
 */
export async function deploymentIdOf(client: ChainClient, network: string, chainId: number): Promise<string> {
  const { chain, isDevelopment } = await readChainIdentity(client, chainId);
  const [, firstBlock = ""] = chain.split(" 0x");
  return isDevelopment ? `${network}-${chainId}-${firstBlock.slice(0, 10)}-dstack-kms` : `${network}-dstack-kms`;
}

/** More than the two implementations and the proxy take. */
const gasOfDeployment = 8_000_000n;

export interface RequireFundsParameters {
  readonly deployer: Address;
  /** Folder of the deployment. */
  readonly folder: string;
}

/**
 * Checks that the deploying account can pay, before Ignition records anything: it continues a recorded deployment only
 * with the account that began it.
 *
 * @throws InsufficientFundsError, RpcUnavailableError
 */
export async function requireDeploymentFunds(
  client: ChainClient,
  { deployer, folder }: RequireFundsParameters,
): Promise<void> {
  if (isComplete(folder)) return;
  const [{ maxFeePerGas }, balance] = await Promise.all([
    readFees(client),
    withRpcErrors(client, "reading the balance", () => getBalance(client, { address: deployer })),
  ]);
  const needed = gasOfDeployment * maxFeePerGas;
  if (balance < needed) throw new InsufficientFundsError(getAddress(deployer), balance, needed);
}

function isComplete(folder: string): boolean {
  const file = join(folder, "deployed_addresses.json");
  return existsSync(file) && "DstackKms#DstackKms" in Object(JSON.parse(readFileSync(file, "utf8")));
}

export interface ExpectedDeployment {
  readonly kms: Address;
  readonly appImplementation: Address;
  /** The named owner, or the deploying account. */
  readonly owner: Address;
  readonly deploymentId: string;
}

/**
 * Reads from the chain what Ignition has recorded: the code at each address, the implementation behind the proxy, and
 * the owner. A record may be of another chain, or of one that was restarted.
 *
 * @throws InvalidArgumentError, ContractRevertedError, RpcUnavailableError
 */
export async function confirmDeployment(client: ChainClient, expected: ExpectedDeployment): Promise<void> {
  const { kms, appImplementation, owner, deploymentId } = expected;
  const refuse = (problem: string): never => {
    throw new InvalidArgumentError(`The deployment ${deploymentId} is recorded, but ${problem}.`, {
      nextStep: `The record is of another chain, or of one that was restarted. Give another --deployment-id, or delete ignition/deployments/${deploymentId}.`,
      context: { kms, appImplementation, owner, deploymentId },
    });
  };
  for (const address of [kms, appImplementation])
    if ((await readCode(client, { address })) === "0x") refuse(`there is no contract at ${address} on this chain`);
  const status = await readKmsStatus(client, { kms });
  if (status.implementation === undefined || (await readCode(client, { address: status.implementation })) === "0x")
    refuse(`no implementation is behind ${kms}`);
  if (!isAddressEqual(status.appImplementation, appImplementation))
    refuse(`${kms} gives new apps the code at ${status.appImplementation}, not at ${appImplementation}`);
  if (!isAddressEqual(status.owner.address, owner))
    refuse(`the owner of ${kms} is ${status.owner.address}, not ${owner}`);
}
