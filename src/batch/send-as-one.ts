import { type Address, decodeErrorResult, isAddressEqual, type SignedAuthorization } from "viem";
import { estimateGas } from "viem/actions";
import { batchExecutorAbi } from "../abi/index.ts";
import { readDelegation, requireCode } from "../chain/code.ts";
import { findRevert, translateChainError } from "../chain/rpc-errors.ts";
import { explainRevert, withRoom } from "../chain/transactions/simulate.ts";
import { encodeExecute } from "../core/batch-executor.ts";
import type { Hex } from "../core/ids.ts";
import { batchGasCeilingOf, chunkCalls } from "../core/order-calls.ts";
import { abiOf, type PolicyCall } from "../core/owner-calls.ts";
import { ContractRevertedError, DelegationUnsupportedError, ForeignDelegationError } from "../errors/index.ts";
import type { BatchRun } from "./batch-run.ts";
import type { DelegationPlan } from "./plan-batch.ts";
import { nextNonceOf, sendTransactions } from "./send-transactions.ts";
import { signDelegation } from "./sign-delegation.ts";

/** Least gas a call of a batch can cost, whatever it does: a touch of cold storage and an event. */
const leastPerCall = 3_000n;
const leastOfAll = 21_000n;

/**
 * All calls in one transaction of the account to itself, by the executor's code; in several, one after the other,
 * only where the gas limit of a transaction forces it. The first carries the authorisation that the plan has.
 */
export async function sendAsOne(run: BatchRun, { executor, authorizes }: DelegationPlan): Promise<void> {
  const { client } = run.settings;
  for (const address of new Set(run.left.map(({ to }) => to))) await requireCode(client, { address });
  const isDelegated = await isDelegatedTo(run, executor);
  if (!isDelegated && !authorizes) {
    throw new DelegationUnsupportedError("the account no longer delegates, and no authorisation was planned");
  }
  let delegate = isDelegated ? undefined : executor;
  for (const chunk of chunkCalls(run.left, { ceiling: run.settings.gasCeiling })) {
    await sendChunk(run, delegate, chunk);
    delegate = undefined;
  }
}

/** @param delegate what the transaction authorises, if it authorises anything */
async function sendChunk(run: BatchRun, delegate: Address | undefined, calls: readonly PolicyCall[]): Promise<void> {
  const { account, gasCeiling } = run.settings;
  const authorize =
    delegate === undefined
      ? undefined
      : (nonce: number) => signDelegation(run, { to: delegate, transactionNonce: nonce });
  const authorization = await authorize?.(await nextNonceOf(run));
  const data = encodeExecute(calls);
  const functionName = `a batch of ${calls.length} calls`;
  const estimate = await estimateBatch(run, { calls, data, authorization });
  const gas = withRoom(estimate, { ceiling: batchGasCeilingOf(calls), functionName });
  if (estimate > gasCeiling && calls.length > 1) {
    const middle = Math.ceil(calls.length / 2);
    await sendChunk(run, delegate, calls.slice(0, middle));
    return sendChunk(run, undefined, calls.slice(middle));
  }
  const limit = gas > gasCeiling ? gasCeiling : gas;
  await sendTransactions(run, [{ to: account.address, data, gas: limit, functionName, calls, authorize }]);
}

/**
 * A last look before anything is signed, so that nobody's delegation is replaced. It only ever takes the authorisation
 * away: that there is one, and for which address, was decided when the batch was planned.
 */
async function isDelegatedTo({ settings: { client, account } }: BatchRun, executor: Address): Promise<boolean> {
  const delegation = await readDelegation(client, { address: account.address });
  if (delegation.kind === "contract") throw new DelegationUnsupportedError(`${account.address} is a contract`);
  if (delegation.kind === "none") return false;
  if (isAddressEqual(delegation.to, executor)) return true;
  throw new ForeignDelegationError(account.address, delegation.to);
}

interface EstimateBatchParameters {
  readonly calls: readonly PolicyCall[];
  readonly data: Hex;
  readonly authorization: SignedAuthorization | undefined;
}

/** The whole batch on the node, as it will be sent: nothing leaves unless all of it passes. */
async function estimateBatch(run: BatchRun, { calls, data, authorization }: EstimateBatchParameters): Promise<bigint> {
  const { client, account } = run.settings;
  const from = account.address;
  let estimate: bigint;
  try {
    const authorizationList = authorization === undefined ? undefined : [authorization];
    estimate = await estimateGas(client, { account: from, to: from, data, authorizationList });
  } catch (error) {
    const revert = findRevert(error, batchExecutorAbi);
    if (revert === undefined) throw translateChainError(error, `estimating a batch of ${calls.length} calls`);
    throw await explainBatchRevert(run, calls, revert.data, revert.reason);
  }
  // An endpoint that leaves the authorisation out estimates a call of an account without code, which does nothing.
  if (estimate < leastOfAll + leastPerCall * BigInt(calls.length)) {
    throw new DelegationUnsupportedError("the endpoint estimates as if the account could not delegate");
  }
  return estimate;
}

/** The error the refused call would have had alone. */
async function explainBatchRevert(
  run: BatchRun,
  calls: readonly PolicyCall[],
  data: Hex | undefined,
  reason: string | undefined,
): Promise<Error> {
  const { client, account } = run.settings;
  const failed = decodeFailure(data);
  const call = failed === undefined ? undefined : calls[failed.index];
  if (failed === undefined || call === undefined) {
    return new ContractRevertedError({ contract: account.address, functionName: "execute", reason });
  }
  const { to, functionName } = call;
  const revert = findRevert({ code: 3, data: failed.reason }, abiOf(call));
  return explainRevert(
    client,
    { from: account.address, to, functionName },
    revert ?? { data: undefined, reason: undefined, errorName: undefined },
  );
}

function decodeFailure(data: Hex | undefined): { readonly index: number; readonly reason: Hex } | undefined {
  if (data === undefined) return undefined;
  try {
    const { errorName, args } = decodeErrorResult({ abi: batchExecutorAbi, data });
    return errorName === "CallFailed" ? { index: Number(args[0]), reason: args[1] } : undefined;
  } catch {
    return undefined;
  }
}
