import { parseTransactionHash } from "../core/ids.ts";
import { ExecutionNotProvenError } from "../errors/index.ts";
import { type ProvenExecution, proveExecution } from "../governance/prove-execution.ts";
import { prepareCancel, prepareExecute, prepareSchedule, requireReady } from "../governance/timelock-execute.ts";
import type { FoundOperation } from "../governance/timelock-find.ts";
import { describeUndone } from "../output/plan.ts";
import { describeState, showOperation } from "../output/timelock.ts";
import { checkPlan } from "../plans/check-plan.ts";
import { finishPlan } from "./after-execution.ts";
import { parseAccept, parseAge } from "./arguments.ts";
import type { Command, CommandHost } from "./host.ts";
import { overtakenPlan } from "./plan.ts";
import { commandsAfter } from "./plan-progress.ts";
import { negativeAnswer, runTask, type TaskIo, type TaskOutcome } from "./run.ts";
import {
  type ConnectedOperation,
  callTimelock,
  connectOperation,
  describeHolders,
  describeOperation,
  describeReady,
  findAgain,
  nextOfOperation,
  placeOf,
  readCaller,
  type TimelockCallArguments,
} from "./timelock-context.ts";
import { isSent } from "./write.ts";

export interface TimelockScheduleArguments extends TimelockCallArguments {
  /** Such as 2d. */
  readonly delay?: string | undefined;
}

/** Schedules a plan in the timelock that owns its contracts, unless it is scheduled already. */
export const timelockSchedule: Command<TimelockScheduleArguments> = (args, host) =>
  runTask(args, async (io) => {
    const connected = await connectOperation(io, args, host);
    return (await schedule(io, args, connected)).outcome;
  });

/** Executes a plan's operation once it is ready. */
export const timelockExecute: Command<TimelockCallArguments> = (args, host) =>
  runTask(args, async (io) => {
    const connected = await connectOperation(io, args, host);
    const { plan, chain } = connected;
    const outcome = await execute(io, args, host, connected);
    const next = isExecuted(outcome) ? commandsAfter(plan, args.file, chain.network) : [];
    return {
      ...outcome,
      show: (output) => {
        outcome.show?.(output);
        for (const line of next) output.line(line);
      },
    };
  });

function isExecuted({ result }: TaskOutcome): boolean {
  return "outcome" in result && result.outcome === "executed";
}

interface Scheduled {
  readonly outcome: TaskOutcome;
  /** The operation, if it is scheduled now. */
  readonly found: FoundOperation | undefined;
}

async function schedule(
  io: TaskIo,
  args: TimelockScheduleArguments,
  connected: ConnectedOperation,
): Promise<Scheduled> {
  const { found, chain, holders } = connected;
  const delaySeconds = args.delay === undefined ? undefined : BigInt(parseAge(args.delay));
  if (found.state !== "unset") return alreadyScheduled(args.file, connected);
  const applied = found.logged?.ended === undefined ? await requireCurrent(connected, args.file) : undefined;
  if (applied !== undefined) return { outcome: applied, found };
  showOperation(io.output, found, holders);
  io.output.line();
  const caller = await readCaller(chain, args, "scheduleBatch");
  const account = caller.address;
  const prepared = await prepareSchedule(chain.client, found, { delaySeconds, account });
  if (prepared === undefined) return alreadyScheduled(args.file, connected);
  const sent = await callTimelock(io, connected, { args, call: prepared.call, caller });
  if (!isSent(sent)) {
    const result = { ...describe(connected), ...sent, delaySeconds: prepared.delaySeconds };
    return { outcome: { result }, found: undefined };
  }
  const now = await findAgain(connected, io);
  return {
    outcome: {
      result: { ...describe({ ...connected, found: now }), ...sent, outcome: "scheduled" },
      show: (output) => {
        output.line(`\nScheduled operation ${now.id}.`);
        for (const line of describeReady(now, placeOf(connected, args.file))) output.line(line);
      },
    },
    found: now,
  };
}

function alreadyScheduled(file: string, connected: ConnectedOperation): Scheduled {
  const { found, holders } = connected;
  return {
    outcome: {
      result: { ...describe(connected), outcome: found.state === "done" ? "executed" : "alreadyScheduled" },
      show: (output) => {
        showOperation(output, found, holders);
        output.line(`\nNothing was sent: the plan's operation is scheduled already, and ${describeState(found)}.`);
        if (found.state !== "done")
          for (const line of describeReady(found, placeOf(connected, file))) output.line(line);
      },
    },
    found,
  };
}

