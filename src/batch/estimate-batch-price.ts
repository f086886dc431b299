import { type Address, encodeFunctionData, parseAbi } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { findRevert, translateChainError } from "../chain/rpc-errors.ts";
import { type EstimatePriceParameters, estimatePrice, type PricedTransaction } from "../chain/transactions/price.ts";
import { estimateFor } from "../chain/transactions/simulate.ts";
import { batchExecutorDeployment, deterministicDeployer, encodeExecute } from "../core/batch-executor.ts";
import type { Hex } from "../core/ids.ts";
import {
  chunkCalls,
  executorDeploymentGasCeiling,
  gasBoundOf,
  groupCalls,
  transactionGas,
  undoDelegationGasCeiling,
} from "../core/order-calls.ts";
import type { OwnerCall } from "../core/owner-calls.ts";
import type { PriceEstimate } from "../core/price.ts";
import type { SafeBatch } from "./build-safe-batch.ts";
import type { BatchPlan } from "./plan-batch.ts";

/** A plan, and the fees per gas that its transactions will have. */
export type EstimateBatchPriceParameters = Pick<BatchPlan, "account" | "calls" | "delegation" | "gas"> &
  Pick<EstimatePriceParameters, "fees">;

/**
 * Returns what a planned batch will cost. Signs nothing, so the node cannot estimate a batch through a delegation itself:
 * it estimates one call of each kind, and a batch is counted as these calls.
 *
 * @throws ImplausibleAnswerError, RpcUnavailableError
 *
 * @example
 * import { estimateBatchPrice } from "dstack-toolkit/batch";
 * import { batchPlan, client } from "./app.js";
 * const { expected, most } = await estimateBatchPrice(client, batchPlan);
 */
export async function estimateBatchPrice(
  client: ChainClient,
  { account: from, calls, delegation, gas: limit, fees }: EstimateBatchPriceParameters,
): Promise<PriceEstimate> {
  const gasOf = await estimateEach(client, { from, calls });
  if (delegation === undefined) {
    const transactions = calls.map((call) => ({ ...call, gas: afterRefunds(gasOf(call), [call]) }));
    return estimatePrice(client, { transactions: limitTogether(transactions, limit), fees });
  }
  const batches = chunkCalls(calls, {}).map((chunk, index) => {
    const authorizes = delegation.authorizes && index === 0;
    const gas = transactionGas + executorGas + (authorizes ? authorizationGas : 0n) + gasTogether(chunk, gasOf);
    return { to: from, data: encodeExecute(chunk), gas: afterRefunds(gas, chunk, authorizes), authorizes };
  });
  const deployment = delegation.deploys ? [await planDeployment(client, from)] : [];
  return estimatePrice(client, { transactions: limitTogether([...deployment, ...batches], limit), fees });
}

/** A plan limits the gas of its transactions together, so that of the first one stands for all. */
function limitTogether(
  transactions: readonly Omit<PricedTransaction, "gasLimit">[],
  limit: bigint,
): readonly PricedTransaction[] {
  return transactions.map((transaction, index) => ({ ...transaction, gasLimit: index === 0 ? limit : 0n }));
}

/** Returns what ending an account's delegation will cost. @throws ImplausibleAnswerError, RpcUnavailableError */
export function estimateUndoPrice(
  client: ChainClient,
  { address: to, fees }: { readonly address: Address } & Pick<EstimatePriceParameters, "fees">,
): Promise<PriceEstimate> {
  const gas = afterRefunds(transactionGas + authorizationGas, [], true);
  const transaction = { to, data: "0x", gas, gasLimit: undoDelegationGasCeiling, authorizes: true } as const;
  return estimatePrice(client, { transactions: [transaction], fees });
}

const safeAbi = parseAbi([
  "function execTransaction(address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas, uint256 baseGas, uint256 gasPrice, address gasToken, address refundReceiver, bytes signatures) payable returns (bool)",
]);
const signatureBytes = 65;

/**
 * Returns what a Safe's transaction will cost the account that executes it. The owners have not signed yet, so the node
 * estimates the calls as the Safe's, and the Safe's own work is added. `most` is what a wallet may ask for: the Safe
 * sets no limit.
 *
 * @throws ImplausibleAnswerError, RpcUnavailableError
 *
 * @example
 * import { estimateSafePrice } from "dstack-toolkit/batch";
 * import { client, safeBatch } from "./app.js";
 * const { expected, most } = await estimateSafePrice(client, safeBatch);
 */
