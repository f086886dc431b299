import type { Address } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { simulateCall } from "../chain/transactions/simulate.ts";
import type { Hex } from "../core/ids.ts";
import { groupCalls } from "../core/order-calls.ts";
import { abiOf, isSameCall, type OwnerCall } from "../core/owner-calls.ts";
import { cancelCall, executeCall, operationOf, scheduleCall } from "../core/timelock.ts";
import { describeDelay, hashOperationBatch, noPredecessor, type TimelockOperation } from "../core/timelock-calls.ts";
import {
  InvalidArgumentError,
  isDstackError,
  TimelockNotReadyError,
  TimelockOperationError,
  type TimelockRoleDetails,
  TimelockRoleError,
} from "../errors/index.ts";
import type { ChangePlan } from "../plans/change-plan.ts";
import { type LoggedOperation, readTimelockHistory } from "./timelock-history.ts";
import { readTimelock, type TimelockStatus } from "./timelock-operation.ts";

/** A plan's changes as one operation of the timelock that owns the contracts. */
export interface PlannedOperation {
  readonly timelock: Address;
  readonly id: Hex;
  readonly operation: TimelockOperation;
  /** False for one that another program scheduled as a single call. */
  readonly isBatch: boolean;
  readonly calls: readonly OwnerCall[];
}

export interface OperationChoices {
  /** @default the plan's digest: the same plan has the same id, and a new plan of the same calls has another one */
  readonly salt?: Hex | undefined;
  /** Id of the operation that must be executed before. @default none */
  readonly predecessor?: Hex | undefined;
}

type PlanOfTimelock = Pick<ChangePlan, "owner" | "changes" | "digest" | "pinned">;

/**
 * The operation that carries a plan.
 *
 * @throws InvalidArgumentError if no timelock owns the plan's contracts, or the plan changes nothing
 */
export function plannedOperation(
  { owner, changes, digest }: PlanOfTimelock,
  { salt = digest, predecessor = noPredecessor }: OperationChoices = {},
): PlannedOperation {
  if (owner.kind !== "timelock")
    throw new InvalidArgumentError(`The owner ${owner.address} is not a timelock, so it has no operations.`, {
      nextStep: "A key, a Safe and other contracts execute a plan in their own ways.",
      context: { owner: owner.address, kind: owner.kind },
    });
  if (changes.length === 0)
    throw new InvalidArgumentError("The plan changes nothing, so there is no operation.", {
      nextStep: "Nobody has to sign. If it is the plan of an update, commit the update: `commitUpdates`.",
    });
  const calls = changes.map(({ call }) => call);
  const operation = operationOf({ calls, predecessor, salt });
  return { timelock: owner.address, id: hashOperationBatch(operation), operation, isBatch: true, calls };
}

export interface FoundOperation extends PlannedOperation {
  readonly status: TimelockStatus;
  readonly state: TimelockStatus["operations"][number]["state"];
  /** Seconds since the epoch; undefined unless it is waiting or ready. */
  readonly readyAt: bigint | undefined;
  readonly isPredecessorDone: boolean;
  /** What the timelock logged about it since the plan was made. Undefined if that is nothing, or cannot be read. */
  readonly logged: LoggedOperation | undefined;
}

