import { readReceipt } from "../chain/transactions/receipt.ts";
import type { TransactionHash } from "../core/ids.ts";
import { cleanText } from "../core/text.ts";
import { isDstackError, UpgradeMismatchError } from "../errors/index.ts";
import type { ChangePlan } from "../plans/change-plan.ts";
import type { HistoryArguments } from "./app-history.ts";
import type { ConnectedApp } from "./connect-app.ts";
import type { CommandHost, ConnectedChain } from "./host.ts";
import { recordRevocationsOf } from "./revocations.ts";
import type { TaskIo, TaskOutcome } from "./run.ts";
import type { Signing } from "./signing.ts";

export interface ExecutedPlan {
  readonly args: HistoryArguments;
  readonly plan: ChangePlan;
  readonly chain: ConnectedChain & Pick<Signing, "openLedger"> & { readonly app?: ConnectedApp | undefined };
  /** The transactions with the events of the plan's calls, in the order of the chain. */
  readonly transactionHashes: readonly TransactionHash[];
}

/**
 * Does what follows the execution of a plan, whichever account executed it: records what it revoked, and compares the
 * answers of an upgraded app with those before the upgrade. Adds the result to the outcome.
 *
 * @throws UpgradeMismatchError if the app answers otherwise than before, LedgerError
 */
export async function finishPlan(
  io: TaskIo,
  host: CommandHost,
  executed: ExecutedPlan,
  outcome: TaskOutcome,
): Promise<TaskOutcome> {
  const { plan, chain } = executed;
  if (plan.changes.some(({ reason }) => reason.rule === "revoked")) {
    using ledger = await chain.openLedger();
    recordRevocationsOf(ledger, plan);
  }
  if (plan.upgrade === undefined) return outcome;
  const compared = await compareAnswers(io, host, executed);
  return {
    ...outcome,
    result: { ...outcome.result, comparedAnswers: compared.count },
    show: (output) => {
      outcome.show?.(output);
      output.line(compared.words);
    },
  };
}

interface Compared {
  /** Null if they could not be read. */
  readonly count: number | null;
  readonly words: string;
}

/** Asks the app at the block of its upgrade and at the block before. @throws UpgradeMismatchError */
async function compareAnswers(
  io: TaskIo,
  host: CommandHost,
  { args, plan: { upgrade, owner }, chain: { client, app }, transactionHashes }: ExecutedPlan,
): Promise<Compared> {
  const failed = (why: string): Compared => ({
    count: null,
    words: `The app's answers before and after the upgrade were not compared: ${why}`,
  });
  const last = transactionHashes.at(-1);
  if (app === undefined || upgrade === undefined || last === undefined) return failed("its transaction is not known.");
  const { readAppLists } = await import("./app-history.ts");
  const { gatherQuestions, requireSameAnswers } = await import("./upgrade-checks.ts");
  const { readAnswers } = await import("../chain/simulate-upgrade.ts");
  try {
    const receipt = await readReceipt(client, last);
    if (receipt === undefined) return failed("the endpoint does not show its transaction.");
    const questions = await gatherQuestions(app, { lists: await readAppLists(io, host, app, args), kms: upgrade.kms });
    const ask = (blockNumber: bigint) => readAnswers(client, { questions, owner: owner.address, blockNumber });
    const [before, after] = await Promise.all([ask(receipt.blockNumber - 1n), ask(receipt.blockNumber)]);
    requireSameAnswers({ appId: app.appId, questions, before, after, previous: upgrade.previousImplementation });
    const words = `App ${app.appId} runs ${upgrade.implementation}. All ${questions.length} answers are as before the upgrade.`;
    return { count: questions.length, words };
  } catch (error) {
    if (!isDstackError(error) || error instanceof UpgradeMismatchError) throw error;
    return failed(cleanText(error.message));
  }
}
