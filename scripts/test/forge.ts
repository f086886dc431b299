import { fetchPinned } from "../npm.mjs";
import { root } from "../support/paths.ts";
import { type Command, describeEnd, runCommand } from "../support/run-command.ts";
import type { Section } from "./sections.ts";
import { judge, type Tally } from "./tally.ts";

// Foundry is not a dependency, because it is 84 MB large and only this stage needs it. Use its npm packages per platform:
// the command of the wrapper package always exits with 0.

/** The fields of the output of `forge test --json` that are read here. */
type ForgeRun = Readonly<
  Record<string, { readonly test_results: Readonly<Record<string, ForgeTest>>; readonly duration: string }>
>;
interface ForgeTest {
  readonly status: "Success" | "Failure" | "Skipped";
  readonly reason: string | null;
  readonly counterexample: unknown;
  readonly decoded_logs: readonly string[];
}

/**
 * Compiles in the background, because Hardhat's compiler leaves the second core idle, and both take most of a minute on
 * a fresh clone. Ignores errors: they happen again in `runForge`, which reports them.
 */
export async function compileWithForge(): Promise<void> {
  const forge = fetchPinned("forge");
  if (forge !== undefined) await runCommand({ ...forgeCommand(forge, ["build"]), output: "keep" });
}

export async function runForge(
  { line, redirect }: Section,
  { grep, ci }: { grep: string | undefined; ci: boolean },
): Promise<Tally> {
  const forge = fetchPinned("forge");
  if (forge === undefined)
    return { passed: 0, failed: 0, problem: "npm could not fetch the pinned forge for this platform" };
  const match = grep === undefined ? [] : ["--match-test", grep];
  const command = forgeCommand(forge, ["test", "--json", ...match]);
  const outcome = await runCommand({ ...command, output: "stdout", print: redirect });
  return judge(countTests(outcome.output, line), { ending: describeEnd(outcome), ci });
}

/** Prints a line for every suite and every failing test. Undefined if forge printed something else, such as an error. */
function countTests(output: string, line: Section["line"]): Tally | undefined {
  const suites = output.trimStart().startsWith("{") ? Object.entries(JSON.parse(output) as ForgeRun) : undefined;
  if (suites === undefined) line(output);
  const counts = { Success: 0, Failure: 0, Skipped: 0 };
  for (const [suite, { test_results, duration }] of suites ?? []) {
    line(`${suite}: ${Object.keys(test_results).length} tests in ${duration}`);
    for (const [name, { status, reason, counterexample, decoded_logs }] of Object.entries(test_results)) {
      counts[status] += 1;
      if (status !== "Failure") continue;
      line(`  FAILED ${name}: ${reason ?? "no reason given"}`);
      if (counterexample !== null) line(`    ${JSON.stringify(counterexample)}`);
      for (const log of decoded_logs) line(`    ${log}`);
    }
  }
  return suites && { passed: counts.Success, failed: counts.Failure, skipped: counts.Skipped };
}

function forgeCommand(forge: string, args: readonly string[]): Command {
  return { command: forge, args, cwd: root, env: { ...process.env, FOUNDRY_PROFILE: "default" } };
}
