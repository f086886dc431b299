import { readEffects } from "../batch/require-effect.ts";
import { requireChain } from "../chain/client.ts";
import { readOwner } from "../chain/read-owner.ts";
import type { Ledger } from "../chain/transactions/ledger.ts";
import { safeGetCvm } from "../cloud/get-cvm.ts";
import { type AppId, type ComposeHash, nameOfCvm, type TransactionHash } from "../core/ids.ts";
import type { OwnerCall } from "../core/owner-calls.ts";
import {
  ApprovedHashChangedError,
  InvalidArgumentError,
  isDstackError,
  type MissingRegistration,
  OperationsAlikeError,
  PlanOvertakenError,
  RegistrationMissingError,
  RollingUpdateStoppedError,
  UpdateOvertakenError,
} from "../errors/index.ts";
import { findOperation, toIso } from "../governance/timelock-find.ts";
import { describeOwnerFully } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import { nextCommands, toNextStep } from "../output/plan.ts";
import { describeState, showAlike } from "../output/timelock.ts";
import { createUpdateOutput } from "../output/update.ts";
import type { ChangePlan, PlannedUpdate } from "../plans/change-plan.ts";
import { checkUpdate, type MissingPermission } from "../plans/check-update.ts";
import { commitUpdates } from "../update/commit-updates.ts";
import {
  loadPreparedUpdates,
  type PreparedUpdates,
  removePreparedUpdates,
  savePreparedUpdates,
} from "../update/prepared-file.ts";
import type { UpdateResult } from "../update/run.ts";
import { parseAccept } from "./arguments.ts";
import { type ConnectedApp, connectApp, requireCloud } from "./connect-app.ts";
import { resolveKms } from "./connect-kms.ts";
import { describeUpdated } from "./describe-updated.ts";
import { createFindTransaction } from "./find-transaction.ts";
import type { CommandHost } from "./host.ts";
import { type ConnectedPlan, checkOrResume, connectPlan, planAgain } from "./plan.ts";
import { commitCommand, type PlanProgress, readProgress } from "./plan-progress.ts";
import { preparedPath } from "./prepare-updates.ts";
import { negativeAnswer, type TaskIo, type TaskOutcome } from "./run.ts";
import { openTaskLedger } from "./signing.ts";
import { describeReady } from "./timelock-context.ts";
import type { UpdateArguments } from "./update-arguments.ts";

interface UpdatePlan extends ChangePlan {
  readonly appId: AppId;
  readonly update: PlannedUpdate;
}

/** `dstack update --commit`: finishes the prepared update of a plan after the owners have executed the plan. */
export async function commitPlanned(
  io: TaskIo,
  args: UpdateArguments,
  host: CommandHost,
  file: string,
): Promise<TaskOutcome> {
  const connected = await connectPlan(io, { ...args, file }, host);
  const plan = requireUpdatePlan(connected.plan, { file, network: connected.chain.network });
  const { app = await connectApp({ ...args, app: plan.appId }, host) } = connected.chain;
  await requireChain(app.client, plan.chainId);
  const path = await preparedPath(host, plan.digest);
  const prepared = await loadPreparedUpdates(path, plan.digest);
  if (prepared === undefined) return reportWithoutFile(plan, app, path);
  requireSameCvms(file, plan, prepared);
  using ledger = await openTaskLedger(args, host);
  const findTransaction = createFindTransaction(io, plan, { app, ledger });
  const open = await findOpenCalls(connected, plan, file);
  if (open.length > 0) return waitForOwners(plan, app, { file, missing: open });
  // A transaction that the user named is judged before any CVM restarts.
  const named = app.choices.transactionHash === undefined ? [] : prepared.updates.filter(({ isDone }) => !isDone);
  for (const { composeHash } of named) await findTransaction(composeHash);
  const command = commitCommand(file, app.network);
  const results = await commitAll(io, { args, app, ledger, findTransaction }, { path, plan, prepared, command });
  return {
    result: { appId: plan.appId, chainId: plan.chainId, planDigest: plan.digest, cvms: results },
    show: (output) => showUpdated(output, results, prepared),
  };
}