export async function estimateSafePrice(
  client: ChainClient,
  { safe, calls, safeTx, threshold, owners }: Pick<SafeBatch, "safe" | "calls" | "safeTx" | "threshold" | "owners">,
): Promise<PriceEstimate> {
  const gasOf = await estimateEach(client, { from: safe, calls });
  const { to, value, data, operation, safeTxGas, baseGas, gasPrice, gasToken, refundReceiver } = safeTx;
  const signers = least(threshold, BigInt(owners.length)); // the endpoint's word, so not without a limit
  const signatures: Hex = `0x${"a5".repeat(signatureBytes * Number(signers))}`;
  const args = [
    to,
    value,
    data,
    operation,
    safeTxGas,
    baseGas,
    gasPrice,
    gasToken,
    refundReceiver,
    signatures,
  ] as const;
  const execution = encodeFunctionData({ abi: safeAbi, functionName: "execTransaction", args });
  const ofNonce = safeTx.nonce === 0n ? firstNonceGas : 0n;
  const gas = transactionGas + safeGas + ofNonce + signers * safeSignatureGas + gasTogether(calls, gasOf);
  const transaction = { to: safe, data: execution, gas: afterRefunds(gas, calls), gasLimit: (gas * 6n) / 5n };
  return estimatePrice(client, { transactions: [transaction] });
}

/** Gas of the executor's own code. */
const executorGas = 5_000n;
/** Gas of an authorisation (EIP-7702), and what of it the chain gives back because the account is in use. */
const authorizationGas = 25_000n;
const authorizationRefund = 12_500n;
/** Gas that the chain gives back for a slot that is set to zero. */
const removalRefund = 4_800n;
/** Gas of the Safe's own code, its MultiSendCallOnly included. */
const safeGas = 31_000n;
/** Gas of a Safe's first transaction, which sets its nonce for the first time. */
const firstNonceGas = 17_100n;
/** Gas of a Safe for each signature: the calldata, the owner's slot, and the recovery of the key. */
const safeSignatureGas = 7_500n;
/** Gas that a call saves if an earlier call of the transaction reached the same contract. */
const warmAccessGas = 5_900n;
/** Gas of the target and the zeros that a batch format puts around a call. */
const wrapperGas = 1_100n;

/** Gas of the calls inside one transaction. @param gasOf gas of a transaction with this call alone */
function gasTogether(calls: readonly OwnerCall[], gasOf: (call: OwnerCall) => bigint): bigint {
  const reached = new Set<Address>();
  return calls.reduce((sum, call) => {
    const saved = reached.has(call.to) ? warmAccessGas : 0n;
    reached.add(call.to);
    return sum + gasOf(call) - transactionGas - saved + wrapperGas;
  }, 0n);
}

/** A node's estimate includes what the chain gives back afterwards: at most one fifth of the gas (EIP-3529). */
function afterRefunds(gas: bigint, calls: readonly OwnerCall[], authorizes = false): bigint {
  const removals = calls.filter(({ functionName }) => functionName.startsWith("remove")).length;
  return gas - least(BigInt(removals) * removalRefund + (authorizes ? authorizationRefund : 0n), gas / 5n);
}

interface EstimateEachParameters {
  readonly from: Address;
  readonly calls: readonly OwnerCall[];
}

/**
 * Gas of a transaction with each call alone. The node estimates one call of each function of each contract. Where it
 * refuses one, an upper bound counts: an earlier transaction of the batch may have to come first, and sending gives the
 * contract's own reason.
 */
async function estimateEach(
  client: ChainClient,
  { from, calls }: EstimateEachParameters,
): Promise<(call: OwnerCall) => bigint> {
  const [possible = []] = groupCalls(calls);
  const samples = [...new Map(possible.toReversed().map((call) => [kindOf(call), call])).entries()];
  const estimates = new Map(
    await Promise.all(samples.map(async ([kind, call]) => [kind, await estimateOne(client, from, call)] as const)),
  );
  return (call) => estimates.get(kindOf(call)) ?? gasBoundOf(call);
}

function kindOf({ to, functionName }: OwnerCall): string {
  return `${to} ${functionName}`;
}

async function estimateOne(
  client: ChainClient,
  from: Address,
  { to, data, functionName }: Pick<OwnerCall, "to" | "data" | "functionName">,
): Promise<bigint | undefined> {
  try {
    return await estimateFor(client, { from, to, data });
  } catch (error) {
    if (findRevert(client, error, []) !== undefined) return undefined;
    throw translateChainError(client, error, `estimating the gas of ${functionName}`);
  }
}

async function planDeployment(client: ChainClient, from: Address): Promise<Omit<PricedTransaction, "gasLimit">> {
  const transaction = { to: deterministicDeployer, data: batchExecutorDeployment };
  const gas = await estimateOne(client, from, { ...transaction, functionName: "the deployment of the batch executor" });
  return { ...transaction, gas: gas ?? executorDeploymentGasCeiling };
}

function least(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}
