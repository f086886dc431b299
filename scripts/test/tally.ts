import { describeEnd, type Outcome } from "../support/run-command.ts";

/** The test counts of a runner, and problems that the counts do not show. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** One sentence per problem, without a full stop. Every problem counts as one failure. */
  readonly problems: readonly string[];
}

export interface StageResult extends Tally {
  readonly name: string;
  readonly seconds: number;
}

/** The tally that our own runners send to their parent process, so that it does not have to parse their output. */
export interface TallyMessage {
  readonly kind: "tally";
  readonly tally: Tally;
}

export function isTallyMessage(value: unknown): value is TallyMessage {
  if (typeof value !== "object" || value === null) return false;
  const { kind, tally } = value as Partial<TallyMessage>;
  return (
    kind === "tally" &&
    typeof tally === "object" &&
    tally !== null &&
    [tally.passed, tally.failed, tally.skipped].every(isCount) &&
    Array.isArray(tally.problems)
  );
}

/** The tally of a stage that failed before it counted tests. */
export function failedTally(problem: string): Tally {
  return { passed: 0, failed: 0, skipped: 0, problems: [problem] };
}

/**
 * Checks that a runner's exit agrees with its tally. Reports a problem for no count, two counts, a signal, an exit code
 * that contradicts the tally, no test at all, and, on CI, skipped tests.
 */
export function judgeTests(outcome: Outcome, counted: readonly Tally[], options: { ci: boolean }): Tally {
  const how = describeEnd(outcome);
  const [tally] = counted;
  if (tally === undefined) return failedTally(`${how} without a count of its tests`);
  if (counted.length > 1) return failedTally(`${how} with ${counted.length} counts of its tests`);

  const problems = [...tally.problems];
  const wellEnded = outcome.problem === undefined && outcome.signal === null;
  if (!wellEnded) problems.push(how);
  else if (outcome.code === 0 && tally.failed > 0) problems.push("exited with code 0 although tests failed");
  else if (outcome.code !== 0 && tally.failed === 0 && problems.length === 0)
    problems.push(`${how} although no test failed`);
  if (tally.passed + tally.failed === 0) problems.push("ran no test");
  if (options.ci && tally.skipped > 0) problems.push(`has ${tally.skipped} skipped, which CI does not accept`);
  return { ...tally, problems };
}

/** Failures of a stage: failed tests plus problems. */
export function failuresOf(tally: Tally): number {
  return tally.failed + tally.problems.length;
}

/** Both Solidity runners get the same files. This finds a test that only one of them runs. */
export function compareRunners(a: StageResult, b: StageResult): string | undefined {
  const [inA, inB] = [a, b].map(({ passed, failed, skipped }) => passed + failed + skipped);
  if (inA === inB || failuresOf(a) + failuresOf(b) > 0) return undefined;
  return `${a.name} has ${inA} tests, ${b.name} has ${inB}: a test is invisible to one of the two runners`;
}

/** The table of stages. The last line has the totals. */
export function formatSummary(results: readonly StageResult[]): string {
  const rows = results.map((result) => [
    result.name,
    `${result.passed}`,
    `${failuresOf(result)}`,
    `${result.skipped}`,
    result.seconds.toFixed(1),
  ]);
  const table = [["stage", "passed", "failed", "skipped", "seconds"], ...rows];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  ");
  const problems = results.flatMap(({ name, problems }) => problems.map((problem) => `${name}: ${problem}.`));
  return [...table.map(line), ...(problems.length === 0 ? [] : ["", ...problems]), "", formatTotals(results)].join(
    "\n",
  );
}

export function formatTotals(results: readonly StageResult[]): string {
  const passed = results.reduce((sum, result) => sum + result.passed, 0);
  const failed = results.reduce((sum, result) => sum + failuresOf(result), 0);
  return `${passed} passed, ${failed} failed`;
}

function isCount(value: unknown): boolean {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
