import { type Address, isAddressEqual } from "viem";
import { parseAddress } from "../chain/client.ts";
import { type ReadOwnerReturnType, readOwner } from "../chain/read-owner.ts";
import { parseFixedHex } from "../core/ids.ts";
import type { OwnerCall } from "../core/owner-calls.ts";
import { describeDelay, noPredecessor } from "../core/timelock-calls.ts";
import { InvalidArgumentError, OperationsAlikeError } from "../errors/index.ts";
import { missingPredecessor, readRoleHolders } from "../governance/timelock-execute.ts";
import { type FoundOperation, findOperation, isPredecessorDone, toIso } from "../governance/timelock-find.ts";
import type { TimelockRoles, TimelockStatus } from "../governance/timelock-operation.ts";
import { nextCommand } from "../output/plan.ts";
import { describeState, showAlike } from "../output/timelock.ts";
import type { DryRunArguments } from "./batch-plan.ts";
import type { CommandHost, ConnectedChain } from "./host.ts";
import { type ConnectedPlan, connectPlan, type PlanCheckArguments } from "./plan.ts";
import { type Applied, readApplied, requireOwnerKind } from "./plan-progress.ts";
import type { TaskIo } from "./run.ts";
import type { Signing } from "./signing.ts";
import { executeCalls, planRequestOf } from "./write.ts";

/** Arguments of every task about the operation of a plan. */
export interface TimelockArguments extends PlanCheckArguments {
  /** 32 bytes. */
  readonly salt?: string | undefined;
  /** Id of an operation. */
  readonly predecessor?: string | undefined;
  /** Id of the operation itself. */
  readonly id?: string | undefined;
}

/** Arguments of the tasks that call the timelock. */
export interface TimelockCallArguments extends TimelockArguments, DryRunArguments {
  /** The account that calls the timelock. */
  readonly from?: string | undefined;
  /** File for the plan of a Safe that calls the timelock. */
  readonly plan?: string | undefined;
  readonly batch?: string | undefined;
}

export interface ConnectedOperation extends ConnectedPlan {
  readonly found: FoundOperation;
  /** What has a role, by the timelock's logs. Undefined if the endpoint does not serve them. */
  readonly holders: readonly TimelockRoles[] | undefined;
  /** What was undone since the operation was executed; null if that is not known. */
  readonly undone: Applied["undone"];
}

/**
 * Loads the plan, and finds its operation in the timelock that owns the contracts.
 *
 * @throws InvalidArgumentError if the plan's owner is not a timelock; OperationsAlikeError after it has listed the
 * operations, and what connectPlan and findOperation throw
 */
export async function connectOperation(
  io: TaskIo,
  args: TimelockArguments,
  host: CommandHost,
): Promise<ConnectedOperation> {
  const connected = await connectPlan(io, args, host);
  const { plan, chain } = connected;
  requireOwnerKind(plan, "timelock", { file: args.file, network: chain.network });
  const found = await findOperation(chain.client, { plan, ...parseChoices(args), signal: io.signal }).catch(
    (error: unknown) => {
      if (error instanceof OperationsAlikeError) showAlike(io.output, error);
      throw error;
    },
  );
  const holders = await readRoleHolders(chain.client, { timelock: found.timelock, signal: io.signal });
  const { undone } =
    found.state === "done" ? await readApplied(chain.client, { plan, signal: io.signal }) : { undone: [] };
  return { ...connected, found, holders, undone };
}

/** Reads the operation again, after it was changed or time has passed. */
export async function findAgain(
  { plan, chain, found }: Pick<ConnectedOperation, "plan" | "chain" | "found">,
  { signal }: Pick<TaskIo, "signal">,
): Promise<FoundOperation> {
  const { salt, predecessor } = found.operation;
  return findOperation(chain.client, { plan, id: found.id, salt, predecessor, signal });
}

function parseChoices({ salt, predecessor, id }: TimelockArguments) {
  return {
    ...(id !== undefined && { id: parseFixedHex("The id (--id)", id, 32) }),
    ...(salt !== undefined && { salt: parseFixedHex("The salt (--salt)", salt, 32) }),
    ...(predecessor !== undefined && { predecessor: parseFixedHex("The id (--predecessor)", predecessor, 32) }),
  };
}

/** The account that calls the timelock: `--from`, or the signer. */
export async function readCaller(
  chain: ConnectedChain & Pick<Signing, "signer">,
  { from }: Pick<TimelockCallArguments, "from">,
  purpose: string,
): Promise<ReadOwnerReturnType> {
  const address =
    from === undefined ? (await chain.signer(purpose)).address : parseAddress("The caller (--from)", from);
  return readOwner(chain.client, { address });
}