/**
 * Finishes the prepared update of an executed plan. Undefined if it was prepared elsewhere, and is not finished.
 *
 * @throws as commitPlanned
 */
export async function commitExecuted(
  io: TaskIo,
  args: UpdateArguments,
  host: CommandHost,
  { plan, ...place }: { readonly plan: ChangePlan; readonly file: string; readonly network: string },
): Promise<TaskOutcome | undefined> {
  const update = requireUpdatePlan(plan, place);
  const path = await preparedPath(host, plan.digest);
  const prepared = await loadPreparedUpdates(path, plan.digest);
  if (prepared !== undefined) return commitPlanned(io, args, host, place.file);
  return reportRunning(update, await connectApp({ ...args, app: update.appId, cvm: undefined }, host));
}

function requireUpdatePlan(
  plan: ChangePlan,
  { file, network }: { readonly file: string; readonly network: string },
): UpdatePlan {
  const { appId, update } = plan;
  if (appId !== undefined && update !== undefined) return { ...plan, appId, update };
  throw new InvalidArgumentError(`${file} is the plan of dstack ${plan.task}, not of an update.`, {
    nextStep: `Only a plan of dstack update --prepare is committed. Execute this one: ${toNextStep(nextCommands(plan.owner.kind, file, network, 2))}`,
  });
}

/** The plan is what the owners saw. The file beside it must be about the same CVMs and hashes. */
function requireSameCvms(file: string, { update, appId, chainId }: UpdatePlan, { updates }: PreparedUpdates): void {
  const isSame =
    update.cvms.length === updates.length &&
    update.cvms.every(({ id, composeHash, previousComposeHash }, index) => {
      const own = updates[index];
      const isOfApp = own?.appId === appId && own.chainId === chainId && own.cvm === id;
      return isOfApp && own.composeHash === composeHash && own.previousComposeHash === previousComposeHash;
    });
  if (isSame) return;
  throw new InvalidArgumentError(`What was prepared for ${file} is not what the plan says.`, {
    nextStep: "Nothing was committed. Prepare the update again.",
  });
}

/** The plan may have been committed to its end, after which the file is removed. */
async function reportWithoutFile(plan: UpdatePlan, app: ConnectedApp, path: string): Promise<TaskOutcome> {
  const running = await reportRunning(plan, app);
  if (running !== undefined) return running;
  throw new InvalidArgumentError("The file with the tokens and the encrypted environment of this plan is not here.", {
    nextStep:
      "Commit where the update was prepared, in the same project. If the file is lost, prepare the update again: hashes that the app allows already need no new signature.",
    context: { file: path },
  });
}

/** Undefined unless every CVM has the document of the plan. */
async function reportRunning(plan: UpdatePlan, app: ConnectedApp): Promise<TaskOutcome | undefined> {
  const cloud = requireCloud(app.cloud, "for the update");
  const cvms = await Promise.all(
    plan.update.cvms.map(async ({ id, name, composeHash }) => {
      const cvm = await safeGetCvm(cloud, { cvm: id });
      if (!cvm.success || cvm.data.composeHash !== composeHash) return undefined;
      const { status } = cvm.data;
      return { cvm: id, name, composeHash, status, isRunning: status === "running" };
    }),
  );
  if (!isComplete(cvms)) return undefined;
  return {
    result: { appId: plan.appId, chainId: plan.chainId, planDigest: plan.digest, cvms },
    show: (output) => {
      for (const { cvm: id, name, composeHash, status } of cvms)
        output.line(describeUpdated({ outcome: "unchanged", composeHash, status }, nameOfCvm({ id, name })));
    },
  };
}

function isComplete<One>(list: readonly (One | undefined)[]): list is readonly One[] {
  return list.every((one) => one !== undefined);
}

