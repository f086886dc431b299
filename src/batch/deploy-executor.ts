import type { Address } from "viem";
import { readGasLimit, simulateCall } from "../chain/transactions/simulate.ts";
import { batchExecutorAddress, batchExecutorDeployment, deterministicDeployer } from "../core/batch-executor.ts";
import { executorDeploymentGasCeiling } from "../core/order-calls.ts";
import { abiOf } from "../core/owner-calls.ts";
import { DelegationUnsupportedError } from "../errors/index.ts";
import type { BatchRun } from "./batch-run.ts";
import { readHasExecutor } from "./read-executor.ts";
import { sendTransactions } from "./send-transactions.ts";

const functionName = "the deployment of the batch executor";

/**
 * Deploys the executor through the deterministic-deployment proxy, at the one address that follows from its code. No
 * receipt is asked where it is.
 *
 * @throws NotOwnerError, ContractOwnerError, ContractRevertedError, NoContractError before anything is sent
 * @throws ExecutorMismatchError, DelegationUnsupportedError, InsufficientFundsError, RpcUnavailableError
 */
export async function deployExecutor(run: BatchRun): Promise<void> {
  const { client, account } = run.settings;
  const address = batchExecutorAddress;
  if (await readHasExecutor(client, { address })) return;
  await requireRights(run);
  const call = { to: deterministicDeployer, data: batchExecutorDeployment, functionName };
  const ceiling = executorDeploymentGasCeiling;
  const gas = await readGasLimit(client, { ...call, from: account.address, abi: [], ceiling });
  await sendTransactions(run, [{ ...call, gas, calls: [] }]);
  if (await readHasExecutor(client, { address })) return;
  throw new DelegationUnsupportedError(`the batch executor did not appear at ${address}`);
}

/** Nothing is paid for a batch that cannot be: the first call of each contract must pass by itself. */
async function requireRights({ settings: { client, account }, left }: BatchRun): Promise<void> {
  const seen = new Set<Address>();
  for (const call of left) {
    if (seen.has(call.to)) continue;
    seen.add(call.to);
    const { to, data, functionName } = call;
    await simulateCall(client, { from: account.address, to, data, functionName, abi: abiOf(call) });
  }
}