/** Sends a call of the timelock, or plans or prepares it for the Safe that makes it. */
export function callTimelock(
  io: TaskIo,
  { plan, chain }: Pick<ConnectedPlan, "plan" | "chain">,
  {
    args,
    call,
    caller,
  }: { readonly args: TimelockCallArguments; readonly call: OwnerCall; readonly caller: ReadOwnerReturnType },
) {
  const { batch, dryRun } = args;
  const accepted = new Set<string>();
  const request = planRequestOf(args, { appId: plan.appId, kms: plan.kms, accepted });
  return executeCalls(io, chain, { calls: [call], signer: caller, batch, dryRun, plan: request, purpose: "timelock" });
}

/** An operation, for `--json`. The calls that a task makes to the timelock have the name `calls`, as in every task. */
export function describeOperation({
  timelock,
  id,
  operation,
  state,
  readyAt,
  status,
  logged,
  ...found
}: FoundOperation) {
  const { predecessor, salt } = operation;
  const before = found.predecessor;
  return {
    ...{ timelock, operationId: id, predecessor, salt, isPredecessorDone: isPredecessorDone(found) },
    ...{ predecessorState: before.state, predecessorReadyAt: isoOrNull(before.readyAt) },
    predecessorCancelledBy: before.cancelledBy ?? null,
    ...{ minDelaySeconds: status.minDelaySeconds, delaySeconds: logged?.delaySeconds ?? null },
    ...{ state: logged?.ended?.kind === "cancelled" && state === "unset" ? "cancelled" : state },
    readyAt: isoOrNull(readyAt),
    isExecutorOpen: status.isExecutorOpen,
    scheduledBy: logged?.scheduled.transactionHash ?? null,
    endedBy: logged?.ended?.transactionHash ?? null,
    alike: found.alike.map((one) => one.id),
    dependents: found.dependents?.map((one) => one.id) ?? null,
    operationCalls: found.calls.map(({ description, to }) => ({ description, to })),
  };
}

function isoOrNull(seconds: bigint | undefined): string | null {
  return seconds === undefined ? null : toIso(seconds);
}

/** The accounts with roles, for `--json`. `executors` is null if every account may execute, or if none is known. */
export function describeHolders(
  { isExecutorOpen }: Pick<TimelockStatus, "isExecutorOpen">,
  holders: readonly TimelockRoles[] | undefined,
) {
  const withRole = (right: "canPropose" | "canExecute" | "canCancel") =>
    holders?.filter((one) => one[right]).map(({ account }) => account) ?? null;
  return {
    proposers: withRole("canPropose"),
    executors: isExecutorOpen ? null : withRole("canExecute"),
    cancellers: withRole("canCancel"),
  };
}

/** What the next command about an operation needs to know. */
export interface CommandPlace {
  /** File of the plan. */
  readonly file: string;
  readonly network: string;
  /** Of the plan. */
  readonly digest: string;
}

export function placeOf({ plan, chain }: Pick<ConnectedPlan, "plan" | "chain">, file: string): CommandPlace {
  return { file, network: chain.network, digest: plan.digest };
}

/** When a scheduled operation may be executed, and the command, as lines. */
export function describeReady(found: FoundOperation, place: CommandPlace): readonly string[] {
  const { readyAt, status, state } = found;
  if (readyAt === undefined) return [`The operation is ${describeState(found)}.`];
  const next = nextOfOperation("execute", found, place);
  const missing = missingPredecessor(found);
  if (missing !== undefined) {
    const isPending = found.predecessor.readyAt !== undefined;
    return [
      ...(state === "ready" ? [] : [`Its own delay ends at ${toIso(readyAt)}.`]),
      ...[missing.why, missing.remedy],
      isPending ? next : nextOfOperation("cancel", found, place),
    ];
  }
  if (state === "ready") return ["It may be executed now:", next];
  const left = describeDelay(readyAt - status.blockTime);
  return [`It may be executed from ${toIso(readyAt)} on, in ${left}:`, next];
}

/** The next command about exactly this operation, as a line. */
export function nextOfOperation(
  task: "execute" | "cancel",
  { id, operation: { salt, predecessor }, isBatch, alike }: FoundOperation,
  { file, network, digest }: CommandPlace,
): string {
  const isAlone = alike.length === 0;
  const hasPredecessor = predecessor !== noPredecessor;
  const options = [
    ...(isAlone && salt === digest && !hasPredecessor ? [] : ["--salt", salt]),
    ...(isAlone && !hasPredecessor ? [] : ["--predecessor", predecessor]),
  ];
  return nextCommand(`timelock ${task}`, file, network, isBatch ? options : ["--id", id]);
}

/** @throws InvalidArgumentError if the owner is another account than the timelock that the user named */
export function requireTimelock(owner: ReadOwnerReturnType, named: Address | undefined): Address {
  if (owner.kind === "timelock" && (named === undefined || isAddressEqual(owner.address, named))) return owner.address;
  throw new InvalidArgumentError(`The owner ${owner.address} is not a timelock.`, {
    nextStep: "Give the file of a plan, the app that a timelock owns, or the timelock's address with --timelock.",
    context: { owner: owner.address, kind: owner.kind },
  });
}