/**
 * The calls of the plan that its owner has not made yet. Judges the plan as `plan check` does.
 *
 * @throws PlanOvertakenError if the plan must not be executed, or if its execution was undone
 * @throws RegistrationMissingError if it was executed, and the app no longer allows what it allowed already before
 */
async function findOpenCalls(connected: ConnectedPlan, plan: UpdatePlan, file: string): Promise<readonly OwnerCall[]> {
  const { client } = connected.chain;
  const calls = plan.changes.map(({ call }) => call);
  const open = (await readEffects(client, calls)).flatMap(({ call, isDone }) => (isDone === false ? [call] : []));
  const nextStep = `Nothing was committed. ${planAgain(plan, file)}`;
  if (open.length === 0) {
    // The state shows that the plan was executed, also where the endpoint lacks the logs.
    const { missing, changed } = await checkUpdate(client, { plan, ...connected.source, isExecuted: true });
    if (missing.length > 0) throw new RegistrationMissingError(plan.appId, missing.map(toRegistration));
    const objections = changed.map((problem) => ({ kind: "reason", problem }));
    if (changed.length > 0) throw new PlanOvertakenError(objections, { what: mustNotBeCommitted, nextStep });
    return [];
  }
  const { check } = await checkOrResume(connected);
  const { appliedBy, objections, undone } = check;
  if (appliedBy === undefined && objections.length > 0) throw new PlanOvertakenError(objections, { nextStep });
  if (undone.length > 0) {
    const what = "The plan was executed, and not everything is still as it made it";
    const problems = undone.map((problem) => ({ kind: "effect", problem }));
    throw new PlanOvertakenError(problems, { what, nextStep });
  }
  return open;
}

const mustNotBeCommitted = "The update of the plan must not be committed";

function toRegistration({ call: { functionName, args }, cvms }: MissingPermission): MissingRegistration {
  return {
    functionName: functionName === "addDevice" ? functionName : "addComposeHash",
    value: String(args[0]),
    cvms: cvms.map(nameOfCvm),
  };
}

interface Waiting {
  readonly file: string;
  readonly missing: readonly OwnerCall[];
}

async function waitForOwners(
  plan: UpdatePlan,
  { client, network }: ConnectedApp,
  { file, missing }: Waiting,
): Promise<TaskOutcome> {
  const { appId, chainId, owner, digest: planDigest } = plan;
  const described = describeOwnerFully(await readOwner(client, { address: owner.address }));
  const scheduled = owner.kind === "timelock" ? await readScheduled(plan, client) : undefined;
  const proposed = owner.kind === "safe" ? await readProgress(client, { plan, file, network }) : undefined;
  const next = commandsWhileWaiting(plan, { file, network, scheduled, proposed });
  return {
    result: {
      ...{ outcome: "waiting", appId, chainId, planDigest, owner, operation: scheduled?.described },
      ...(scheduled?.alike !== undefined && { operations: scheduled.alike.operations }),
      nextStep: toNextStep(next),
      missing: missing.map(({ description, to }) => ({ description, to })),
    },
    show: (output) => {
      output.line("The owner has not executed the plan yet:");
      output.line(`  ${described}`);
      output.line("Missing:");
      for (const { description } of missing) output.line(`  ${description}`);
      if (scheduled?.alike !== undefined) showAlike(output, scheduled.alike);
      if (scheduled?.found !== undefined) {
        output.line(`In the timelock, ${describeState(scheduled.found)}:`);
        output.line(`  operation ${scheduled.found.id}`);
      }
      if (proposed !== undefined) output.line(`${proposed.what}.`);
      output.line("Nothing was committed. Execute the plan, then run this command again.");
      for (const line of next) output.line(line);
    },
    exitCode: negativeAnswer,
  };
}

interface WhileWaiting {
  readonly file: string;
  readonly network: string;
  readonly scheduled: Awaited<ReturnType<typeof readScheduled>> | undefined;
  readonly proposed: PlanProgress | undefined;
}