async function execute(
  io: TaskIo,
  args: TimelockCallArguments,
  host: CommandHost,
  connected: ConnectedOperation,
): Promise<TaskOutcome> {
  const finish = (outcome: TaskOutcome, hash: string | undefined) => {
    const transactionHashes = hash === undefined ? [] : [parseTransactionHash(hash)];
    return finishPlan(io, host, { ...connected, args, transactionHashes }, outcome);
  };
  const { found, chain, holders } = connected;
  if (found.state === "done") return finish(await executedAlready(connected), found.logged?.ended?.transactionHash);
  requireReady(found);
  const applied = await requireCurrent(connected, args.file);
  if (applied !== undefined) return applied;
  showOperation(io.output, found, holders);
  io.output.line();
  const caller = await readCaller(chain, args, "executeBatch");
  const call = await prepareExecute(chain.client, found, { account: caller.address });
  const sent = await callTimelock(io, connected, { args, call, caller });
  if (!isSent(sent)) return { result: { ...describe(connected), ...sent } };
  const now = await findAgain(connected, io);
  const proof = await requireExecuted({ ...connected, found: now }, sent.calls.at(-1)?.transactionHash);
  const executed: TaskOutcome = {
    result: { ...describe({ ...connected, found: now }), ...sent, outcome: "executed", isProven: proof !== undefined },
    show: (output) => output.line(`\nExecuted operation ${now.id}. ${describeProof(proof)}`),
  };
  return finish(executed, sent.calls.at(-1)?.transactionHash);
}

/** Another account has executed it. */
async function executedAlready(connected: ConnectedOperation): Promise<TaskOutcome> {
  const { found, undone } = connected;
  const proof = await requireExecuted(connected);
  return {
    result: { ...describe(connected), outcome: "executed", isProven: proof !== undefined },
    show: (output) => {
      output.line(`Nothing was sent: the operation is ${describeState(found)}. ${describeProof(proof)}`);
      for (const line of describeUndone(undone)) output.line(line);
    },
  };
}

/**
 * The proof that the operation made exactly the plan's changes. Undefined if the endpoint does not show its transaction.
 *
 * @throws ExecutionNotProvenError if its transaction changed something else too
 */
async function requireExecuted(
  { plan, chain, found }: ConnectedOperation,
  sent?: string,
): Promise<ProvenExecution | undefined> {
  const hash = found.logged?.ended?.transactionHash ?? sent;
  if (hash === undefined) return undefined;
  const verdict = await proveExecution(chain.client, plan, {
    transactionHash: parseTransactionHash(hash),
    operationId: found.id,
  });
  if (verdict.kind === "applied") return verdict;
  if (verdict.reason === "not-mined") return undefined;
  throw new ExecutionNotProvenError(verdict.message, { reason: verdict.reason, transactionHash: hash });
}

function describeProof(proof: ProvenExecution | undefined): string {
  return proof === undefined
    ? "The endpoint does not show the transaction, so what it changed is not proven."
    : "Exactly the planned events came out.";
}

/**
 * Returns nothing if the plan may be executed, and the outcome if its changes were made in another way.
 *
 * @throws PlanOvertakenError if chain or cloud are no longer as the plan says
 */
async function requireCurrent(connected: ConnectedOperation, file: string): Promise<TaskOutcome | undefined> {
  const { plan, chain, source, found } = connected;
  const { objections, appliedBy, undone } = await checkPlan(chain.client, { plan, ...source });
  if (appliedBy === undefined && objections.length > 0) throw overtakenPlan(plan, file, objections);
  if (appliedBy === undefined) return undefined;
  return {
    result: { ...describe(connected), outcome: "applied", appliedBy, undone },
    show: (output) => {
      output.line("Nothing was sent: the plan's changes were made already, without this operation, by");
      for (const hash of appliedBy) output.line(`  ${hash}`);
      for (const line of describeUndone(undone)) output.line(line);
      if (found.state === "unset") return;
      output.line("Cancel the operation:");
      output.line(nextOfOperation("cancel", found, placeOf(connected, file)));
    },
  };
}

export interface TimelockCancelArguments extends TimelockCallArguments {
  readonly accept?: string | undefined;
}

/** Cancels the pending operation of a plan. */
export const timelockCancel: Command<TimelockCancelArguments> = (args, host) =>
  runTask(args, async (io) => cancel(io, args, await connectOperation(io, args, host)));