export interface FindOperationParameters extends OperationChoices {
  readonly plan: PlanOfTimelock;
  /** Accounts whose roles to read. */
  readonly accounts?: readonly Address[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Finds the operation of a plan in its timelock. Without `salt` and `predecessor`, also finds one that was scheduled
 * with others: the last one with the plan's calls.
 *
 * @throws InvalidArgumentError, NoContractError, RpcUnavailableError
 */
export async function findOperation(
  client: ChainClient,
  { plan, accounts, signal, ...choices }: FindOperationParameters,
): Promise<FoundOperation> {
  const planned = plannedOperation(plan, choices);
  const { timelock } = planned;
  const operations = await readSince(client, { timelock, fromBlock: plan.pinned.number, signal });
  const isChosen = choices.salt !== undefined || choices.predecessor !== undefined;
  const alike = isChosen ? [] : operations.filter((one) => hasCalls(one, planned.calls));
  const logged =
    operations.find(({ id }) => id === planned.id) ??
    alike.findLast(({ ended }) => ended === undefined) ??
    alike.findLast(({ ended }) => ended?.kind === "executed");
  const found = logged?.proven === undefined ? planned : { ...planned, id: logged.id, ...logged.proven };
  const { id, operation } = found;
  const status = await readTimelock(client, { timelock, ids: [id, operation.predecessor], accounts });
  const [own, predecessor] = status.operations;
  if (own === undefined) throw new TypeError("The state of the operation was read.");
  return {
    ...{ ...found, status, logged },
    ...{ state: own.state, readyAt: own.readyAt },
    isPredecessorDone: operation.predecessor === noPredecessor || predecessor?.state === "done",
  };
}

/** The logs only tell more about an operation, whose state the contract tells. So an endpoint may lack them. */
async function readSince(
  client: ChainClient,
  parameters: Parameters<typeof readTimelockHistory>[1],
): Promise<readonly LoggedOperation[]> {
  try {
    return (await readTimelockHistory(client, parameters)).operations;
  } catch (error) {
    if (!isDstackError(error)) throw error;
    return [];
  }
}

function hasCalls({ proven }: LoggedOperation, calls: readonly OwnerCall[]): boolean {
  const found = proven?.operation.calls ?? [];
  return (
    found.length === calls.length &&
    calls.every((call, index) => {
      const one = found[index];
      return one !== undefined && one.value === 0n && isSameCall(one, call);
    })
  );
}

/**
 * The call that schedules an operation. Sends nothing. Undefined if the operation is scheduled already.
 *
 * @param choices.delaySeconds @default the timelock's minimum
 * @param choices.account the account that will send it. @default its role is not checked
 * @throws TimelockOperationError if it was executed or cancelled
 * @throws TimelockRoleError, InvalidArgumentError for a delay below the minimum, ContractRevertedError for a call that
 * the contract would refuse now
 */
export async function prepareSchedule(
  client: ChainClient,
  found: FoundOperation,
  {
    delaySeconds,
    account,
  }: { readonly delaySeconds?: bigint | undefined; readonly account?: Address | undefined } = {},
): Promise<{ readonly call: OwnerCall; readonly delaySeconds: bigint } | undefined> {
  const { timelock, operation, state, status } = found;
  if (state === "done") throw problem("alreadyExecuted", found);
  if (state !== "unset") return undefined;
  if (found.logged?.ended?.kind === "cancelled") throw problem("cancelled", found);
  const { minDelaySeconds } = status;
  const delay = delaySeconds ?? minDelaySeconds;
  if (delay < minDelaySeconds)
    throw new InvalidArgumentError(
      `A delay of ${describeDelay(delay)} is shorter than the minimum of the timelock, ${describeDelay(minDelaySeconds)}.`,
      {
        nextStep: "Nothing was sent. Omit `delaySeconds`, or give at least the minimum.",
        context: { timelock, delaySeconds: delay, minDelaySeconds },
      },
    );
  await requireRole(client, found, { role: "proposer", account });
  await simulateCalls(client, found);
  return { call: scheduleCall({ timelock, operation, delaySeconds: delay }), delaySeconds: delay };
}

/**
 * The call that executes an operation. Sends nothing. Each call of the operation is simulated as the timelock, so that
 * one that would revert is named.
 *
 * @param choices.account the account that will send it. @default its role is not checked
 * @throws TimelockNotReadyError before its time, or if its predecessor is not done
 * @throws TimelockOperationError if it is not scheduled, was cancelled or was executed
 * @throws TimelockRoleError, NotOwnerError, ContractOwnerError, ContractRevertedError, RpcUnavailableError
 */
export async function prepareExecute(
  client: ChainClient,
  found: FoundOperation,
  { account }: { readonly account?: Address | undefined } = {},
): Promise<OwnerCall> {
  const { timelock, operation, isBatch } = found;
  requireReady(found);
  await requireRole(client, found, { role: "executor", account });
  await simulateCalls(client, found);
  return executeCall({ timelock, operation, isBatch });
}

/** The call that cancels a pending operation. Sends nothing. @throws TimelockOperationError, TimelockRoleError */
export async function prepareCancel(
  client: ChainClient,
  found: Pick<FoundOperation, "timelock" | "id" | "state" | "status" | "logged">,
  { account }: { readonly account?: Address | undefined } = {},
): Promise<OwnerCall> {
  const { timelock, id } = found;
  if (found.state === "done") throw problem("alreadyExecuted", found);
  if (found.state === "unset") throw notScheduled(found);
  await requireRole(client, found, { role: "canceller", account });
  return cancelCall({ timelock, id });
}

/** @throws TimelockNotReadyError, TimelockOperationError */
export function requireReady(found: FoundOperation): void {
  const { timelock, id: operationId, operation, state, readyAt, status } = found;
  if (state === "done") throw problem("alreadyExecuted", found);
  if (state === "unset" || readyAt === undefined) throw notScheduled(found);
  if (state === "waiting")
    throw new TimelockNotReadyError({
      ...{ timelock, operationId, readyAt: toIso(readyAt) },
      left: describeDelay(readyAt - status.blockTime),
    });
  if (!found.isPredecessorDone)
    throw new TimelockNotReadyError({ timelock, operationId, predecessor: operation.predecessor });
}

export function toIso(seconds: bigint): string {
  return new Date(Number(seconds) * 1000).toISOString().replace(".000Z", "Z");
}

type Subject = Pick<FoundOperation, "timelock" | "id" | "status" | "logged">;

function notScheduled(found: Subject): TimelockOperationError {
  return problem(found.logged?.ended?.kind === "cancelled" ? "cancelled" : "notScheduled", found);
}

function problem(
  kind: ConstructorParameters<typeof TimelockOperationError>[0],
  { timelock, id: operationId, logged }: Subject,
): TimelockOperationError {
  return new TimelockOperationError(kind, {
    timelock,
    operationId,
    transactionHash: logged?.ended?.transactionHash,
  });
}

/** @throws TimelockRoleError */
async function requireRole(
  client: ChainClient,
  { timelock, status }: Subject,
  { role, account }: { readonly role: TimelockRoleDetails["role"]; readonly account: Address | undefined },
): Promise<void> {
  if (account === undefined || (role === "executor" && status.isExecutorOpen)) return;
  const { roles } = await readTimelock(client, { timelock, accounts: [account] });
  const right = ({ proposer: "canPropose", executor: "canExecute", canceller: "canCancel" } as const)[role];
  if (roles.some((one) => one[right])) return;
  const holders = (await readRoleHolders(client, { timelock })) ?? [];
  throw new TimelockRoleError({
    ...{ timelock, account, role },
    holders: holders.filter((one) => one[right]).map((one) => one.account),
  });
}

/**
 * The accounts that have a role of a timelock. A timelock does not list them, so they come from its logs. Undefined if
 * the endpoint does not serve those.
 *
 * @throws RpcUnavailableError
 */
export async function readRoleHolders(
  client: ChainClient,
  parameters: Parameters<typeof readTimelockHistory>[1],
): Promise<TimelockStatus["roles"] | undefined> {
  try {
    const { grantedTo } = await readTimelockHistory(client, parameters);
    const { timelock, toBlock: blockNumber } = parameters;
    return (await readTimelock(client, { timelock, accounts: grantedTo, blockNumber })).roles;
  } catch (error) {
    if (!isDstackError(error)) throw error;
    return undefined;
  }
}

/** Those behind a call that changes who may call or which code runs cannot be simulated alone. */
async function simulateCalls(client: ChainClient, { timelock, calls }: FoundOperation): Promise<void> {
  for (const call of groupCalls(calls)[0] ?? []) {
    const { to, data, functionName } = call;
    await simulateCall(client, { from: timelock, to, data, functionName, abi: abiOf(call) });
  }
}