/** How the owner goes on with the plan, as lines: it may have scheduled or proposed it already. */
function commandsWhileWaiting(
  { owner, digest }: UpdatePlan,
  { file, network, scheduled, proposed }: WhileWaiting,
): readonly string[] {
  if (scheduled?.alike !== undefined)
    return ["Execute one of these operations, with its --salt and --predecessor, and cancel the others."];
  if (scheduled?.found.readyAt !== undefined) return describeReady(scheduled.found, { file, network, digest });
  return proposed?.next ?? nextCommands(owner.kind, file, network);
}

/** The operation that carries the plan. Several have the same calls if they were scheduled with other salts. */
async function readScheduled(plan: UpdatePlan, client: ConnectedApp["client"]) {
  try {
    const found = await findOperation(client, { plan });
    const { id, state, readyAt } = found;
    return { found, described: { id, state, readyAt: readyAt === undefined ? null : toIso(readyAt) } };
  } catch (error) {
    if (error instanceof OperationsAlikeError) return { alike: error };
    throw error;
  }
}

interface CommitPort {
  readonly args: UpdateArguments;
  readonly app: ConnectedApp;
  readonly ledger: Ledger;
  readonly findTransaction: (composeHash: ComposeHash) => Promise<TransactionHash | undefined>;
}

interface CommitFile {
  readonly path: string;
  readonly plan: Pick<ChangePlan, "digest">;
  readonly prepared: PreparedUpdates;
  /** What goes on after an update that stopped. @default the command that runs */
  readonly command?: string | undefined;
}

/**
 * Commits what is not done yet, CVM by CVM, and keeps in the file what is done. Removes the file at the end.
 *
 * @throws as commitUpdates
 */
export async function commitAll(
  io: TaskIo,
  { args, app, ledger, findTransaction }: CommitPort,
  { path, plan, prepared, command }: CommitFile,
): Promise<readonly UpdateResult[]> {
  let { updates } = prepared;
  try {
    const results = await commitUpdates({
      ...{ cloud: requireCloud(app.cloud, "for the update"), chain: app.client, ledger, findTransaction },
      updates,
      kms: resolveKms(args, app),
      acceptKeyEpochs: parseAccept("update", args.accept).has("key-epochs"),
      waitForRollover: args.wait === true,
      signal: io.signal,
      onStart: ({ cvm: id, name }) => io.output.line(`\n${nameOfCvm({ id, name })}:`),
      onStep: createUpdateOutput(io.output),
      onDone: async ({ cvm }) => {
        updates = updates.map((one) => (one.cvm === cvm ? { ...one, isDone: true } : one));
        await savePreparedUpdates(path, plan.digest, { ...prepared, updates });
      },
    });
    if (updates.every(({ isDone }) => isDone)) await removePreparedUpdates(path);
    return results;
  } catch (error) {
    showDifference(io.output, error);
    if (command !== undefined && error instanceof RollingUpdateStoppedError)
      throw Object.assign(error, { nextStep: `${error.nextStep?.replace(/\.$/, "")}: ${command}` });
    throw error;
  }
}

/** Shows how the documents differ if that is why a commit was refused. */
function showDifference(output: Output, error: unknown): void {
  const cause = isDstackError(error) && isDstackError(error.cause) ? error.cause : error;
  if (cause instanceof UpdateOvertakenError) output.line("\nFrom the CVM's present document to the approved one:");
  else if (cause instanceof ApprovedHashChangedError) output.line("\nFrom the approved document to the new one:");
  else return;
  const { difference } = cause.context;
  for (const line of Array.isArray(difference) ? difference : []) output.line(`  ${line}`);
}

export function showUpdated(
  output: Output,
  results: readonly UpdateResult[],
  { updates }: Pick<PreparedUpdates, "updates">,
): void {
  for (const result of results) {
    const name = updates.find(({ cvm }) => cvm === result.cvm)?.name;
    output.line(describeUpdated(result, name === undefined ? result.cvm : nameOfCvm({ id: result.cvm, name })));
  }
}
