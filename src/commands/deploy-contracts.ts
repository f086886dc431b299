import type { Account, TransactionReceipt } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { readCode } from "../chain/code.ts";
import { readFees } from "../chain/transactions/fees.ts";
import type { Ledger } from "../chain/transactions/ledger.ts";
import { costOf, estimatePrice } from "../chain/transactions/price.ts";
import { openSender } from "../chain/transactions/sender.ts";
import type { SenderParameters } from "../chain/transactions/sender-parameters.ts";
import { readGas, readGasLimit } from "../chain/transactions/simulate.ts";
import { deterministicDeployer } from "../core/batch-executor.ts";
import {
  type DeploymentCall,
  encodeDeployment,
  implementationOf,
  multicall3Address,
} from "../core/contract-deployment.ts";
import type { Hex } from "../core/ids.ts";
import { contractDeploymentGasCeiling } from "../core/order-calls.ts";
import type { PriceEstimate } from "../core/price.ts";
import { InvalidArgumentError, RpcUnavailableError } from "../errors/index.ts";
import { dstackKmsAbi } from "../generated/abi.ts";
import { showPrice } from "../output/price.ts";
import { tipLimitOf } from "./batch-plan.ts";
import type { ConnectedApp } from "./connect-app.ts";
import type { ProjectContract } from "./host.ts";
import type { TaskIo } from "./run.ts";
import { createSending, type SendingChoices, showEvents } from "./sending.ts";
import { confirmUnsigned } from "./write.ts";

/** A call of a deployment, and whether the chain shows that it was made. */
export interface DeploymentStep extends DeploymentCall {
  readonly isDone: (client: ChainClient) => Promise<boolean>;
}

/** The step that deploys a contract with a deterministic address. */
export function deploymentStep({
  address,
  deployment,
}: {
  readonly address: Hex;
  readonly deployment: DeploymentCall;
}): DeploymentStep {
  return { ...deployment, isDone: async (client) => (await readCode(client, { address })) !== "0x" };
}

/** The steps that the chain does not show yet. */
export async function findMissing(
  client: ChainClient,
  steps: readonly DeploymentStep[],
): Promise<readonly DeploymentStep[]> {
  const done = await Promise.all(steps.map(({ isDone }) => isDone(client)));
  return steps.filter((_, index) => !done[index]);
}

/**
 * Returns if the chain has the two contracts through which this package deploys others.
 *
 * @throws InvalidArgumentError, RpcUnavailableError
 */
export async function requireDeployers(client: ChainClient): Promise<void> {
  for (const address of [deterministicDeployer, multicall3Address]) {
    if ((await readCode(client, { address })) !== "0x") continue;
    throw new InvalidArgumentError(`This chain has no contract at ${address}, through which contracts are deployed.`, {
      nextStep: "Deploy the implementation with another tool. Then give its address with --implementation.",
      context: { address },
    });
  }
}

/** Shows what a deployment will cost. */
export async function showDeploymentPrice(
  { output }: Pick<TaskIo, "output">,
  client: ChainClient,
  {
    calls,
    from,
    choices,
  }: {
    readonly calls: readonly DeploymentCall[];
    readonly from: Hex;
    readonly choices: SendingChoices;
  },
): Promise<PriceEstimate> {
  const call = { ...transactionOf(calls), from };
  const ceiling = contractDeploymentGasCeiling;
  const transactions = [{ ...call, ...(await readGas(client, { ...call, ceiling })), gasCeiling: ceiling }];
  const price = await estimatePrice(client, { transactions, fees: await readFees(client, choices) });
  output.line(`  ${tipLimitOf(choices)}`);
  showPrice(output, price);
  return price;
}

function transactionOf(calls: readonly DeploymentCall[]) {
  const functionName = "the deployment of a contract";
  return { to: multicall3Address, data: encodeDeployment(calls), abi: dstackKmsAbi, functionName };
}

/** What identifies a deployment in a ledger: all of its steps, whether the chain shows some already or not. */
export function deploymentPurpose(steps: readonly DeploymentCall[]) {
  const { to, data } = transactionOf(steps);
  return { kind: "deploy-app", transaction: { to, data } } as const;
}

