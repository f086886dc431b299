import { resolve } from "node:path";
import { Writable } from "node:stream";
import { type Address, getAddress } from "viem";
import { parseAddress } from "../chain/client.ts";
import { readOwnership } from "../chain/read-app.ts";
import { type ReadOwnerReturnType, readOwner } from "../chain/read-owner.ts";
import type { CloudClient } from "../cloud/create-client.ts";
import type { AppId } from "../core/ids.ts";
import { InvalidArgumentError, isDstackError, UnusableFileError } from "../errors/index.ts";
import { faultCode, writeWholeFile } from "../files/own-file.ts";
import { readBoundedText } from "../files/read-bounded.ts";
import { createOutput } from "../output/output.ts";
import { formatRehearsalMarkdown, showRehearsal } from "../output/rehearsal.ts";
import type { ChangePlan, OwnerKind } from "../plans/change-plan.ts";
import type { KeyBatch } from "../rehearsal/execution-context.ts";
import { type RehearsedWork, rehearse, rehearsePhase } from "../rehearsal/rehearse.ts";
import type { Refusal, RehearsalReport, RehearsedPhase } from "../rehearsal/report.ts";
import { parseBatch } from "./arguments.ts";
import { type AppArguments, connectCloud, listCvms, resolveApp } from "./connect-app.ts";
import type { CommandHost } from "./host.ts";
import { toOperatorTerms } from "./operator-terms.ts";
import { type OpenStage, openStage, rehearsalHost, type StageArguments } from "./rehearsal-stage.ts";
import { noGo, type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "./run.ts";

export interface RehearseArguments extends StageArguments, OutputArguments {
  /** File for the report in Markdown. */
  readonly markdown?: string | undefined;
  readonly batch?: string | undefined;
  /** An account that proposes in the timelock. */
  readonly proposer?: string | undefined;
}

/** What the work of a rehearsal gets. */
export interface Rehearsing {
  readonly stage: OpenStage;
  /** The io of the commands that run inside: it shows nothing, and agrees to everything. */
  readonly io: TaskIo;
  /** Their host: the fork, and the cloud of the configuration, which is only read; without an API key, the mock cloud. */
  readonly planning: CommandHost;
  /** Their host for what changes a CVM: the fork and the mock cloud. */
  readonly changing: CommandHost;
  readonly execute: (
    plan: ChangePlan,
    phase?: Partial<Pick<RehearsedPhase, "title" | "isLive">>,
  ) => Promise<RehearsedPhase>;
}

export interface RehearsedTask {
  /** The task that is rehearsed, such as `prune`. */
  readonly subject: string;
  /** Which app it changes. */
  readonly target: AppArguments | ChangePlan;
  readonly work: (rehearsing: Rehearsing) => Promise<RehearsedWork>;
  /** The commands of the live change, after `npx hardhat dstack`. */
  readonly next: (owner: OwnerKind, report: RehearsalReport) => readonly string[];
}

/** Rehearses a task on a fork, and shows the report. Exit code 8 for a no-go. */
export function runRehearsal(
  args: RehearseArguments,
  host: CommandHost,
  prepare: () => Promise<RehearsedTask>,
): Promise<number> {
  return runTask(args, async (io) => rehearseTask(io, host, args, await prepare()));
}

async function rehearseTask(
  io: TaskIo,
  host: CommandHost,
  args: RehearseArguments,
  task: RehearsedTask,
): Promise<TaskOutcome> {
  if (args.markdown !== undefined) await requireReplaceable(args.markdown);
  const cloud = asksCloud(args) ? await connectCloud(host) : undefined;
  const { appId, network } = await findApp(host, { target: task.target, cloud });
  const stage = await openStage(io, host, { args, appId, network, cloud });
  try {
    const report = await stage.run((signal) =>
      makeReport({ ...io, signal }, host, args, { task, stage, appId, hasCloud: cloud !== undefined }),
    );
    const next = report.verdict === "go" ? liveCommands(host, stage, task.next(kindOf(report.owner), report)) : [];
    const shown = { report, next };
    if (args.markdown !== undefined) await writeWholeFile(resolve(args.markdown), formatRehearsalMarkdown(shown));
    return {
      result: { ...report, next },
      show: (output) => showRehearsal(output, shown),
      exitCode: report.verdict === "go" ? 0 : noGo,
    };
  } finally {
    await stage.close();
  }
}

/** A recording for a file of CVMs is made as it is repeated: without the cloud. */
function asksCloud({ offline, record, cvms }: RehearseArguments): boolean {
  return offline === undefined && (record === undefined || cvms === undefined);
}

/** Undefined for the mock cloud. Without a CVM there, it could only say that the app has none, which was not read. */
function planningCloud(
  { settings: { cloud } }: CommandHost,
  { stage, hasCloud }: Pick<MakeReportParameters, "stage" | "hasCloud">,
): CommandHost["settings"]["cloud"] | undefined {
  if (hasCloud) return cloud;
  return stage.hasCvms ? undefined : { ...cloud, apiKey: { get: async () => "" } };
}

const withoutCloud =
  "The cloud was not asked. What it keeps beside the CVMs of the file, such as prepared updates, is not known.";
const cvmsOfToday = "The CVMs are those of today, or of the file, and not those of the time of the forked block.";

interface MakeReportParameters {
  readonly task: RehearsedTask;
  readonly stage: OpenStage;
  readonly appId: AppId | undefined;
  /** Whether the cloud of the configuration can be read. */
  readonly hasCloud: boolean;
}

async function makeReport(
  io: TaskIo,
  host: CommandHost,
  args: RehearseArguments,
  { task: { subject, target, work }, stage, appId, hasCloud }: MakeReportParameters,
): Promise<RehearsalReport> {
  const batch = keyBatchOf(args, host);
  const proposer = args.proposer === undefined ? undefined : parseAddress("The proposer", args.proposer);
  const owner = await readOwner(stage.client, { address: await readOwnerAddress(stage, { appId, target }) });
  const rehearsing: Rehearsing = {
    ...{ stage, io: quietIo(io), changing: rehearsalHost(host, stage) },
    planning: rehearsalHost(host, stage, { cloud: planningCloud(host, { stage, hasCloud }) }),
    execute: (plan, phase = {}) => {
      io.signal.throwIfAborted();
      const onStep = ({ what }: { readonly what: string }) => io.output.step("rehearsed", what);
      return rehearsePhase(stage, { ...phase, plan, batch, proposer, onStep, signal: io.signal });
    },
  };
  const { unprovable } = stage.world;
  const limits = [
    ...(appId !== undefined && stage.hasCvms && !hasCloud ? [withoutCloud] : []),
    ...(stage.hasCvms && args.at !== undefined ? [cvmsOfToday] : []),
  ];
  const report = await rehearse(stage, {
    ...{ subject, appId, kms: stage.kms, owner, limits, warnings: unprovable === undefined ? [] : [unprovable] },
    listCvms: async () => (appId === undefined ? [] : listCvms(stage.cloud, appId)),
    work: () => work(rehearsing),
  });
  return inOperatorTerms(report);
}

function liveCommands({ namedNetwork }: CommandHost, { chain }: OpenStage, commands: readonly string[]) {
  const network = namedNetwork ?? (chain.network === "default" ? undefined : chain.network);
  const at = network === undefined ? "" : ` --network ${network}`;
  return commands.map((command) => `npx hardhat dstack ${command}${at}`);
}

interface Target {
  readonly target: RehearsedTask["target"];
}

function isPlan(target: RehearsedTask["target"]): target is ChangePlan {
  return "digest" in target;
}

async function findApp(
  { settings }: CommandHost,
  { target, cloud }: Target & { readonly cloud: CloudClient | undefined },
): Promise<{ readonly appId: AppId | undefined; readonly network: string | undefined }> {
  const { apps } = settings;
  if (!isPlan(target)) return resolveApp(target, { apps, cloud });
  if (target.appId === undefined) return { appId: undefined, network: undefined };
  return resolveApp({ app: target.appId }, { apps, cloud: undefined });
}

async function readOwnerAddress(
  { client }: OpenStage,
  { appId, target }: Target & { readonly appId: AppId | undefined },
): Promise<Address> {
  if (isPlan(target)) return getAddress(target.owner.address);
  if (appId === undefined) throw new TypeError("A task that is no plan is about an app.");
  return (await readOwnership(client, { appId })).owner;
}

function kindOf({ kind }: ReadOwnerReturnType): OwnerKind {
  return kind === "eoa" || kind === "renounced" ? "key" : kind;
}

/** @throws InvalidArgumentError */
function keyBatchOf({ batch }: RehearseArguments, { settings }: CommandHost): KeyBatch {
  const parsed = parseBatch(batch);
  if (parsed.mode === "safe") return { mode: "none" };
  return { mode: parsed.mode, allowDelegation: parsed.allowDelegation ?? settings.batch.delegate };
}

/** Commands inside a rehearsal show nothing: the report says what they did. */
function quietIo(io: TaskIo): TaskIo {
  const stderr = new Writable({ write: (_chunk, _encoding, done) => done() });
  const output = createOutput(stderr);
  return { ...io, output, stderr, confirm: async () => {}, ask: undefined, confirmInPerson: undefined };
}

function inOperatorTerms(report: RehearsalReport): RehearsalReport {
  const reasons = report.reasons.map(({ nextStep, ...reason }) => ({
    ...reason,
    ...(nextStep !== undefined && { nextStep: toOperatorTerms(nextStep) }),
  }));
  const phases = report.phases.map(({ execution, ...phase }) => ({
    ...phase,
    execution: { ...execution, deviations: execution.deviations.map(toOperatorTerms) },
  }));
  return { ...report, reasons, phases };
}

/** Errors about the command line, a file or the access. They say nothing about the change. */
const mistakes: ReadonlySet<string> = new Set([
  ...["InvalidArgumentError", "InvalidHexError", "UnusableFileError", "InvalidPlanFileError", "WrongChainError"],
  ...["InvalidAppComposeError", "InvalidEnvironmentError", "PayloadTooLargeError", "MissingPackageError"],
  ...["UnauthorizedError", "CvmNotFoundError", "CloudProtocolError", "LogsUnavailableError", "LogsRefusedError"],
]);

/**
 * Lets a command do its part. What it refuses is a result of the rehearsal: it would refuse it live too.
 *
 * @throws outages, and errors about the command line, a file or the access
 */
export async function orRefusal<Result>(
  part: () => Promise<Result>,
): Promise<{ readonly done: Result } | { readonly refusal: Refusal }> {
  try {
    return { done: await part() };
  } catch (error) {
    if (!isDstackError(error) || error.retryable || mistakes.has(error.name)) throw error;
    const { message, code, nextStep } = error;
    return { refusal: { message, code, nextStep } };
  }
}

/** A report replaces an older one, and no other file. @throws InvalidArgumentError, UnusableFileError */
async function requireReplaceable(path: string): Promise<void> {
  const text = await readBoundedText(path).catch((error: unknown) => {
    if (error instanceof UnusableFileError && faultCode(error.cause) === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined || text === "" || text.startsWith("# Rehearsal of ")) return;
  throw new InvalidArgumentError(`${path} holds something else than a report of a rehearsal, and stays as it is.`, {
    nextStep: "Name another file with --markdown.",
  });
}
