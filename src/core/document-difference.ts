import type { AppCompose } from "./app-compose.ts";
import { diffAppCompose } from "./hash-mismatch.ts";
import type { JsonValue } from "./json.ts";
import { printable } from "./text.ts";

/** Longest table of line pairs that is compared. Longer texts are shown as removed and added. */
const mostPairs = 4_000_000;

/**
 * Lists how one app-compose document differs from another, for human readers: the name of each field that differs, then
 * its old lines after `- ` and its new lines after `+ `.
 */
export function describeDifference(before: AppCompose, after: AppCompose): readonly string[] {
  return diffAppCompose(before, after).flatMap((difference) => [
    `${printable(difference.field)}:`,
    ...diffLines(linesOf(difference.before), linesOf(difference.after)),
  ]);
}

/** The lines of a text; other values as one line of JSON; nothing for an absent field. */
function linesOf(value: JsonValue | undefined): readonly string[] {
  if (value === undefined) return [];
  if (typeof value !== "string" || !value.includes("\n")) return [JSON.stringify(value)];
  return value.replace(/\n$/, "").split("\n");
}

function diffLines(before: readonly string[], after: readonly string[]): readonly string[] {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1;
  let end = 0;
  const most = Math.min(before.length, after.length) - start;
  while (end < most && before.at(-1 - end) === after.at(-1 - end)) end += 1;
  const changes = changedLines(before.slice(start, before.length - end), after.slice(start, after.length - end));
  return changes.map(([mark, line]) => `  ${mark} ${printable(line)}`);
}

type Change = readonly [mark: "-" | "+", line: string];

/** The lines that are not in the longest common subsequence. */
function changedLines(before: readonly string[], after: readonly string[]): readonly Change[] {
  const removed = before.map((line): Change => ["-", line]);
  const added = after.map((line): Change => ["+", line]);
  if (before.length * after.length > mostPairs) return [...removed, ...added];
  const width = after.length + 1;
  const lengths = new Uint32Array((before.length + 1) * width);
  const at = (row: number, column: number) => lengths[row * width + column] ?? 0;
  for (let row = before.length - 1; row >= 0; row -= 1)
    for (let column = after.length - 1; column >= 0; column -= 1)
      lengths[row * width + column] =
        before[row] === after[column]
          ? at(row + 1, column + 1) + 1
          : Math.max(at(row + 1, column), at(row, column + 1));
  const changes: Change[] = [];
  let [row, column] = [0, 0];
  while (row < before.length && column < after.length) {
    if (before[row] === after[column]) [row, column] = [row + 1, column + 1];
    else if (at(row + 1, column) >= at(row, column + 1)) changes.push(...removed.slice(row, ++row));
    else changes.push(...added.slice(column, ++column));
  }
  return [...changes, ...removed.slice(row), ...added.slice(column)];
}