export interface DeployContractsParameters extends SenderParameters {
  readonly account: Account;
  readonly ledger: Ledger;
  readonly steps: readonly DeploymentStep[];
}

/**
 * Makes the steps that the chain does not show yet, in one transaction. The addresses follow from the code, and the
 * ledger holds what an earlier run signed, so nothing is deployed twice.
 *
 * @returns the receipt, or undefined if nothing had to be sent
 * @throws RpcUnavailableError if the endpoint does not show a step afterwards, and what the sender throws
 */
export async function deployContracts(
  client: ChainClient,
  { steps, ...parameters }: DeployContractsParameters,
): Promise<TransactionReceipt | undefined> {
  const { to, functionName } = transactionOf(steps);
  const purpose = deploymentPurpose(steps);
  using sender = await openSender(client, parameters, { purpose, calls: [], title: functionName, mayRepeat: true });
  await sender.resume();
  const missing = await findMissing(client, steps);
  if (missing.length > 0) {
    const call = transactionOf(missing);
    const from = parameters.account.address;
    const gas = await readGasLimit(client, { ...call, from, ceiling: contractDeploymentGasCeiling });
    await sender.send([{ to, data: call.data, functionName, gas, calls: [] }]);
  }
  await sender.finish();
  const receipt = sender.sent.findLast((sent) => sent.transaction.state === "mined")?.receipt;
  // A server behind a load balancer may answer for an earlier block.
  if ((await findMissing(client, steps)).length > 0)
    throw new RpcUnavailableError("reading what was deployed", { said: "its answer does not show a mined deployment" });
  sender.complete();
  return receipt;
}

/** A deployment that was paid. */
export interface PaidDeployment {
  readonly address: Hex;
  readonly transactionHash: Hex;
  readonly gasUsed: bigint;
  readonly costWei: bigint;
}

/** Deploys the implementation. Undefined if the chain has it already. */
export async function deployImplementation(
  io: TaskIo,
  app: ConnectedApp,
  contract: ProjectContract,
): Promise<PaidDeployment | undefined> {
  const { client, chainId } = app;
  const deterministic = implementationOf(contract.bytecode);
  const step = deploymentStep(deterministic);
  if (await step.isDone(client)) return undefined;
  const account = await app.signer(`the deployment of ${contract.name}`);
  using ledger = await app.openLedger();
  await showDeploymentPrice(io, client, { calls: [step], from: account.address, choices: app.choices });
  await io.confirm(`Deploy the implementation ${contract.name}?`);
  const receipt = await deployContracts(client, {
    ...{ steps: [step], account, chainId, ledger },
    ...createSending(io, app, { choices: app.choices, ledger, account }),
    confirmUnsigned: confirmUnsigned(io),
    onEvent: showEvents(io),
  });
  const { address } = deterministic;
  io.output.step("deployed", `${contract.name}, at ${address}`);
  if (receipt === undefined) return undefined;
  const { transactionHash, gasUsed } = receipt;
  return { address, transactionHash, gasUsed, costWei: costOf(receipt) };
}

/**
 * Returns the contract if its code can be deployed as it is.
 *
 * @throws InvalidArgumentError
 */
export function requireDeployable(contract: ProjectContract): ProjectContract {
  const { name, bytecode, libraries, abi } = contract;
  const refuse = (problem: string, nextStep: string) =>
    new InvalidArgumentError(`${name} ${problem}.`, { nextStep, context: { name } });
  if (libraries.length > 0)
    throw refuse(
      `must be linked to ${libraries.join(", ")}, which OpenZeppelin's validator does not accept behind a proxy`,
      "Make the functions of the library internal.",
    );
  if (bytecode === "0x")
    throw refuse("has no code: it is abstract or an interface", "Name the contract that implements it.");
  const inputs = abi.flatMap((item) => (item.type === "constructor" ? item.inputs : []));
  if (inputs.length > 0)
    throw refuse(
      `has a constructor with values (${inputs.map(({ type }) => type).join(", ")}), which a proxy does not run`,
      "Move them to an initialiser. Or deploy the implementation with another tool, and give its address with --implementation.",
    );
  return contract;
}
