// Everything the repository checks about itself, stage by stage: `npm test`, `npm test -- unit`, or one test file.
// A failing stage never hides a later one; the last line is `N passed, N failed` over all of them.
import { parseArgs } from "node:util";
import { commandOf, filesBelow, root } from "./support/paths.ts";
import { describeEnd, runCommand, stopRunning } from "./support/run-command.ts";
import { runChecks } from "./test/checks.ts";
import { compileWithForge, runForge } from "./test/forge.ts";
import { compareRunners, failuresOf, judge, type Tally } from "./test/tally.ts";

/** The stages in their order, and where the test files of those that have some live. */
const stages: Readonly<Record<string, { runner: string; directory: string; ending: string } | undefined>> = {
  check: undefined,
  contracts: { runner: "solidity", directory: "test/contracts", ending: ".t.sol" },
  forge: undefined,
  unit: { runner: "mocha", directory: "test/ts/unit", ending: ".test.ts" },
  integration: { runner: "mocha", directory: "test/ts/integration", ending: ".test.ts" },
  e2e: { runner: "mocha", directory: "test/ts/e2e", ending: ".test.ts" },
  packages: { runner: "mocha", directory: "test/ts/packages", ending: ".test.ts" },
  clients: undefined,
};
/** Needs Go and Python. */
const onlyOnCi = ["clients"];
/** Installs many packages from the registry, which takes minutes: `npm test -- packages`. */
const onlyByName = ["packages"];
const ci = Boolean(process.env.CI) && process.env.CI !== "false";
// Some runners print colours on CI even if the output is not a terminal.
if (!process.stdout.isTTY && process.env.FORCE_COLOR === undefined) process.env.NO_COLOR ??= "1";
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.once(signal, () => {
    stopRunning(signal);
    process.exit(1);
  });

const { chosen, files, grep } = readArguments();
const results: [stage: string, tally: Tally, seconds: number][] = [];
const forgeCompiled = chosen.includes("forge") ? compileWithForge() : undefined;
// forge compiles for itself, and the clients see only what the sources hold.
const isBuilt = chosen.every((stage) => stage === "forge" || stage === "clients") || (await runStage("build"));
for (const stage of chosen) await runStage(stage);

const [contracts, forge] = ["contracts", "forge"].map((name) => results.find(([stage]) => stage === name)?.[1]);
const difference = contracts && forge && compareRunners(contracts, forge);
if (difference !== undefined) results.push(["parity", { passed: 0, failed: 0, problem: difference }, 0]);
console.log(`\n${"stage".padEnd(12)} passed failed skipped seconds`);
for (const [stage, { passed, failed, skipped = 0, problem }, seconds] of results) {
  const counts = `${`${passed}`.padStart(6)} ${`${failed}`.padStart(6)} ${`${skipped}`.padStart(7)} ${seconds.toFixed(0).padStart(7)}`;
  console.log(`${stage.padEnd(12)} ${counts}${problem === undefined ? "" : `  ${problem}.`}`);
}
const passed = results.reduce((sum, [, tally]) => sum + tally.passed, 0);
const failed = results.reduce((sum, [, tally]) => sum + failuresOf(tally), 0);
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

/** Stages and test files in any order. Nothing named means everything that Node and npm are enough for; on CI, all. */
function readArguments() {
  try {
    const { positionals, values } = parseArgs({ allowPositionals: true, options: { grep: { type: "string" } } });
    const words = positionals.map((word) => word.replaceAll("\\", "/").replace(/^\.\//, ""));
    const named = words.map((word) => {
      const stage = Object.keys(stages).find((name) => name === word || isTestOf(name, word));
      if (stage === undefined)
        throw new Error(`"${word}" is neither a stage (${Object.keys(stages).join(", ")}) nor a test file.`);
      return stage;
    });
    const isDefault = (stage: string) => !onlyByName.includes(stage) && (ci || !onlyOnCi.includes(stage));
    const isChosen = (stage: string) => (named.length === 0 ? isDefault(stage) : named.includes(stage));
    return {
      chosen: Object.keys(stages).filter(isChosen),
      files: words.filter((word) => !(word in stages)),
      ...values,
    };
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(2);
  }
}

function isTestOf(stage: string, path: string): boolean {
  const tests = stages[stage];
  return tests !== undefined && path.startsWith(`${tests.directory}/`) && path.endsWith(tests.ending);
}

/** Whether everything passed. */
async function runStage(stage: string): Promise<boolean> {
  console.log(`\n== ${stage}\n`);
  const startedAt = performance.now();
  const tally = await workOf(stage);
  results.push([stage, tally, (performance.now() - startedAt) / 1000]);
  return failuresOf(tally) === 0;
}

async function workOf(stage: string): Promise<Tally> {
  if (stage === "build") {
    const { code } = await runNode([commandOf("hardhat", "hardhat"), "build"]);
    return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
  }
  const tests = stages[stage];
  if (stage !== "forge" && stage !== "clients" && !isBuilt)
    return { passed: 0, failed: 0, problem: "not run, because the build failed" };
  if (stage === "check") return runChecks();
  if (stage === "forge") {
    await forgeCompiled;
    return runForge({ grep, ci });
  }
  const wanted = files.filter((file) => isTestOf(stage, file));
  const testFiles = wanted.length > 0 || tests === undefined ? wanted : filesBelow(tests.directory, tests.ending);
  const runner = tests === undefined ? ["scripts/test-clients.ts"] : ["scripts/test/runner.ts", tests.runner];
  const filter = grep === undefined ? [] : [`--grep=${grep}`];
  const outcome = await runNode(["scripts/run.mjs", ...runner, ...filter, ...testFiles]);
  return judge(outcome.message as Tally | undefined, { ending: describeEnd(outcome), ci }); // sent by sendTally
}

function runNode(args: readonly string[]) {
  return runCommand({ command: process.execPath, args, cwd: root, reports: args[0] === "scripts/run.mjs" });
}
