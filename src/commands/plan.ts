import { readAppStatus } from "../chain/read-app.ts";
import type { ReadOwnerReturnType } from "../chain/read-owner.ts";
import { readRecorded } from "../chain/transactions/recorded.ts";
import type { CloudClient } from "../cloud/create-client.ts";
import { type ComposeHash, parseTransactionHash } from "../core/ids.ts";
import type { OwnerCall } from "../core/owner-calls.ts";
import { cleanText } from "../core/text.ts";
import { InvalidArgumentError, PlanOvertakenError } from "../errors/index.ts";
import { shellWord } from "../output/format.ts";
import { changesNothing, describeApplied, nextCommands, showPlan, toNextStep } from "../output/plan.ts";
import type { ChangePlan } from "../plans/change-plan.ts";
import { checkPlan, type PlanCheck } from "../plans/check-plan.ts";
import { loadPlan } from "../plans/plan-file.ts";
import type { ReasonSource } from "../plans/reason-rules.ts";
import { finishPlan } from "./after-execution.ts";
import type { HistoryArguments } from "./app-history.ts";
import type { DryRunArguments } from "./batch-plan.ts";
import { type ConnectedApp, connectApp } from "./connect-app.ts";
import { examineTransfer } from "./examine-transfer.ts";
import type { Command, CommandHost, ConnectedChain } from "./host.ts";
import { lintAndShow, lintBeforeWrite } from "./lint.ts";
import { commandsAfter } from "./plan-progress.ts";
import { negativeAnswer, type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "./run.ts";
import type { SendingArguments } from "./sending.ts";
import { type Signing, signingOf } from "./signing.ts";
import { executeCalls, isSent } from "./write.ts";

export interface PlanShowArguments extends OutputArguments {
  readonly file: string;
}

export const planShow: Command<PlanShowArguments> = (args) =>
  runTask(args, async () => {
    const plan = await readPlan(args);
    return { result: { planFile: args.file, plan }, show: (output) => showPlan(output, plan) };
  });

export interface PlanCheckArguments extends PlanShowArguments, HistoryArguments, SendingArguments {
  /** Further hashes that a prune keeps. */
  readonly pin?: string | undefined;
  /** Further queued calls whose hashes a prune keeps. */
  readonly queued?: string | undefined;
}

export const planCheck: Command<PlanCheckArguments> = (args, host) =>
  runTask(args, async (io) => {
    const connected = await connectPlan(io, args, host);
    const { plan } = connected;
    const { check } = await checkOrResume(connected);
    const { appliedBy, objections, owner } = check;
    const outcome = appliedBy !== undefined ? "applied" : objections.length > 0 ? "overtaken" : "ready";
    const next = commandsAfterCheck(connected, check, args.file);
    const checked: TaskOutcome = {
      result: {
        ...{ ...describe(args.file, plan), outcome, owner: owner ?? null, ...report(check) },
        nextStep: toNextStep(next),
      },
      show: (output) => {
        output.title(`Plan of dstack ${plan.task}, digest ${plan.digest}`);
        for (const line of [...describeCheck(plan, check), ...next]) output.line(line);
      },
      exitCode: outcome === "ready" ? 0 : negativeAnswer,
    };
    if (appliedBy === undefined) return checked;
    return finishPlan(io, host, { ...connected, args, transactionHashes: appliedBy }, checked);
  });

export interface PlanApplyArguments extends PlanCheckArguments, DryRunArguments {
  readonly batch?: string | undefined;
}

/**
 * Checks a plan, shows it, asks, and has its owner execute it: a key sends the calls through the ledger; for a Safe, a
 * timelock or another contract the task prepares what its people need.
 */
export const planApply: Command<PlanApplyArguments> = (args, host) => runTask(args, (io) => apply(io, args, host));

async function apply(io: TaskIo, args: PlanApplyArguments, host: CommandHost): Promise<TaskOutcome> {
  const connected = await connectPlan(io, args, host);
  const { plan, chain } = connected;
  const { check, isResumed } = await checkOrResume(connected);
  const { appliedBy, objections, owner } = check;
  const described = describe(args.file, plan);
  if (appliedBy !== undefined && !isResumed) {
    const applied: TaskOutcome = {
      result: { ...described, outcome: "applied", ...report(check) },
      show: (output) => {
        const next = commandsAfterCheck(connected, check, args.file);
        for (const line of [...describeCheck(plan, check), ...next]) output.line(line);
      },
    };
    if (args.dryRun === true) return applied;
    return finishPlan(io, host, { ...connected, args, transactionHashes: appliedBy }, applied);
  }
  if ((appliedBy === undefined && objections.length > 0) || owner === undefined)
    throw overtakenPlan(plan, args.file, objections);
  showPlan(io.output, plan);
  io.output.line();
  if (plan.changes.length === 0)
    return { result: { ...described, outcome: "nothing" }, show: (output) => output.line("Nothing was sent.") };
  if (owner.kind === "timelock" || owner.kind === "contract") return handOver(io, connected, args.file, owner);
  const { result, ...outcome } = await execute(io, args, { host, connected, signer: owner });
  if (owner.kind === "safe") for (const line of nextCommands("safe", args.file, chain.network, 2)) io.output.line(line);
  return { ...outcome, result: { ...described, ...result } };
}

interface ExecuteParameters {
  readonly host: CommandHost;
  readonly connected: ConnectedPlan;
  readonly signer: ReadOwnerReturnType;
}

/** Sends the plan as its owner, or prepares it for the Safe that owns the contracts. */
async function execute(
  io: TaskIo,
  args: PlanApplyArguments,
  { host, connected, signer }: ExecuteParameters,
): Promise<TaskOutcome> {
  const { plan, chain } = connected;
  if (plan.prune !== undefined && chain.app !== undefined)
    return (await import("./prune.ts")).executeStoredPrune(io, host, { args, app: chain.app, plan });
  const findings = await lintPlan(io, connected);
  const calls = plan.changes.map(({ call }) => call);
  const { batch, dryRun } = args;
  const allowNoEffect = plan.accepted.includes("no-effect");
  const sent = await executeCalls(io, chain, { calls, signer, batch, allowNoEffect, dryRun });
  const outcome = { result: { ...sent, findings } };
  if (!isSent(sent)) return outcome;
  for (const line of commandsAfter(plan, args.file, chain.network)) io.output.line(line);
  const transactionHashes = sent.calls.flatMap((one) => one.transactionHash ?? []).map(parseTransactionHash);
  return finishPlan(io, host, { ...connected, args, transactionHashes }, outcome);
}

/** What to do about a plan that must not be executed or committed, as a sentence. */
export function planAgain({ update, task }: Pick<ChangePlan, "update" | "task">, file: string): string {
  return update === undefined
    ? `Make a new plan with dstack ${cleanText(task)}, and look at it.`
    : `Prepare the update again, with the same options: npx hardhat dstack update --prepare --plan ${shellWord(file)}`;
}

/** @param file as the user named it */
export function overtakenPlan(plan: ChangePlan, file: string, objections: PlanCheck["objections"]): PlanOvertakenError {
  return new PlanOvertakenError(objections, { nextStep: `Nothing was sent. ${planAgain(plan, file)}` });
}

/** The judgement, as lines. */
function describeCheck({ changes }: ChangePlan, { appliedBy, undone, objections }: PlanCheck): readonly string[] {
  const isOpen = appliedBy === undefined && changes.length > 0;
  const verdict = isOpen ? "The plan must not be executed:" : "Its update must not be committed:";
  return [
    ...(appliedBy === undefined ? [] : describeApplied(appliedBy, undone)),
    ...(objections.length > 0 ? [verdict] : []),
    ...objections.map(({ problem }) => `  - ${problem}`),
    ...(objections.length > 0 || appliedBy !== undefined
      ? []
      : [isOpen ? "The plan can be executed: chain and cloud are as it says." : changesNothing]),
  ];
}

/**
 * What comes after a check, as lines. If the app only lacks what the update of an executed plan needs, its owner allows
 * that. Any other objection needs a new plan.
 */
function commandsAfterCheck(
  { plan, chain: { network } }: ConnectedPlan,
  { appliedBy, objections, missing }: PlanCheck,
  file: string,
): readonly string[] {
  const isOpen = appliedBy === undefined && plan.changes.length > 0;
  if (objections.length === 0)
    return isOpen ? nextCommands(plan.owner.kind, file, network, 2) : commandsAfter(plan, file, network);
  if (isOpen || missing.length < objections.length) return [planAgain(plan, file)];
  return missing.map(({ call: { functionName, args, to } }, index) => {
    const task = functionName === "addDevice" ? "device add" : "hash add";
    return `  ${index === 0 ? "next" : "then"}    npx hardhat dstack ${task} ${args[0]} --app ${to} --network ${network}`;
  });
}

export interface ConnectedPlan {
  readonly plan: ChangePlan;
  readonly chain: ConnectedChain & Signing & { readonly app?: ConnectedApp | undefined };
  readonly source: ReasonSource;
}

/** @throws InvalidArgumentError, InvalidPlanFileError */
export async function readPlan({ file }: Pick<PlanShowArguments, "file">): Promise<ChangePlan> {
  if (file !== "") return loadPlan(file);
  throw new InvalidArgumentError("No plan was named.", {
    nextStep: "Give the file that a task wrote with --plan: npx hardhat dstack plan show FILE.",
  });
}

export async function connectPlan(io: TaskIo, args: PlanCheckArguments, host: CommandHost): Promise<ConnectedPlan> {
  const plan = await readPlan(args);
  const { signal } = io;
  if (plan.appId === undefined) {
    const chain = await host.connectChain();
    return { plan, chain: { ...chain, ...signingOf(args, host, chain) }, source: { cloud: undefined, signal } };
  }
  const app = await connectApp({ ...args, app: plan.appId }, host);
  const source: { readonly cloud: CloudClient | undefined; readonly pins: readonly ComposeHash[] } = app;
  const pruning = plan.prune && (await import("./prune.ts")).connectStoredPrune(io, host, { args, app, plan });
  return {
    plan,
    chain: { ...app, app },
    source: { cloud: source.cloud, pins: source.pins, signal, ...(await pruning) },
  };
}

/**
 * Checks a plan. If an earlier run of this project signed calls of it, checks the rest: the sender completes what is
 * recorded.
 */
export async function checkOrResume({ plan, chain, source }: ConnectedPlan) {
  const check = await checkPlan(chain.client, { plan, ...source });
  const isOpen = check.appliedBy === undefined && check.objections.length === 0;
  if (isOpen || check.owner?.kind !== "eoa") return { check, isResumed: false };
  const recorded = await readRecordedCalls(chain, plan);
  if (recorded.length === 0) return { check, isResumed: false };
  return { check: await checkPlan(chain.client, { plan, recorded, ...source }), isResumed: true };
}

/** The calls of the plan that the ledger holds for its owner. Needs no key. */
async function readRecordedCalls(
  chain: ConnectedPlan["chain"],
  { changes, owner, chainId, prune }: ChangePlan,
): Promise<readonly OwnerCall[]> {
  using ledger = await chain.openLedger({ isKept: false });
  const account = { address: owner.address, type: "json-rpc" } as const;
  const calls = changes.map(({ call }) => call);
  const purpose = { kind: prune === undefined ? "batch" : "prune" } as const;
  const { own } = await readRecorded(chain.client, { ledger, account, chainId, purpose, calls });
  return own.flatMap((transaction) => transaction.calls);
}

/** Lints what is about to be sent, as the task that made the plan did. @throws LintRefusedError, KeyEpochsError */
async function lintPlan(io: TaskIo, { plan, chain }: ConnectedPlan) {
  const accepted = new Set(plan.accepted);
  const calls = plan.changes.map(({ call }) => call);
  const { app, client } = chain;
  if (app === undefined) return lintAndShow(io.output, { calls }, accepted);
  const status = await readAppStatus(client, { appId: app.appId });
  const ignoresKeyEpochs = calls.every(({ functionName }) => /Ownership$/.test(functionName));
  const { findings } = await lintBeforeWrite(io, app, { accepted, status, calls, ignoresKeyEpochs });
  const examined = await examineTransfer(io, app, { calls, accepted });
  return [...findings, ...(examined?.findings ?? [])];
}

/** Prints how a contract that no key controls executes the plan. */
function handOver(
  { output }: TaskIo,
  { plan, chain }: ConnectedPlan,
  file: string,
  { kind, address }: ReadOwnerReturnType,
): TaskOutcome {
  const calls = plan.changes.map(({ call: { to, data, description } }) => ({ to, value: "0", data, description }));
  if (kind === "timelock") {
    output.line(`Nothing was sent: the owner, ${address}, is a timelock. Schedule the plan:`);
    for (const line of nextCommands("timelock", file, chain.network, 2)) output.line(line);
  } else {
    output.line(`Nothing was sent: the owner, ${address}, is a contract. It must make these calls, in this order:`);
    for (const { to, data } of calls) output.line(`  to    ${to}\n  value 0\n  data  ${data}\n`);
  }
  return { result: { ...describe(file, plan), outcome: "prepared", mode: kind, owner: address, calls } };
}

function describe(planFile: string, { digest, task, chainId, appId, kms }: ChangePlan) {
  return { planFile, digest, plannedBy: task, chainId, appId: appId ?? null, kms: kms ?? null };
}

function report({ appliedBy, objections, undone }: Pick<PlanCheck, "appliedBy" | "objections" | "undone">) {
  return {
    appliedBy: appliedBy ?? null,
    undone,
    objections: objections.map(({ kind, problem, call }) => ({ kind, problem, call: call?.description ?? null })),
  };
}
