import { checksumAddress } from "viem";
import { describeDelay, noPredecessor } from "../core/timelock-calls.ts";
import type { FoundOperation } from "../governance/timelock-execute.ts";
import { toIso } from "../governance/timelock-execute.ts";
import type { TimelockRoles, TimelockStatus } from "../governance/timelock-operation.ts";
import { nameOfQueued, type QueuedOperation, type UnderWay } from "../governance/under-way.ts";
import type { Output } from "./output.ts";

/** Shows an operation of a timelock with its calls, and who may do what. */
export function showOperation(
  output: Output,
  found: FoundOperation,
  holders: readonly TimelockRoles[] | undefined,
): void {
  const { timelock, id, operation, status, logged, calls } = found;
  const { predecessor, salt } = operation;
  const isDone = found.isPredecessorDone ? "executed" : "NOT executed yet";
  output.title(`Operation ${id}`);
  output.line(`  timelock     ${checksumAddress(timelock)}`);
  output.line(`  minimum      ${describeDelay(status.minDelaySeconds)} between schedule and execution`);
  output.line(`  state        ${describeState(found)}`);
  output.line(`  predecessor  ${predecessor === noPredecessor ? "none" : `${predecessor}, ${isDone}`}`);
  output.line(`  salt         ${salt}`);
  if (logged !== undefined) {
    output.line(`  scheduled    in block ${logged.scheduled.blockNumber}, by transaction`);
    output.line(`               ${logged.scheduled.transactionHash}`);
  }
  showExecutors(output, status, holders);
  output.line("  calls");
  for (const { description, to } of calls) {
    output.line(`    ${description}`);
    output.line(`      on ${to}`);
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
  output.title(`Under way: ${operations.length}`);
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
  if (operation.kind === "safe") return `${operation.confirmations} of ${operation.threshold} signatures`;
  const { state, readyAt, scheduled, isProven } = operation;
  const time = state === "ready" ? `ready since ${toIso(readyAt)}` : `waits until ${toIso(readyAt)}`;
  const doubt = isProven ? "" : "; its calls do not make up its id";
  return `${time}, scheduled in block ${scheduled.blockNumber}${doubt}`;
}
