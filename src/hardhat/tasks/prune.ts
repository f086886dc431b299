import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { NewTaskActionFunction } from "hardhat/types/tasks";
import { readAppStatus } from "../../chain/read-app-status.ts";
import { removeComposeHashCall } from "../../core/batch/app-calls.ts";
import { findObjections } from "../../core/prune/find-objections.ts";
import { type PrunePlan, planPrune, removalsOf } from "../../core/prune/plan-prune.ts";
import { InvalidArgumentError, PruneBlockedError, PruneOvertakenError } from "../../errors/index.ts";
import { applyPrunePlan } from "../../prune/apply-prune-plan.ts";
import { loadPlan, requirePlanFor, savePlan } from "../../prune/plan-file.ts";
import { readPruneFacts } from "../../prune/prune-source.ts";
import { readQueued } from "../../prune/read-queued.ts";
import { showPrunePlan, showPruneResult } from "../../report/prune-printer.ts";
import { openTaskJournal } from "../batch/open-task-journal.ts";
import { connectApp } from "../connect/connect-app.ts";
import { requireApp } from "../connect/require-app.ts";
import { runTask, type TaskIo, type TaskOutcome } from "../connect/run-task.ts";
import { lintBeforeWrite } from "../lint/lint-before-write.ts";
import { buildPolicy } from "../prune/build-policy.ts";
import { type PruneArguments, parsePruneArguments, requireNoOtherPolicy } from "../prune/parse-arguments.ts";
import { pruneSourceOf } from "../prune/prune-source-of.ts";

const action: NewTaskActionFunction<PruneArguments> = (args, hre) => runTask(args, (io) => prune(args, hre, io));
export default action;

async function prune(args: PruneArguments, hre: HardhatRuntimeEnvironment, io: TaskIo): Promise<TaskOutcome> {
  const settings = parsePruneArguments(args);
  const { planFile, isDryRun, isProofWanted } = settings;
  const app = await connectApp(args, hre);
  const { client, appId, chainId } = app;
  const status = await readAppStatus(client, { appId });
  requireApp(status, appId);

  const stored = planFile === undefined || isDryRun ? undefined : await loadPlan(planFile);
  if (planFile !== undefined && stored !== undefined) {
    requirePlanFor(planFile, stored, { appId, chainId });
    requireNoOtherPolicy(settings, planFile);
  }
  const isToBeWritten = planFile !== undefined && stored === undefined;
  if (isToBeWritten && !isDryRun && args.yes === true) throw noSuchPlan(planFile);

  const source = pruneSourceOf(io, hre, { app, isProofWanted });
  const documents = await Promise.all(settings.queued.map(readQueued));
  const facts = await readPruneFacts(source, [...settings.pins, ...app.pins]);
  const policy = buildPolicy({ settings, documents, facts, pins: app.pins, planned: stored?.policy });
  const plan: PrunePlan = stored === undefined ? planPrune(facts, policy) : { ...stored, policy };
  const removals = removalsOf(plan);
  showPrunePlan(io.paper, plan);
  if (isToBeWritten) await savePlan(planFile, plan);
  if (isDryRun || isToBeWritten) {
    if (isToBeWritten) io.paper.line(`The plan is in ${planFile}; carry it out with --plan ${planFile}.`);
    return { result: { ...describe(plan), outcome: "planned" } };
  }
  const objections = findObjections(plan, facts);
  if (objections.length > 0) throw new PruneOvertakenError(objections);
  const open = facts.unknowns.filter(({ kind }) => !policy.waived.includes(kind));
  if (removals.length > 0 && open.length > 0) throw new PruneBlockedError(open);

  const account = await app.signer("removeComposeHash", plan.owner as `0x${string}`);
  await using journal = await openTaskJournal(app);
  if (removals.length === 0) return { result: { ...describe(plan), outcome: "nothing" } };
  const calls = removals.map((composeHash) => removeComposeHashCall({ appId, composeHash }));
  await lintBeforeWrite(io, app, { accept: args.accept, status, calls });
  await io.confirm(
    `Remove ${removals.length === 1 ? "this hash" : `these ${removals.length} hashes`} as ${account.address}?`,
  );
  const result = await applyPrunePlan({ plan, source, account, mode: settings.batch, journal });
  return {
    result: { ...describe(plan), outcome: "removed", ...result },
    show: (paper) => showPruneResult(paper, result),
  };
}

function describe(plan: PrunePlan) {
  return { ...plan, removals: removalsOf(plan) };
}

function noSuchPlan(path: string): InvalidArgumentError {
  return new InvalidArgumentError(`There is no plan in ${path} to carry out.`, {
    nextStep: `Write it first, and look at it: --dry-run --plan ${path}.`,
  });
}
