import { stripVTControlCharacters } from "node:util";
import type { Tally } from "./tally.ts";

const totals =
  /^Ran (\d+) test suites? in .+: (\d+) tests passed, (\d+) failed, (\d+) skipped \((\d+) total tests\)$/gm;
const suite = /^Suite result: (?:ok|FAILED)\. (\d+) passed; (\d+) failed; (\d+) skipped; finished in .+$/gm;

/**
 * The counts in forge's output. Empty when there are none, as after a compiler error, or when they contradict each
 * other, as when output is cut off; more than one when a test prints a summary of its own.
 */
export function parseForgeSummary(output: string): Tally[] {
  const text = stripVTControlCharacters(output);
  const suites = [...text.matchAll(suite)].map((match) => match.slice(1).map(Number));
  const sums = [0, 1, 2].map((column) => suites.reduce((sum, row) => sum + (row[column] ?? 0), 0));
  return [...text.matchAll(totals)].flatMap((match) => {
    const [suiteCount = 0, passed = 0, failed = 0, skipped = 0, total = 0] = match.slice(1).map(Number);
    const agrees =
      suiteCount === suites.length &&
      total === passed + failed + skipped &&
      [passed, failed, skipped].every((count, column) => count === sums[column]);
    return agrees ? [{ passed, failed, skipped, problems: [] }] : [];
  });
}
