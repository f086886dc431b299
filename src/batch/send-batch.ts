import type { Address } from "viem";
import type { ChainClient } from "../chain/chain-client.ts";
import { orderCalls } from "../core/batch/order-calls.ts";
import type { PolicyCall } from "../core/batch/policy-call.ts";
import { DelegationUnsupportedError } from "../errors/index.ts";
import type { BatchMode, BatchResult } from "./batch-result.ts";
import type { BatchRun } from "./batch-run.ts";
import { chooseMode, type ModeChoice } from "./choose-mode.ts";
import { deployExecutor } from "./deploy-executor.ts";
import { type BatchParameters, openRun } from "./open-run.ts";
import { requireEffect } from "./require-effect.ts";
import { sendAsOne } from "./send-as-one.ts";
import { sendOneByOne } from "./send-one-by-one.ts";
import { settleJournal } from "./settle-journal.ts";

export interface SendBatchParameters extends BatchParameters {
  readonly calls: readonly PolicyCall[];
  /**
   * `none`: one transaction per call. `7702`: one for all, through the batch executor (EIP-7702). `auto`, the
   * default, takes the second where it is possible and worth it.
   */
  readonly mode?: BatchMode | "auto" | undefined;
  /** Where the executor is, on a chain without the deterministic-deployment proxy. Its code is verified. */
  readonly executor?: Address | undefined;
  /** Sends calls that change nothing too. */
  readonly allowNoEffect?: boolean | undefined;
}

/**
 * Carries out calls of an owner, in a safe order, in as few transactions as the mode allows. Returns when every
 * transaction is mined and every call's event was seen. Nothing is sent unless all of it would pass.
 *
 * @throws InvalidArgumentError if calls contradict each other
 * @throws NoEffectError for calls that change nothing
 * @throws ContractOwnerError if the owner is a Safe or another contract: see buildSafeBatch
 * @throws BatchStoppedError once something was sent and the rest could not be
 * @throws ForeignDelegationError, DelegationUnsupportedError, ExecutorMismatchError in mode `7702`
 * @throws SignerRequiredError, WrongChainError, NoContractError, NotOwnerError, ContractRevertedError,
 * InsufficientFundsError, NonceTakenError, RpcUnavailableError
 */
export async function sendBatch(client: ChainClient, parameters: SendBatchParameters): Promise<BatchResult> {
  const calls = orderCalls(parameters.calls);
  const { mode: wanted = "auto", executor, allowNoEffect = false, onEvent } = parameters;
  const purpose = [...new Set(calls.map(({ functionName }) => functionName))].join(", ");
  const run = await openRun(client, parameters, { calls, purpose });
  let choice: ModeChoice = { mode: "none", reason: "nothing was chosen yet" };
  try {
    await settleJournal(run);
    if (!allowNoEffect) await requireEffect(client, run.left);
    choice = await chooseMode(run, { wanted, executor });
    onEvent?.({ kind: "chosen", mode: choice.mode, reason: choice.reason });
    try {
      await carryOut(run, choice);
    } catch (error) {
      // Refused as a kind, so it can never be mined: the same calls may go another way.
      if (wanted !== "auto" || !(error instanceof DelegationUnsupportedError)) throw error;
      choice = { mode: "none", reason: error.message };
      onEvent?.({ kind: "chosen", mode: choice.mode, reason: choice.reason });
      await carryOut(run, choice);
    }
  } catch (error) {
    throw run.stopped(error, choice.mode, choice.reason);
  }
  return run.result(choice.mode, choice.reason);
}

async function carryOut(run: BatchRun, { mode, executor }: ModeChoice): Promise<void> {
  if (run.left.length === 0) return;
  if (mode === "none") await sendOneByOne(run);
  else await sendAsOne(run, executor ?? (await deployExecutor(run)));
}
