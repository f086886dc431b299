import { type Address, isAddressEqual } from "viem";
import { parseAddress } from "../chain/client.ts";
import { type ReadOwnerReturnType, readOwner } from "../chain/read-owner.ts";
import { parseFixedHex } from "../core/ids.ts";
import type { OwnerCall } from "../core/owner-calls.ts";
import { describeDelay } from "../core/timelock-calls.ts";
import { InvalidArgumentError } from "../errors/index.ts";
import { type FoundOperation, findOperation, readRoleHolders, toIso } from "../governance/timelock-execute.ts";
import type { TimelockRoles, TimelockStatus } from "../governance/timelock-operation.ts";
import { nextCommand } from "../output/plan.ts";
import { describeState } from "../output/timelock.ts";
import type { DryRunArguments } from "./batch-plan.ts";
import type { CommandHost, ConnectedChain } from "./host.ts";
import { type ConnectedPlan, connectPlan, type PlanCheckArguments } from "./plan.ts";
import type { TaskIo } from "./run.ts";
import type { Signing } from "./signing.ts";
import { executeCalls, planRequestOf } from "./write.ts";

/** Arguments of every task about the operation of a plan. */
export interface TimelockArguments extends PlanCheckArguments {
  /** 32 bytes. */
  readonly salt?: string | undefined;
  /** Id of an operation. */
  readonly predecessor?: string | undefined;
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
}

/**
 * Loads the plan, and finds its operation in the timelock that owns the contracts.
 *
 * @throws what connectPlan and findOperation throw
 */
export async function connectOperation(
  io: TaskIo,
  args: TimelockArguments,
  host: CommandHost,
): Promise<ConnectedOperation> {
  const connected = await connectPlan(io, args, host);
  const { plan, chain } = connected;
  const found = await findOperation(chain.client, { plan, ...parseChoices(args), signal: io.signal });
  const holders = await readRoleHolders(chain.client, { timelock: found.timelock, signal: io.signal });
  return { ...connected, found, holders };
}

/** Reads the operation again, after it was changed or time has passed. */
export async function findAgain(
  { plan, chain, found }: Pick<ConnectedOperation, "plan" | "chain" | "found">,
  { signal }: Pick<TaskIo, "signal">,
): Promise<FoundOperation> {
  const { salt, predecessor } = found.operation;
  return findOperation(chain.client, { plan, salt, predecessor, signal });
}

function parseChoices({ salt, predecessor }: TimelockArguments) {
  return {
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

/** An operation, for `--json`. */
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
  return {
    ...{ timelock, operationId: id, predecessor, salt, isPredecessorDone: found.isPredecessorDone },
    ...{ minDelaySeconds: status.minDelaySeconds, delaySeconds: logged?.delaySeconds ?? null },
    ...{ state: logged?.ended?.kind === "cancelled" && state === "unset" ? "cancelled" : state },
    readyAt: readyAt === undefined ? null : toIso(readyAt),
    isExecutorOpen: status.isExecutorOpen,
    scheduledBy: logged?.scheduled.transactionHash ?? null,
    endedBy: logged?.ended?.transactionHash ?? null,
    calls: found.calls.map(({ description, to }) => ({ description, to })),
  };
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

/** When a scheduled operation may be executed, and the command, as lines. */
export function describeReady(found: FoundOperation, file: string, network: string): readonly string[] {
  const { readyAt, status, state } = found;
  if (readyAt === undefined) return [`The operation is ${describeState(found)}.`];
  const next = nextCommand("timelock execute", file, network);
  if (state === "ready") return ["It may be executed now:", next];
  const left = describeDelay(readyAt - status.blockTime);
  return [`It may be executed from ${toIso(readyAt)} on, in ${left}:`, next];
}

/** @throws InvalidArgumentError if the owner is another account than the timelock that the user named */
export function requireTimelock(owner: ReadOwnerReturnType, named: Address | undefined): Address {
  if (owner.kind === "timelock" && (named === undefined || isAddressEqual(owner.address, named))) return owner.address;
  throw new InvalidArgumentError(`The owner ${owner.address} is not a timelock.`, {
    nextStep: "Give the file of a plan, the app that a timelock owns, or the timelock's address with --timelock.",
    context: { owner: owner.address, kind: owner.kind },
  });
}
