import type { Address } from "viem";
import { type DelegationPlan, planBatch } from "../batch/plan-batch.ts";
import { delegationTo, readCode } from "../chain/code.ts";
import type { ReadOwnerReturnType } from "../chain/read-owner.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import { batchExecutorDeployment, deterministicDeployer, encodeExecute } from "../core/batch-executor.ts";
import { type Hex, parseTransactionHash } from "../core/ids.ts";
import { chunkCalls } from "../core/order-calls.ts";
import type { OwnerCall } from "../core/owner-calls.ts";
import { isDstackError } from "../errors/index.ts";
import { batchExecutorAbi } from "../generated/abi.ts";
import { type ExecutionContext, sendAs } from "./execution-context.ts";
import { accountWithoutKey } from "./impersonation.ts";

/** Gas of an authorisation (EIP-7702), less what the chain gives back because the account is in use. */
const authorizationGas = 12_500n;

/**
 * Sends the calls as the impersonated key: one transaction for each, or all in one through the batch executor, where the
 * task that sends them live would do that.
 *
 * @throws NotOwnerError, ContractRevertedError, DelegationUnsupportedError, ForeignDelegationError
 */
export async function executeAsKey(context: ExecutionContext, { address }: ReadOwnerReturnType): Promise<void> {
  const { client, calls, batch, deviate } = context;
  const account = accountWithoutKey(address);
  const { delegation, offer, mode } = await planBatch(client, { calls, account, allowNoEffect: true, ...batch });
  if (offer !== undefined && mode === "none")
    deviate(
      "Each call had a transaction of its own. Live, one transaction can make all of them, if the account may delegate: `allowDelegation`.",
    );
  const left = delegation === undefined ? calls : await sendDelegated(context, address, delegation);
  for (const call of left) {
    const { transactionHash } = await sendAs(context, { from: address, call });
    await context.prove([call], { transactionHash });
  }
}

/** @returns the calls that are left, if the chain's engine cannot run the batch */
async function sendDelegated(
  context: ExecutionContext,
  address: Address,
  { executor, authorizes, deploys }: DelegationPlan,
): Promise<readonly OwnerCall[]> {
  const { calls, client, deviate, impersonation, recorder } = context;
  const codeBefore = await readCode(client, { address });
  if (deploys) {
    const data = batchExecutorDeployment;
    const functionName = "the deployment of the batch executor";
    const receipt = await impersonation.send({ from: address, to: deterministicDeployer, data, abi: [], functionName });
    await recorder.addTransaction({ what: "deploy the batch executor", receipt, data, calls: [] });
  }
  if (authorizes) {
    deviate(
      `The delegation of ${address} to the batch executor ${executor} was put in place on the fork, because an impersonated account cannot sign it. Live, the first transaction carries it.`,
    );
    await setCode(context, address, delegationTo(executor));
  }
  for (const [index, chunk] of chunkCalls(calls, {}).entries()) {
    const data = encodeExecute(chunk);
    const functionName = `a batch of ${chunk.length} calls`;
    const transaction = { from: address, to: address, data, abi: batchExecutorAbi, functionName };
    const receipt = await impersonation.send(transaction).catch(async (error: unknown) => {
      // A revert is the contract's answer, and the same one by one. An engine that cannot run it says something else.
      if (index > 0 || !isDstackError(error) || !error.retryable) throw error;
      return undefined;
    });
    if (receipt === undefined) {
      deviate("The simulated chain could not run the batch, so each call was sent in a transaction of its own.");
      await setCode(context, address, codeBefore);
      return calls;
    }
    const signatureGas = authorizes && index === 0 ? authorizationGas : 0n;
    const what = chunk.map(({ description }) => description).join("; ");
    await recorder.addTransaction({ what, receipt, data, calls: chunk, signatureGas });
    await context.prove(chunk, { transactionHash: parseTransactionHash(receipt.transactionHash) });
  }
  return [];
}

async function setCode({ client }: ExecutionContext, address: Address, bytecode: Hex): Promise<void> {
  await withRpcErrors(client, "putting a delegation in place", () => client.setCode({ address, bytecode }));
}
