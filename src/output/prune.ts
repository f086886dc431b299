import { checksumAddress } from "viem";
import type { PruneResult } from "../prune/apply-prune-plan.ts";
import { describeAge, describeReason } from "../prune/keep-rules.ts";
import { type PrunePlan, type PruneRow, removalsOf } from "../prune/plan-prune.ts";
import { formatTime } from "./format.ts";
import type { Output } from "./output.ts";

/** The effect of a removal. Operators must read it before they agree. */
const whatRemovalMeans = [
  "Removing a hash stops the next boot with it. A CVM that runs it goes on until it restarts,",
  "and keys it was given are not taken back.",
] as const;

export function showWhatRemovalMeans(output: Output): void {
  for (const line of whatRemovalMeans) output.line(line);
}

/** Shows a plan: every hash with the reasons it stays, or that no rule keeps it. */
export function showPrunePlan(output: Output, plan: PrunePlan): void {
  const { appId, chainId, pinned, rows, unknowns } = plan;
  const removals = removalsOf(plan);
  output.title(
    `Prune of app ${appId} on chain ${chainId}, judged at block ${pinned.number} (${formatTime(pinned.timestamp)} UTC)`,
  );
  if (rows.length > 0)
    output.table({ head: ["", "compose hash", "added", "why"], rows: rows.map((row) => toCells(row, plan)) });
  output.line();
  output.line(
    `${count(rows.length, "hash is", "hashes are")} allowed: ${removals.length} to remove, ${rows.length - removals.length} to keep.`,
  );
  for (const { kind, problem, isAccepted } of unknowns) {
    output.line(`Not known: ${problem} (${isAccepted ? `accepted: ${kind}` : `--accept ${kind} overrides it`})`);
  }
  for (const line of describeIdle(plan)) output.line(line);
  if (!plan.isExecutable) output.line("Nothing is removed while that is not known.");
  if (removals.length > 0) showWhatRemovalMeans(output);
}

/** Pins and queued calls that keep nothing: they may be for later, or mistyped. */
function describeIdle({ rows, policy }: PrunePlan): readonly string[] {
  const listed = new Set(rows.map(({ composeHash }) => composeHash));
  return [
    ...policy.pins
      .filter(({ composeHash }) => !listed.has(composeHash))
      .map(({ composeHash, source }) => `${composeHash}, pinned by ${source}, is not on the list.`),
    ...policy.queued
      .filter(({ composeHashes }) => composeHashes.length === 0)
      .map(({ source }) => `${source} names no hash of the list, so nothing stays for it.`),
  ];
}

/** Shows the result of executing a plan. Its transactions were already printed as they happened. */
export function showPruneResult(output: Output, { removed, finished, transactions }: PruneResult): void {
  const total = removed.length + finished.length;
  output.line(
    `${count(total, "hash", "hashes")} removed in ${count(transactions.length, "transaction", "transactions")}.`,
  );
}

function toCells(
  { composeHash, added, verdict, reasons }: PruneRow,
  { pinned, unknowns }: PrunePlan,
): readonly string[] {
  const noReason = unknowns.length === 0 ? "nothing needs it" : "nothing that is known needs it";
  const age = added === undefined ? "age unknown" : `${describeAge(Number(pinned.timestamp - added.timestamp))} ago`;
  const by = added?.by === undefined ? "" : ` by ${checksumAddress(added.by)}`;
  const why = verdict === "remove" ? noReason : reasons.map(describeReason).join("; ");
  return [verdict, composeHash, `${age}${by}`, why];
}

function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`;
}
