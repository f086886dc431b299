import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { NewTaskActionFunction } from "hardhat/types/tasks";
import { readAppStatus } from "../../chain/read-app.ts";
import { requireNoKeyEpochs } from "../../core/generation.ts";
import { parseAccepted } from "../../core/lint/lint.ts";
import { InvalidArgumentError } from "../../errors/index.ts";
import { namedBy } from "../../prune/apply-prune-plan.ts";
import { loadPlan, requirePlanFor, savePlan } from "../../prune/plan-file.ts";
import { planPrune, removalsOf } from "../../prune/plan-prune.ts";
import { readQueued } from "../../prune/queued.ts";
import { readPruneFacts } from "../../prune/read-prune-facts.ts";
import { showPrunePlan } from "../../report/prune-printer.ts";
import { connectApp } from "../connect/connect-app.ts";
import { gatherContracts, reportGenerations, showCaveat } from "../connect/generations.ts";
import { requireApp } from "../connect/require-app.ts";
import { runTask, type TaskIo, type TaskOutcome } from "../connect/run-task.ts";
import { buildPolicy } from "../prune/build-policy.ts";
import { carryOutPrune } from "../prune/carry-out-prune.ts";
import { type PruneArguments, parsePruneArguments, requireNoOtherPolicy } from "../prune/parse-arguments.ts";
import { pruneSourceOf } from "../prune/prune-source-of.ts";

const action: NewTaskActionFunction<PruneArguments> = (args, hre) => runTask(args, (io) => prune(args, hre, io));
export default action;

async function prune(args: PruneArguments, hre: HardhatRuntimeEnvironment, io: TaskIo): Promise<TaskOutcome> {
  const settings = parsePruneArguments(args);
  const { planFile, isDryRun } = settings;
  const app = await connectApp(args, hre);
  const { client, appId, chainId } = app;
  const status = await readAppStatus(client, { appId });
  const contracts = await gatherContracts(app, requireApp(status, appId).generation);
  const acceptKeyEpochs = parseAccepted(settings.accept).has("key-epochs");
  requireNoKeyEpochs(contracts, acceptKeyEpochs);
  showCaveat(io.paper, contracts);

  const stored = planFile === undefined || isDryRun ? undefined : await loadPlan(planFile);
  const isToBeWritten = planFile !== undefined && stored === undefined;
  if (isToBeWritten && !isDryRun && args.yes === true) throw noSuchPlan(planFile);
  if (planFile !== undefined && stored !== undefined) {
    requirePlanFor(planFile, stored, { appId, chainId });
    requireNoOtherPolicy(settings, planFile);
  }

  // What was to be proven for the plan, and was not, is to be proven for carrying it out.
  const isProofWanted = settings.isProofWanted || stored?.unknowns.some(({ kind }) => kind === "proof") === true;
  const source = pruneSourceOf(io, hre, { app, settings: { ...settings, isProofWanted }, acceptKeyEpochs });
  const documents = await Promise.all(settings.queued.map(readQueued));
  const facts = await readPruneFacts(source, [...settings.pins, ...app.pins, ...(stored ? namedBy(stored) : [])]);
  const policy = buildPolicy({ settings, documents, facts, pins: app.pins, planned: stored?.policy });
  const plan = stored === undefined ? planPrune(facts, policy) : { ...stored, policy };
  showPrunePlan(io.paper, plan);
  const described = { ...plan, ...reportGenerations(contracts), removals: removalsOf(plan) };
  if (isToBeWritten) {
    await savePlan(planFile, plan);
    io.paper.line(`The plan is in ${planFile}. Carry it out with --plan ${planFile}, without --dry-run.`);
  }
  if (isToBeWritten || isDryRun) return { result: { ...described, outcome: "planned" } };
  const { result, show } = await carryOutPrune(io, { app, status, plan, facts, source, settings });
  return { result: { ...described, ...result }, show };
}

function noSuchPlan(path: string): InvalidArgumentError {
  return new InvalidArgumentError(`There is no plan in ${path} to carry out.`, {
    nextStep: `Write it first, and look at it: --dry-run --plan ${path}.`,
  });
}
