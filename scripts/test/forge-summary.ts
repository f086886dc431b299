import { stripVTControlCharacters } from "node:util";
import type { Tally } from "./tally.ts";

const totals =
  /^Ran (\d+) test suites? in .+: (\d+) tests passed, (\d+) failed, (\d+) skipped \((\d+) total tests\)$/gm;
const suite = /^Suite result: (?:ok|FAILED)\. (\d+) passed; (\d+) failed; (\d+) skipped; finished in .+$/gm;

/**
 * Finds every test count in forge's output. There is none after a compiler error, and more than one if a test logs a
 * summary itself. A single count is dropped if it contradicts the results above it, for example if output was lost.
 */
export function parseForgeSummary(output: string): Tally[] {
  const text = stripVTControlCharacters(output).replaceAll("\r\n", "\n");
  const suites = [...text.matchAll(suite)].map(numbersIn);
  const sums = [0, 1, 2].map((column) => suites.reduce((sum, row) => sum + (row[column] ?? 0), 0));
  const summaries = [...text.matchAll(totals)].map(numbersIn);
  const [[suiteCount, passed = 0, failed = 0, skipped = 0, total] = []] = summaries;
  const agrees =
    suiteCount === suites.length &&
    total === passed + failed + skipped &&
    [passed, failed, skipped].every((count, column) => count === sums[column]);
  if (summaries.length === 1 && !agrees) return [];
  return summaries.map(([, passed = 0, failed = 0, skipped = 0]) => ({ passed, failed, skipped, problems: [] }));
}

function numbersIn(match: RegExpExecArray): number[] {
  return match.slice(1).map(Number);
}
