import type { Address } from "viem";
import { getTransactionCount, sendTransaction } from "viem/actions";
import { readCode } from "../chain/read-code.ts";
import { readGasLimit } from "../chain/read-gas-limit.ts";
import { simulateCall } from "../chain/simulate-call.ts";
import { duringRpc } from "../chain/translate-chain-error.ts";
import { waitForReceipt } from "../chain/wait-for-receipt.ts";
import { batchExecutorAddress, batchExecutorDeployment, deterministicDeployer } from "../core/batch/batch-executor.ts";
import { batchExecutorBytecode } from "../core/batch/batch-executor-bytecode.ts";
import { abiOf } from "../core/batch/policy-call.ts";
import { parseTransactionHash } from "../core/ids.ts";
import { DelegationUnsupportedError } from "../errors/index.ts";
import type { BatchRun } from "./batch-run.ts";
import { readHasExecutor } from "./read-executor.ts";
import { sendTransactions } from "./send-transactions.ts";

const functionName = "the deployment of the batch executor";

/**
 * Deploys the executor: at its one address through the deterministic-deployment proxy, or, on a chain without that,
 * wherever the account's nonce puts it. Whoever comes later on such a chain names that address.
 *
 * @throws NotOwnerError, ContractOwnerError, ContractRevertedError, NoContractError before anything is sent
 * @throws ExecutorMismatchError, DelegationUnsupportedError, InsufficientFundsError, RpcUnavailableError
 */
export async function deployExecutor(run: BatchRun): Promise<Address> {
  const { client } = run.settings;
  await requireRights(run);
  const hasProxy = (await readCode(client, { address: deterministicDeployer })) !== "0x";
  const address = hasProxy ? await deployAtItsAddress(run) : await deployPlainly(run);
  if (await readHasExecutor(client, { address })) return address;
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

async function deployAtItsAddress(run: BatchRun): Promise<Address> {
  const { client, account } = run.settings;
  const call = { to: deterministicDeployer, data: batchExecutorDeployment, functionName };
  const gas = await readGasLimit(client, { ...call, from: account.address, abi: [] });
  await sendTransactions(run, [{ ...call, gas, calls: [] }]);
  return batchExecutorAddress;
}

/** Not on record: should it happen twice, nothing but its gas is lost. */
async function deployPlainly(run: BatchRun): Promise<Address> {
  const { client, account, timeoutMs, pollIntervalMs } = run.settings;
  const hash = await duringRpc(`sending ${functionName}`, () =>
    sendTransaction(client, { account, chain: client.chain ?? null, data: batchExecutorBytecode }),
  );
  const transactionHash = parseTransactionHash(hash);
  const receipt = await waitForReceipt(client, { transactionHash, functionName, timeoutMs, pollIntervalMs });
  const nonce = await duringRpc("reading the nonce", () => getTransactionCount(client, { address: account.address }));
  run.mined(receipt, { calls: [], nextNonce: nonce, isFromRecord: false });
  if (!receipt.contractAddress) throw new DelegationUnsupportedError(`transaction ${hash} created no contract`);
  return receipt.contractAddress;
}
