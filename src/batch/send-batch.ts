import { type Address, decodeErrorResult, isAddressEqual, type SignedAuthorization } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { readDelegation, requireCode } from "../chain/code.ts";
import { findRevert, translateChainError } from "../chain/rpc-errors.ts";
import { signDelegation } from "../chain/transactions/prepare.ts";
import {
  estimateFor,
  explainRevert,
  readGasLimit,
  readIntent,
  simulateCall,
  type TransactionIntent,
  withRoom,
} from "../chain/transactions/simulate.ts";
import {
  batchExecutorAddress,
  batchExecutorDeployment,
  deterministicDeployer,
  encodeExecute,
} from "../core/batch-executor.ts";
import type { Hex } from "../core/ids.ts";
import { mapLimited } from "../core/map-limited.ts";
import {
  batchGasCeilingOf,
  chunkCalls,
  executorDeploymentGasCeiling,
  groupCalls,
  idleGasOf,
  orderCalls,
} from "../core/order-calls.ts";
import { abiOf, type OwnerCall } from "../core/owner-calls.ts";
import { ContractRevertedError, DelegationUnsupportedError, ForeignDelegationError } from "../errors/index.ts";
import { batchExecutorAbi } from "../generated/abi.ts";
import {
  type BatchPlan,
  type DelegationPlan,
  isExecutorDeployed,
  type PlanBatchParameters,
  planFor,
  requirePlanned,
  titleOf,
} from "./plan-batch.ts";
import { type BatchResult, type BatchRun, openRun } from "./run.ts";

export interface SendBatchParameters extends PlanBatchParameters {
  /**
   * The plan from planBatch that the user has reviewed. Nothing else is signed, and `mode`, `executor`, `allowDelegation`
   * and `allowNoEffect` are ignored. Without a plan, sendBatch plans now.
   */
  readonly plan?: BatchPlan | undefined;
}

/**
 * Executes the owner's calls in a safe order, in as few transactions as the mode allows. Returns when every transaction
 * is mined and every call's event has been found. Each group of calls is simulated before its first transaction is
 * sent.
 *
 * @throws InvalidArgumentError if calls contradict each other, or the plan is for other calls
 * @throws NoEffectError for calls that change nothing, if no plan is given
 * @throws ContractOwnerError if the owner is a Safe or another contract: see buildSafeBatch
 * @throws BatchStoppedError if something was sent and the rest failed
 * @throws ForeignDelegationError, DelegationUnsupportedError, ExecutorMismatchError in mode `7702`
 * @throws SignerRequiredError, WrongChainError, NoContractError, NotOwnerError, ContractRevertedError,
 * ImplausibleAnswerError, InsufficientFundsError, NonceTakenError, RpcUnavailableError
 *
 * @example
 * import { addComposeHashCall, removeComposeHashCall, sendBatch } from "dstack-toolkit/batch";
 * import { appId, client, composeHash, oldHash } from "./app.js";
 * const calls = [addComposeHashCall({ appId, composeHash }), removeComposeHashCall({ appId, composeHash: oldHash })];
 * const { transactions, costWei } = await sendBatch(client, { calls });
 */