async function cancel(io: TaskIo, args: TimelockCancelArguments, connected: ConnectedOperation): Promise<TaskOutcome> {
  const { found, chain, holders } = connected;
  const acceptDependents = parseAccept("timelock cancel", args.accept).has("dependents");
  showOperation(io.output, found, holders);
  io.output.line();
  const caller = await readCaller(chain, args, "cancel");
  const call = await prepareCancel(chain.client, found, { account: caller.address, acceptDependents });
  const sent = await callTimelock(io, connected, { args, call, caller });
  if (!isSent(sent)) return { result: { ...describe(connected), ...sent } };
  const now = await findAgain(connected, io);
  return {
    result: { ...describe({ ...connected, found: now }), ...sent, outcome: "cancelled" },
    show: (output) => {
      output.line(`\nCancelled operation ${now.id}. It can make none of its calls any more.`);
      if (now.alike.length > 0) output.line("Still pending with the same calls:");
      for (const { id } of now.alike) output.line(`  ${id}`);
      if (now.alike.length === 0) output.line("If the changes are still wanted, make a new plan.");
    },
  };
}

export interface TimelockRunArguments extends TimelockScheduleArguments {
  readonly wait?: boolean | undefined;
}

/**
 * Takes a plan as far as it can go: schedules it, waits if that is asked for, executes it, and commits the update that
 * was prepared for it. Run again, it goes on where it stopped.
 */
export const timelockRun: Command<TimelockRunArguments> = (args, host) => runTask(args, (io) => run(io, args, host));

async function run(io: TaskIo, args: TimelockRunArguments, host: CommandHost): Promise<TaskOutcome> {
  const connected = await connectOperation(io, args, host);
  const { outcome, found } =
    connected.found.state === "unset"
      ? await schedule(io, args, connected)
      : { outcome: undefined, found: connected.found };
  if (found?.state === "unset" && outcome !== undefined) return outcome;
  // A Safe or another program schedules it.
  if (found === undefined) return { result: {}, ...outcome, exitCode: args.dryRun ? 0 : negativeAnswer };
  let now = found;
  if (now.state === "waiting" && args.wait === true) {
    for (const line of describeReady(now, placeOf(connected, args.file))) io.output.line(line);
    const { waitUntilReady } = await import("../governance/timelock-wait.ts");
    now = await waitUntilReady(connected.chain.client, now, { signal: io.signal });
  }
  if (now.state !== "waiting") now = await findAgain({ ...connected, found: now }, io);
  // Before its predecessor, an operation cannot be executed, but later it can.
  const isBlocked = now.state === "ready" && now.predecessor.readyAt !== undefined;
  if (now.state !== "waiting" && !isBlocked) {
    const again = { ...connected, found: now };
    const { plan, chain } = connected;
    const executed = await execute(io, args, host, again);
    return commitAfter(io, args, host, { plan, network: chain.network, executed });
  }
  return {
    result: { ...describe({ ...connected, found: now }), outcome: "waiting" },
    show: (output) => {
      output.line(`\nOperation ${now.id} is ${describeState(now)}.`);
      if (isBlocked)
        for (const line of describeReady(now, placeOf(connected, args.file)).slice(0, -1)) output.line(line);
      else output.line("Run the same command again then. With --wait, it stays until then and executes the operation.");
    },
    exitCode: negativeAnswer,
  };
}

interface ExecutedPlan {
  readonly plan: ConnectedOperation["plan"];
  readonly network: string;
  readonly executed: TaskOutcome;
}

/** If the plan is of an update that was prepared in this project, finishes that update. */
async function commitAfter(
  io: TaskIo,
  args: TimelockRunArguments,
  host: CommandHost,
  { plan, network, executed }: ExecutedPlan,
): Promise<TaskOutcome> {
  if (args.dryRun === true || !isExecuted(executed) || plan.update === undefined) return executed;
  const { commitExecuted } = await import("./update-commit.ts");
  executed.show?.(io.output);
  const update = { ...args, accept: undefined, transactionHash: undefined };
  const committed = await commitExecuted(io, update, host, { file: args.file, plan, network });
  return {
    result: { ...executed.result, update: committed?.result ?? null },
    show: (output) => {
      if (committed !== undefined) committed.show?.(output);
      else for (const line of commandsAfter(plan, args.file, network)) output.line(line);
    },
    exitCode: committed?.exitCode,
  };
}

function describe({ plan, chain, found, holders, undone }: ConnectedOperation) {
  const { digest, appId = null, kms = null } = plan;
  return {
    ...{ chainId: chain.chainId, appId, kms, digest },
    ...describeOperation(found),
    undone,
    ...describeHolders(found.status, holders),
  };
}
