import { planBatch } from "../../batch/plan-batch.ts";
import { recordedBy } from "../../batch/send-transactions.ts";
import type { ReadAppStatusReturnType } from "../../chain/read-app.ts";
import { removeComposeHashCall } from "../../core/owner-calls.ts";
import { PruneBlockedError, PruneOvertakenError } from "../../errors/index.ts";
import { applyPrunePlan, recordedRemovals } from "../../prune/apply-prune-plan.ts";
import type { PruneFacts } from "../../prune/facts.ts";
import { findObjections, type PrunePlan, removalsOf } from "../../prune/plan-prune.ts";
import type { PruneSource } from "../../prune/read-prune-facts.ts";
import { showPruneResult } from "../../report/prune-printer.ts";
import type { ConnectedApp } from "../connect/connect-app.ts";
import { requireApp } from "../connect/require-app.ts";
import type { TaskIo, TaskOutcome } from "../connect/run-task.ts";
import { lintBeforeWrite } from "../lint/lint-before-write.ts";
import { chooseDelivery } from "../write/choose-delivery.ts";
import { type PrepareForSafeParameters, prepareForSafe } from "../write/prepare-for-safe.ts";
import { showBatchPlan, showRecorded, tellBatch } from "../write/tell-batch.ts";
import { openPruneJournal } from "./open-prune-journal.ts";
import type { PruneSettings } from "./parse-arguments.ts";

export interface CarryOutPruneParameters {
  readonly app: ConnectedApp;
  readonly status: ReadAppStatusReturnType;
  readonly plan: PrunePlan;
  /** Read just now: older plans are held against them before anybody is asked. */
  readonly facts: PruneFacts;
  readonly source: PruneSource;
  readonly settings: PruneSettings;
}

/**
 * Asks, then sends a plan's removals or writes them down for the Safe that owns the app.
 *
 * @throws PruneBlockedError, PruneOvertakenError, LintRefusedError, InvalidArgumentError where nobody can be asked, and
 * what applyPrunePlan and prepareForSafe throw
 */
export async function carryOutPrune(io: TaskIo, parameters: CarryOutPruneParameters): Promise<TaskOutcome> {
  const { app, status, settings } = parameters;
  const delivery = chooseDelivery(settings.batch, requireApp(status, app.appId).owner);
  if (delivery.kind === "prepare") return forSafe(io, parameters, delivery);
  const journal = await openPruneJournal(app, settings);
  try {
    return await send(io, parameters, { mode: delivery.mode, journal });
  } finally {
    await journal.close();
  }
}

async function send(
  io: TaskIo,
  parameters: CarryOutPruneParameters,
  { mode, journal }: Pick<Parameters<typeof applyPrunePlan>[0], "mode" | "journal">,
): Promise<TaskOutcome> {
  const { app, plan, source } = parameters;
  const removals = removalsOf(plan);
  if (removals.length === 0 && journal.open.length === 0) return nothing;
  const account = await app.signer("removeComposeHash", plan.owner);
  const recorded = recordedRemovals({ journal, plan, account });
  if (removals.length + recorded.length === 0) return nothing;
  if (recorded.length > 0) {
    io.paper.line(`An earlier run signed the removal of ${recorded.length}: that is seen to its end first.`);
    showRecorded(io, recordedBy({ journal, account, chainId: plan.chainId }));
  }
  await check(
    io,
    parameters,
    removals.filter((hash) => !recorded.includes(hash)),
  );
  // A record that another transaction has replaced leaves its removals to this run.
  const all = removals.map((composeHash) => removeComposeHashCall({ appId: app.appId, composeHash }));
  const { chainId } = app;
  const batchPlan = await planBatch(app.client, { calls: all, account, journal, mode, chainId });
  showBatchPlan(io, batchPlan);
  const what = removals.length === 1 ? "this hash" : `these ${removals.length} hashes`;
  await io.confirm(`Remove ${what} as ${account.address}?`);
  const result = await applyPrunePlan({ plan, source, account, batchPlan, journal, onEvent: tellBatch(io, app) });
  return { result: { outcome: "removed", ...result }, show: (paper) => showPruneResult(paper, result) };
}

async function forSafe(
  io: TaskIo,
  parameters: CarryOutPruneParameters,
  delivery: Omit<PrepareForSafeParameters, "calls">,
): Promise<TaskOutcome> {
  const { app, plan } = parameters;
  const removals = removalsOf(plan);
  if (removals.length === 0) return nothing;
  const calls = await check(io, parameters, removals);
  const prepared = await prepareForSafe(io, app, { ...delivery, calls });
  for (const line of untilSigned) io.paper.line(line);
  return { result: { outcome: "prepared", ...prepared } };
}

const nothing: TaskOutcome = {
  result: { outcome: "nothing" },
  show: (paper) => paper.line("Nothing to remove."),
};

/** Nobody looks again once the owners have signed. */
const untilSigned = [
  "Keep the plan in a file (--dry-run --plan FILE) and hold it against the facts right before they sign:",
  "--plan FILE --batch safe stops if it is overtaken.",
] as const;

async function check(
  io: TaskIo,
  { app, status, plan, facts, settings }: CarryOutPruneParameters,
  removals: ReturnType<typeof removalsOf>,
) {
  const unknowns = facts.unknowns.filter(({ kind }) => !plan.policy.waived.includes(kind));
  if (unknowns.length > 0) throw new PruneBlockedError(unknowns);
  const objections = findObjections(plan, facts, removals);
  if (objections.length > 0) throw new PruneOvertakenError(objections);
  const calls = removals.map((composeHash) => removeComposeHashCall({ appId: app.appId, composeHash }));
  // The generation was judged before the plan was made, and is judged again with all facts before anything is sent.
  await lintBeforeWrite(io, app, { accept: settings.accept, status, calls, ignoresKeyEpochs: true });
  return calls;
}
