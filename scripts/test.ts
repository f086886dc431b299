// Runs all checks of the repository, stage by stage: `npm test`, or `npm test -- unit`. A failing stage does not stop
// the later ones. The last line is `N passed, N failed` over all stages.

import { filesBelow, root } from "./support/paths.ts";
import { runCommand, signalRunning } from "./support/run-command.ts";
import { runBuild, runChecks } from "./test/checks.ts";
import { compileWithForge, runForge } from "./test/forge.ts";
import { type Plan, parsePlan, type StageName, stageOfFile, testsOf } from "./test/plan.ts";
import {
  compareRunners,
  failedTally,
  failuresOf,
  formatSummary,
  isTallyMessage,
  judgeTests,
  type StageResult,
  type Tally,
} from "./test/tally.ts";

const ci = Boolean(process.env.CI) && process.env.CI !== "false";
// Some runners print colours on CI even if the output is not a terminal.
if (!process.stdout.isTTY && process.env.FORCE_COLOR === undefined) process.env.NO_COLOR ??= "1";
let interruptedBy: NodeJS.Signals | undefined;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.on(signal, () => {
    interruptedBy = signal;
    // A terminal has already signalled the runner. A second signal would stop its cleanup.
    if (signal !== "SIGINT" || !process.stdin.isTTY) signalRunning(signal);
  });

let plan: Plan;
try {
  plan = parsePlan(process.argv.slice(2), { ci });
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(2);
}
process.exitCode = (await runAll(plan)) ? 0 : 1;

async function runAll({ stages, files, grep }: Plan): Promise<boolean> {
  const results: StageResult[] = [];
  const forgeCompiled = stages.includes("forge") ? compileWithForge() : undefined;
  // forge compiles the contracts itself, and the clients need no build output.
  const needsBuild = stages.some((name) => name !== "forge" && name !== "clients");
  const built = needsBuild && failuresOf(await run("build", runBuild)) === 0;
  for (const name of stages) await run(name, () => runStage(name));

  const [contracts, forge] = ["contracts", "forge"].map((name) => results.find((result) => result.name === name));
  const difference = contracts && forge && compareRunners(contracts, forge);
  if (difference !== undefined) results.push({ name: "parity", seconds: 0, ...failedTally(difference) });
  console.log(`\n${formatSummary(results)}`);
  return results.every((result) => failuresOf(result) === 0);

  async function run(name: string, work: () => Promise<Tally>): Promise<StageResult> {
    console.log(`\n== ${name}\n`);
    const startedAt = performance.now();
    const tally = interruptedBy === undefined ? await work() : failedTally(`not run, because of ${interruptedBy}`);
    const result = { name, seconds: (performance.now() - startedAt) / 1000, ...tally };
    results.push(result);
    return result;
  }

  async function runStage(name: StageName): Promise<Tally> {
    if (name === "check") return runChecks({ built });
    if (name === "forge") {
      await forgeCompiled;
      return runForge({ ci, grep });
    }
    if (name === "clients") return runRunner("scripts/test-clients.ts", []);
    if (!built) return failedTally("not run, because the build failed");
    const chosen = files.filter((file) => stageOfFile(file) === name);
    const testFiles = chosen.length > 0 ? chosen : allFilesOf(name);
    // Hardhat would run all tests for an empty list.
    if (testFiles.length === 0) return failedTally("has no test file");
    return runRunner(`scripts/test/${name === "contracts" ? "solidity" : "mocha"}-runner.ts`, testFiles);
  }

  async function runRunner(runner: string, testFiles: readonly string[]): Promise<Tally> {
    const outcome = await runCommand({
      command: process.execPath,
      args: ["scripts/run.mjs", runner, ...(grep === undefined ? [] : [`--grep=${grep}`]), ...testFiles],
      cwd: root,
      reports: true,
    });
    const tallies = outcome.messages.filter(isTallyMessage).map(({ tally }) => tally);
    return judgeTests(outcome, tallies, { ci });
  }
}

function allFilesOf(name: StageName): string[] {
  const tests = testsOf[name];
  return tests === undefined ? [] : filesBelow(tests.directory, tests.ending);
}