export async function sendBatch(client: ChainClient, parameters: SendBatchParameters): Promise<BatchResult> {
  const calls = orderCalls(parameters.calls);
  const { allowNoEffect = false, onEvent } = parameters;
  const executor = parameters.plan?.delegation?.executor ?? parameters.executor;
  using run = await openRun(client, parameters, { calls, title: titleOf(calls), executor });
  await run.look();
  if (parameters.plan !== undefined) requirePlanned(run, parameters.plan);
  let chosen: Pick<BatchPlan, "mode" | "reason"> = { mode: "none", reason: "nothing was chosen yet" };
  try {
    await run.sender.resume();
    // Another process may have done the same since the plan was made.
    if (parameters.plan !== undefined && !allowNoEffect) await run.requireEffect();
    const plan = parameters.plan ?? (await planFor(run, parameters));
    chosen = run.left.length === 0 ? { mode: "none", reason: "nothing is left to send" } : plan;
    onEvent?.({ kind: "chosen", mode: chosen.mode, reason: chosen.reason });
    if (run.left.length > 0) {
      run.sender.knownNonce = plan.nonce;
      run.sender.gasLeft = plan.gas;
      try {
        await executePlan(run, plan);
      } catch (error) {
        // The node rejects this type of transaction, so it can never be mined. The same calls may be sent one by one.
        if (!plan.fallsBack || !isRefusal(error)) throw error;
        chosen = { mode: "none", reason: error.message };
        onEvent?.({ kind: "chosen", mode: chosen.mode, reason: chosen.reason });
        await sendOneByOne(run);
      }
    }
    // Another run may have sent calls of this one meanwhile.
    await run.sender.resume();
    await run.sender.finish();
    if (run.unfinished.length === 0) run.sender.complete();
  } catch (error) {
    throw run.stopped(error, chosen.mode, chosen.reason);
  }
  return run.result(chosen.mode, chosen.reason);
}

/** Goes on with what is left where another run has sent some of the calls. */
async function executePlan(run: BatchRun, plan: BatchPlan): Promise<void> {
  const { delegation } = plan;
  const { left } = run;
  if (delegation === undefined) await sendOneByOne(run);
  else {
    if (delegation.deploys) await deployExecutor(run);
    await sendAsOne(run, delegation);
  }
  if (run.left.length > 0 && run.left.length < left.length) await executePlan(run, plan);
}

function isRefusal(error: unknown): error is Error {
  return error instanceof DelegationUnsupportedError || error instanceof ForeignDelegationError;
}

/** Endpoints limit the number of parallel requests. */
const requestsAtOnce = 8;

/**
 * Sends one transaction per call; works for any account and any contract. All calls of a group are simulated before the
 * first is sent. A call that changes who may call, or which code runs, must be mined before the next group starts.
 */
export async function sendOneByOne(run: BatchRun): Promise<void> {
  for (const group of groupCalls(run.left)) await run.sender.send(await readIntents(run, group));
}

async function readIntents(
  { client, account: { address: from } }: BatchRun,
  calls: readonly OwnerCall[],
): Promise<readonly TransactionIntent[]> {
  // A call to an address without code succeeds and does nothing.
  for (const address of new Set(calls.map(({ to }) => to))) await requireCode(client, { address });
  return mapLimited(calls, (call) => readIntent(client, { from, call }), { limit: requestsAtOnce });
}

/** Minimum gas of any call in a batch, without its calldata: one event through a proxy. */
const leastPerCall = 2_000n;

/**
 * Sends all calls in one transaction of the account to itself, run by the executor's code. If the gas limit of a
 * transaction requires it, sends several such transactions one after another. The first carries the planned
 * authorisation.
 */
export async function sendAsOne(run: BatchRun, { executor, authorizes, replaces }: DelegationPlan): Promise<void> {
  const { client } = run;
  for (const address of new Set(run.left.map(({ to }) => to))) await requireCode(client, { address });
  const isDelegated = await isDelegatedTo(run, { executor, replaces });
  if (!isDelegated && !authorizes) {
    throw new DelegationUnsupportedError("the account no longer delegates, and no authorisation was planned");
  }
  let delegate = isDelegated ? undefined : executor;
  for (const chunk of chunkCalls(run.left, { ceiling: run.gasCeiling })) {
    await sendChunk(run, delegate, chunk);
    delegate = undefined;
  }
}

/** @param delegate the address to authorise, if any */
async function sendChunk(run: BatchRun, delegate: Address | undefined, calls: readonly OwnerCall[]): Promise<void> {
  const { account, gasCeiling, sender } = run;
  const authorize =
    delegate === undefined
      ? undefined
      : (nonce: number) => signDelegation(run, { to: delegate, transactionNonce: nonce });
  const authorization = await authorize?.(await sender.readNextNonce());
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
  await sender.send([{ to: account.address, data, gas: limit, functionName, calls, authorize }]);
}

/**
 * Last check before signing, so that a delegation is replaced only if the plan says so. It can only remove the
 * authorisation: the plan decided whether there is one, and for which address.
 */
