import { checksumAddress } from "viem";
import { describeDelay, noPredecessor } from "../core/timelock-calls.ts";
import type { OperationsAlikeError } from "../errors/index.ts";
import { type FoundOperation, toIso } from "../governance/timelock-find.ts";
import type { TimelockRoles, TimelockStatus } from "../governance/timelock-operation.ts";
import { nameOfQueued, type QueuedOperation, type UnderWay } from "../governance/under-way.ts";
import { describeConfirmations } from "./format.ts";
import type { Output } from "./output.ts";

/** Shows an operation of a timelock with its calls, and who may do what. */
export function showOperation(
  output: Output,
  found: FoundOperation,
  holders: readonly TimelockRoles[] | undefined,
): void {
  const { timelock, id, operation, status, logged, calls } = found;
  const { predecessor, salt } = operation;
  output.title(`Operation ${id}`);
  output.line(`  timelock     ${checksumAddress(timelock)}`);
  output.line(`  minimum      ${describeDelay(status.minDelaySeconds)} between schedule and execution`);
  output.line(`  state        ${describeState(found)}`);
  output.line(`  predecessor  ${predecessor === noPredecessor ? "none" : predecessor}`);
  if (predecessor !== noPredecessor) output.line(`               ${describePredecessorState(found)}`);
  output.line(`  salt         ${salt}`);
  if (logged !== undefined) {
    output.line(`  scheduled    in block ${logged.scheduled.blockNumber}, by transaction`);
    output.line(`               ${logged.scheduled.transactionHash}`);
  }
  for (const one of found.alike) output.line(`  same calls   operation ${one.id}`);
  for (const one of found.dependents ?? []) output.line(`  waits for it operation ${one.id}`);
  showExecutors(output, status, holders);
  output.line("  calls");
  for (const { description, to } of calls) {
    output.line(`    ${description}`);
    output.line(`      on ${to}`);
  }
}

function describePredecessorState({ predecessor: { state, readyAt, cancelledBy } }: FoundOperation): string {
  if (state === "none" || state === "done") return "executed";
  if (state === "cancelled") return `cancelled${cancelledBy === undefined ? "" : `, by transaction ${cancelledBy}`}`;
  if (readyAt === undefined) return "neither scheduled nor executed, as far as is known";
  return `not executed; ${state === "ready" ? `ready since ${toIso(readyAt)}` : `waiting until ${toIso(readyAt)}`}`;
}

/** Lists operations among which the user must choose. */
export function showAlike(output: Output, { operations }: Pick<OperationsAlikeError, "operations">): void {
  output.title("Pending operations with the plan's calls");
  for (const { operationId, salt, state, readyAt, predecessor } of operations) {
    output.line(`  operation    ${operationId}`);
    output.line(`  salt         ${salt}`);
    output.line(`  ready        ${state === "ready" ? "since" : "at"} ${readyAt ?? state}`);
    output.line(`  predecessor  ${predecessor ?? "none"}\n`);
  }
}

/** Shows who may execute and cancel. @param holders undefined if the timelock's logs cannot be read */
export function showExecutors(
  output: Output,
  status: Pick<TimelockStatus, "isExecutorOpen">,
  holders: readonly TimelockRoles[] | undefined,
): void {
  output.line(`  may execute  ${describeExecutors(status, holders)}`);
  for (const { account } of holders?.filter(({ canCancel }) => canCancel) ?? [])
    output.line(`  may cancel   ${account}`);
}

/** "waiting until 2026-12-03T05:00:00Z, in 2 days". */
export function describeState({ state, readyAt, status, logged }: FoundOperation): string {
  const by = logged?.ended === undefined ? "" : `, by transaction ${logged.ended.transactionHash}`;
  if (state === "done") return `executed${by}`;
  if (readyAt === undefined) return logged?.ended?.kind === "cancelled" ? `cancelled${by}` : "not scheduled";
  if (state === "ready") return `ready since ${toIso(readyAt)}`;
  return `waiting until ${toIso(readyAt)}, in ${describeDelay(readyAt - status.blockTime)}`;
}

function describeExecutors(
  { isExecutorOpen }: Pick<TimelockStatus, "isExecutorOpen">,
  holders: readonly TimelockRoles[] | undefined,
): string {
  if (isExecutorOpen) return "any account";
  if (holders === undefined) return "accounts with EXECUTOR_ROLE; the endpoint does not show which";
  const accounts = holders.filter(({ canExecute }) => canExecute).map(({ account }) => account);
  return accounts.length === 0 ? "no account that is known" : accounts.join("\n               ");
}

/** Shows what waits in Safes and timelocks. Shows nothing if that is nothing and everything was read. */
export function showUnderWay(output: Output, { operations, problems }: UnderWay): void {
  if (operations.length + problems.length === 0) return;
  const known = operations.length === 0 ? "not known" : `at least ${operations.length}`;
  output.title(`Under way: ${problems.length === 0 ? operations.length : known}`);
  for (const operation of operations) {
    output.line(`  ${nameOfQueued(operation)}`);
    output.line(`    ${describeQueued(operation)}`);
    for (const { description } of operation.calls) output.line(`    ${description}`);
    const { unknownCalls } = operation;
    if (unknownCalls > 0)
      output.line(`    ${unknownCalls} ${unknownCalls === 1 ? "call" : "calls"} that this package does not know`);
  }
  for (const problem of problems) output.line(`  ${problem}`);
}

function describeQueued(operation: QueuedOperation): string {
  if (operation.kind === "safe") return describeConfirmations(operation.confirmations, operation.threshold);
  const { state, readyAt, scheduled, isProven, predecessor, isPredecessorDone } = operation;
  const delay = state === "ready" ? `ready since ${toIso(readyAt)}` : `waits until ${toIso(readyAt)}`;
  const time = isPredecessorDone ? delay : `${delay}, but waits for its predecessor ${predecessor}, not executed`;
  const doubt = isProven ? "" : "; its calls do not make up its id";
  return `${time}, scheduled in block ${scheduled.blockNumber}${doubt}`;
}
