import type { ChainClient } from "../chain/client.ts";
import { orderCalls } from "../core/order-calls.ts";
import { DelegationUnsupportedError, ForeignDelegationError } from "../errors/index.ts";
import type { BatchResult } from "./batch-result.ts";
import type { BatchRun } from "./batch-run.ts";
import { deployExecutor } from "./deploy-executor.ts";
import { openRun } from "./open-run.ts";
import { type BatchPlan, type PlanBatchParameters, planFor, purposeOf, requirePlanned } from "./plan-batch.ts";
import { requireEffect } from "./require-effect.ts";
import { sendAsOne } from "./send-as-one.ts";
import { sendOneByOne } from "./send-one-by-one.ts";
import { settleJournal } from "./settle-journal.ts";

export interface SendBatchParameters extends PlanBatchParameters {
  /**
   * Of planBatch, as a person has seen it: nothing else is signed, and `mode` and `executor` count no more. Without it
   * the same decisions are taken now.
   */
  readonly plan?: BatchPlan | undefined;
  /** Sends calls that change nothing too. */
  readonly allowNoEffect?: boolean | undefined;
}

/**
 * Carries out calls of an owner, in a safe order, in as few transactions as the mode allows. Returns when every
 * transaction is mined and every call's event was seen. Nothing is sent unless all of it would pass.
 *
 * @throws InvalidArgumentError if calls contradict each other, or the plan is for others
 * @throws NoEffectError for calls that change nothing
 * @throws ContractOwnerError if the owner is a Safe or another contract: see buildSafeBatch
 * @throws BatchStoppedError once something was sent and the rest could not be
 * @throws ForeignDelegationError, DelegationUnsupportedError, ExecutorMismatchError in mode `7702`
 * @throws SignerRequiredError, WrongChainError, NoContractError, NotOwnerError, ContractRevertedError,
 * ImplausibleAnswerError, InsufficientFundsError, NonceTakenError, RpcUnavailableError
 */
export async function sendBatch(client: ChainClient, parameters: SendBatchParameters): Promise<BatchResult> {
  const calls = orderCalls(parameters.calls);
  const { allowNoEffect = false, onEvent } = parameters;
  const run = await openRun(client, parameters, { calls, purpose: purposeOf(calls) });
  if (parameters.plan !== undefined) requirePlanned(run, parameters.plan);
  let chosen: Pick<BatchPlan, "mode" | "reason"> = { mode: "none", reason: "nothing was chosen yet" };
  try {
    await settleJournal(run);
    if (!allowNoEffect) await requireEffect(client, run.left);
    const plan = parameters.plan ?? (await planFor(run, parameters));
    chosen = run.left.length === 0 ? { mode: "none", reason: "nothing is left to send" } : plan;
    onEvent?.({ kind: "chosen", mode: chosen.mode, reason: chosen.reason });
    if (run.left.length > 0) {
      run.knownNonce = Math.max(plan.nonce, run.minimumNonce);
      run.gasLeft = plan.gas;
      try {
        await carryOut(run, plan);
      } catch (error) {
        // Refused as a kind, so it can never be mined: the same calls may go another way.
        if (!plan.fallsBack || !isRefusal(error)) throw error;
        chosen = { mode: "none", reason: error.message };
        onEvent?.({ kind: "chosen", mode: chosen.mode, reason: chosen.reason });
        await sendOneByOne(run);
      }
    }
  } catch (error) {
    throw run.stopped(error, chosen.mode, chosen.reason);
  }
  return run.result(chosen.mode, chosen.reason);
}

async function carryOut(run: BatchRun, { delegation }: BatchPlan): Promise<void> {
  if (delegation === undefined) return sendOneByOne(run);
  if (delegation.deploys) await deployExecutor(run);
  await sendAsOne(run, delegation);
}

function isRefusal(error: unknown): error is Error {
  return error instanceof DelegationUnsupportedError || error instanceof ForeignDelegationError;
}