async function isDelegatedTo(
  { client, account }: BatchRun,
  { executor, replaces }: Pick<DelegationPlan, "executor" | "replaces">,
): Promise<boolean> {
  const delegation = await readDelegation(client, { address: account.address });
  if (delegation.kind === "contract") throw new DelegationUnsupportedError(`${account.address} is a contract`);
  if (delegation.kind === "none") return false;
  if (isAddressEqual(delegation.to, executor)) return true;
  if (replaces !== undefined && isAddressEqual(delegation.to, replaces)) return false;
  throw new ForeignDelegationError(account.address, delegation.to);
}

interface EstimateBatchParameters {
  readonly calls: readonly OwnerCall[];
  readonly data: Hex;
  readonly authorization: SignedAuthorization | undefined;
}

/** Estimates the whole batch on the node, as it will be sent. Nothing is sent unless all of it passes. */
async function estimateBatch(run: BatchRun, { calls, data, authorization }: EstimateBatchParameters): Promise<bigint> {
  const { client, account } = run;
  const from = account.address;
  let estimate: bigint;
  try {
    const authorizationList = authorization === undefined ? undefined : [authorization];
    estimate = await estimateFor(client, { from, to: from, data, authorizationList });
  } catch (error) {
    const revert = findRevert(client, error, batchExecutorAbi);
    if (revert === undefined) throw translateChainError(client, error, `estimating a batch of ${calls.length} calls`);
    throw await explainBatchRevert(run, calls, revert.data, revert.reason);
  }
  // An endpoint that ignores the authorisation estimates a call to an account without code, or with the code of an
  // earlier executor. Such a call does nothing.
  if (estimate < idleGasOf(data) + leastPerCall * BigInt(calls.length)) {
    throw new DelegationUnsupportedError("the endpoint estimates as if the account could not delegate");
  }
  return estimate;
}

/** The error that the refused call would cause alone. */
async function explainBatchRevert(
  run: BatchRun,
  calls: readonly OwnerCall[],
  data: Hex | undefined,
  reason: string | undefined,
): Promise<Error> {
  const { client, account } = run;
  const failed = decodeFailure(data);
  const call = failed === undefined ? undefined : calls[failed.index];
  if (failed === undefined || call === undefined) {
    return new ContractRevertedError({ contract: account.address, functionName: "execute", reason });
  }
  const { to, functionName } = call;
  const revert = findRevert(client, { code: 3, data: failed.reason }, abiOf(call));
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

const functionName = "the deployment of the batch executor";

/**
 * Deploys the executor through the deterministic-deployment proxy, at the address derived from its code. Returns at
 * once if it is deployed already.
 *
 * @throws NotOwnerError, ContractOwnerError, ContractRevertedError, NoContractError before anything is sent
 * @throws ExecutorMismatchError, DelegationUnsupportedError, InsufficientFundsError, RpcUnavailableError
 */
export async function deployExecutor(run: BatchRun): Promise<void> {
  const { client, account } = run;
  const address = batchExecutorAddress;
  if (await isExecutorDeployed(client, { address })) return;
  await requireRights(run);
  const call = { to: deterministicDeployer, data: batchExecutorDeployment, functionName };
  const ceiling = executorDeploymentGasCeiling;
  const gas = await readGasLimit(client, { ...call, from: account.address, abi: [], ceiling });
  await run.sender.send([{ ...call, gas, calls: [] }]);
  if (await isExecutorDeployed(client, { address })) return;
  throw new DelegationUnsupportedError(`the batch executor did not appear at ${address}`);
}

/** Prevents paying for a batch that cannot succeed: the first call to each contract must pass on its own. */
async function requireRights({ client, account, left }: BatchRun): Promise<void> {
  const seen = new Set<Address>();
  for (const call of left) {
    if (seen.has(call.to)) continue;
    seen.add(call.to);
    const { to, data, functionName } = call;
    await simulateCall(client, { from: account.address, to, data, functionName, abi: abiOf(call) });
  }
}
