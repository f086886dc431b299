import { checksumAddress } from "viem";
import type { PruneResult } from "../prune/apply-prune-plan.ts";
import { describeAge, describeReason } from "../prune/keep-rules.ts";
import { type PrunePlan, type PruneRow, removalsOf } from "../prune/plan-prune.ts";
import { formatCount, formatTime } from "./format.ts";
import type { Output } from "./output.ts";
import { formatResult } from "./price.ts";

/** The effect of a removal. Operators must read it before they agree. */
const whatRemovalMeans =
  "After its hash is removed, a CVM cannot boot again. A running CVM continues until it restarts, and keeps the keys that it received.";

export function showWhatRemovalMeans(output: Output): void {
  output.line(whatRemovalMeans);
}

/** Shows a plan: every hash with the reasons it stays, or that no rule keeps it. */
export function showPrunePlan(output: Output, plan: PrunePlan): void {
  const { appId, chainId, pinned, rows, unknowns } = plan;
  const removals = removalsOf(plan);
  output.title(
    `Prune of app ${appId} on chain ${chainId} at block ${pinned.number} (${formatTime(pinned.timestamp)} UTC)`,
  );
  if (rows.length > 0)
    output.table({ head: ["", "compose hash", "added", "by", "why"], rows: rows.map((row) => toCells(row, plan)) });
  output.line();
  const isListKnown = !unknowns.some(({ kind }) => kind === "history" || kind === "proof");
  output.line(
    `${formatCount(rows.length, "hash is", "hashes are")} ${isListKnown ? "" : "known to be "}allowed: ${removals.length} to remove, ${rows.length - removals.length} to keep.`,
  );
  for (const { kind, problem, isAccepted } of unknowns) {
    const what = kind === "history" ? "The history is incomplete" : "Not known";
    output.line(`${what}: ${problem} (${kind}${isAccepted ? ", accepted" : ""})`);
  }
  for (const line of describeIdle(plan)) output.line(line);
  if (!plan.isExecutable) output.line("Prune removes nothing until this is known.");
  if (removals.length > 0) showWhatRemovalMeans(output);
}

/** Pins and queued calls that keep no hash. The user may have mistyped them, or may need them later. */
function describeIdle({ rows, policy }: PrunePlan): readonly string[] {
  const listed = new Set(rows.map(({ composeHash }) => composeHash));
  return [
    ...policy.pins
      .filter(({ composeHash }) => !listed.has(composeHash))
      .map(({ composeHash, source }) => `${composeHash}, pinned by ${source}, is not on the list.`),
    ...policy.queued
      .filter(({ composeHashes }) => composeHashes.length === 0)
      .map(({ source }) => `${source} names no hash on the list, so it keeps none.`),
  ];
}

/** Shows the result of executing a plan. Its transactions were already printed as they happened. */
export function showPruneResult(output: Output, { removed, finished, transactions }: PruneResult): void {
  const hashes = [...finished, ...removed];
  const what = `Removed ${formatCount(hashes.length, "compose hash", "compose hashes")}`;
  output.line(`\n${formatResult(what, transactions, hashes)}`);
}

function toCells(
  { composeHash, added, verdict, reasons }: PruneRow,
  { pinned, unknowns }: PrunePlan,
): readonly string[] {
  const noReason = unknowns.length === 0 ? "not needed" : "not needed, as far as is known";
  const age = added === undefined ? "not known" : `${describeAge(Number(pinned.timestamp - added.timestamp))} ago`;
  const by = added?.by === undefined ? "" : checksumAddress(added.by);
  const why = verdict === "remove" ? noReason : reasons.map((reason) => describeReason(reason, { added })).join("; ");
  return [verdict, composeHash, age, by, why];
}
