import type { Address } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { simulateCall } from "../chain/transactions/simulate.ts";
import { groupCalls } from "../core/order-calls.ts";
import { abiOf, type OwnerCall } from "../core/owner-calls.ts";
import { cancelCall, executeCall, scheduleCall } from "../core/timelock.ts";
import { describeDelay } from "../core/timelock-calls.ts";
import {
  InvalidArgumentError,
  isDstackError,
  TimelockDependentsError,
  TimelockNotReadyError,
  TimelockOperationError,
  type TimelockRoleDetails,
  TimelockRoleError,
} from "../errors/index.ts";
import { type FoundOperation, toIso } from "./timelock-find.ts";
import { readTimelockHistory } from "./timelock-history.ts";
import { readTimelock, type TimelockStatus } from "./timelock-operation.ts";

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

/**
 * The call that cancels a pending operation. Sends nothing.
 *
 * @param choices.acceptDependents whether to cancel it although other pending operations wait for it, or may
 * @throws TimelockDependentsError, TimelockOperationError, TimelockRoleError
 */
export async function prepareCancel(
  client: ChainClient,
  found: Pick<FoundOperation, "timelock" | "id" | "state" | "status" | "logged" | "dependents">,
  {
    account,
    acceptDependents = false,
  }: { readonly account?: Address | undefined; readonly acceptDependents?: boolean | undefined } = {},
): Promise<OwnerCall> {
  const { timelock, id, dependents } = found;
  if (found.state === "done") throw problem("alreadyExecuted", found);
  if (found.state === "unset") throw notScheduled(found);
  if (!acceptDependents && dependents?.length !== 0)
    throw new TimelockDependentsError({ timelock, operationId: id, dependents: dependents?.map((one) => one.id) });
  await requireRole(client, found, { role: "canceller", account });
  return cancelCall({ timelock, id });
}

/** @throws TimelockNotReadyError, TimelockOperationError */
export function requireReady(found: FoundOperation): void {
  const { timelock, id: operationId, state, readyAt, status } = found;
  if (state === "done") throw problem("alreadyExecuted", found);
  if (state === "unset" || readyAt === undefined) throw notScheduled(found);
  if (state === "waiting")
    throw new TimelockNotReadyError({
      ...{ timelock, operationId, readyAt: toIso(readyAt) },
      left: describeDelay(readyAt - status.blockTime),
    });
  const missing = missingPredecessor(found);
  if (missing !== undefined) throw missing;
}

/** Why an operation cannot be executed even after its delay. Undefined if its predecessor is done, or it has none. */
export function missingPredecessor({
  timelock,
  id: operationId,
  operation,
  predecessor: { state: predecessorState, readyAt, cancelledBy },
}: Pick<FoundOperation, "timelock" | "id" | "operation" | "predecessor">): TimelockNotReadyError | undefined {
  if (predecessorState === "none" || predecessorState === "done") return undefined;
  return new TimelockNotReadyError({
    ...{ timelock, operationId, predecessor: operation.predecessor, predecessorState },
    ...(readyAt !== undefined && { predecessorReadyAt: toIso(readyAt) }),
    ...(cancelledBy !== undefined && { cancelledBy }),
  });
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
