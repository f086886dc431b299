// Runs all checks and tests of the repository in stages: `npm test`, `npm test -- unit`, or one test file. After a
// failing stage the later stages still run. The last line counts all stages: `N passed, N failed`.
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { mapLimited } from "../src/core/map-limited.ts";
import { commandOf, filesBelow, root } from "./support/paths.ts";
import { describeEnd, runCommand, stopRunning } from "./support/run-command.ts";
import { runChecks } from "./test/checks.ts";
import { compileWithForge, runForge } from "./test/forge.ts";
import { directSection, openSections, type Section } from "./test/sections.ts";
import { compareRunners, failuresOf, judge, type Tally } from "./test/tally.ts";

interface TestFolder {
  readonly runner: string;
  readonly directory: string;
  readonly ending: string;
  /** Number of processes that share the files of a long stage, if no stage is named. @default 1 */
  readonly processes?: number;
}

/** The stages in their order, each with the folder of its test files if it has any. */
const stages: Readonly<Record<string, TestFolder | undefined>> = {
  check: undefined,
  contracts: { runner: "solidity", directory: "test/contracts", ending: ".t.sol" },
  forge: undefined,
  unit: { runner: "mocha", directory: "test/ts/unit", ending: ".test.ts" },
  integration: { runner: "mocha", directory: "test/ts/integration", ending: ".test.ts", processes: 3 },
  e2e: { runner: "mocha", directory: "test/ts/e2e", ending: ".test.ts", processes: 2 },
  packages: { runner: "mocha", directory: "test/ts/packages", ending: ".test.ts" },
  clients: undefined,
};
/** What one process or one group of checks does: a stage, or a part of its files. */
interface Work {
  readonly stage: string;
  readonly name: string;
  readonly testFiles: readonly string[];
}
interface StageResult {
  readonly name: string;
  readonly tally: Tally;
  readonly seconds: number;
}

/** The long stages first: one that starts last would run alone. */
const startOrder = [...new Set(["integration", "e2e", "clients", ...Object.keys(stages)])];
/** Needs Go and Python. */
const onlyOnCi = ["clients"];
/** Installs many packages from the registry, which takes minutes: `npm test -- packages`. */
const onlyByName = ["packages"];
const ci = Boolean(process.env.CI) && process.env.CI !== "false";
// Some runners print colours on CI even if the output is not a terminal.
if (!process.stdout.isTTY && process.env.FORCE_COLOR === undefined) process.env.NO_COLOR ??= "1";
const { chosen, files, grep, isNamed } = readArguments();
// Two processes at a time: with three on two cores, official clients with short time limits gave up. They share no file
// that one of them writes. Named stages write to the terminal, one after another.
const lanes = isNamed ? 1 : Math.min(2, availableParallelism());
if (lanes > 1 && process.stdout.isTTY && process.env.NO_COLOR === undefined) process.env.FORCE_COLOR ??= "1";
const works = (isNamed ? chosen : startOrder.filter((stage) => chosen.includes(stage))).flatMap(worksOf);
const write = lanes === 1 ? undefined : (text: string) => process.stdout.write(text);
const { sections, flushAll } = openSections(works, write);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.once(signal, () => {
    stopRunning(signal);
    flushAll();
    process.exit(1);
  });

// forge compiles the contracts itself, and the clients use the sources only.
const needsBuild = chosen.some((stage) => stage !== "forge" && stage !== "clients");
const building = needsBuild ? run({ stage: "build", name: "build", testFiles: [] }, directSection) : undefined;
const forgeCompiled = chosen.includes("forge") ? compileWithForge() : undefined;
const build = await building;
const isBuilt = build === undefined || failuresOf(build.tally) === 0;
const stageResults = await mapLimited(sections, ([work, section]) => run(work, section), { limit: lanes });
const results: StageResult[] = [...(build ? [build] : []), ...stageResults];

const tallyOf = (name: string) => results.find((result) => result.name === name)?.tally;
const [contracts, forge] = [tallyOf("contracts"), tallyOf("forge")];
const difference = contracts && forge && compareRunners(contracts, forge);
if (difference !== undefined)
  results.push({ name: "parity", tally: { passed: 0, failed: 0, problem: difference }, seconds: 0 });
console.log(`\n${"stage".padEnd(16)} passed failed skipped seconds`);
for (const { name, tally, seconds } of results) {
  const { passed, failed, skipped = 0, problem } = tally;
  const counts = `${`${passed}`.padStart(6)} ${`${failed}`.padStart(6)} ${`${skipped}`.padStart(7)} ${seconds.toFixed(0).padStart(7)}`;
  console.log(`${name.padEnd(16)} ${counts}${problem === undefined ? "" : `  ${problem}.`}`);
}
const passed = results.reduce((sum, { tally }) => sum + tally.passed, 0);
const failed = results.reduce((sum, { tally }) => sum + failuresOf(tally), 0);
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

/** Stages and test files in any order. By default, all stages that need only Node and npm; on CI, all stages. */
function readArguments() {
  try {
    const { positionals, values } = parseArgs({ allowPositionals: true, options: { grep: { type: "string" } } });
    const words = positionals.map((word) => word.replaceAll("\\", "/").replace(/^\.\//, ""));
    const named = words.map((word) => {
      const stage = Object.keys(stages).find((name) => name === word || isTestOf(name, word));
      if (stage === undefined)
        throw new Error(`"${word}" is not a stage (${Object.keys(stages).join(", ")}) and not a test file.`);
      return stage;
    });
    const isDefault = (stage: string) => !onlyByName.includes(stage) && (ci || !onlyOnCi.includes(stage));
    const isChosen = (stage: string) => (named.length === 0 ? isDefault(stage) : named.includes(stage));
    return {
      chosen: Object.keys(stages).filter(isChosen),
      files: words.filter((word) => !(word in stages)),
      isNamed: named.length > 0,
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

/** The work of a stage: of all its files, or of those that were named. */
function worksOf(stage: string): readonly Work[] {
  const tests = stages[stage];
  if (tests === undefined) return [{ stage, name: stage, testFiles: [] }];
  const wanted = files.filter((file) => isTestOf(stage, file));
  const testFiles = wanted.length > 0 ? wanted : filesBelow(tests.directory, tests.ending);
  const count = lanes === 1 ? 1 : (tests.processes ?? 1);
  return Array.from({ length: count }, (_, part) => ({
    stage,
    name: count === 1 ? stage : `${stage} ${part + 1}/${count}`,
    testFiles: testFiles.filter((_file, index) => index % count === part),
  }));
}

async function run(work: Work, section: Section): Promise<StageResult> {
  section.line(`\n== ${work.name}\n`);
  const startedAt = performance.now();
  const tally = await tallyOfWork(work, section);
  section.end();
  return { name: work.name, tally, seconds: (performance.now() - startedAt) / 1000 };
}

async function tallyOfWork({ stage, testFiles }: Work, section: Section): Promise<Tally> {
  if (stage === "build") {
    const { code } = await runNode([commandOf("hardhat", "hardhat"), "build"], section);
    return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
  }
  const tests = stages[stage];
  if (stage !== "forge" && stage !== "clients" && !isBuilt)
    return { passed: 0, failed: 0, problem: "not run, because the build failed" };
  if (stage === "check") return runChecks(section);
  if (stage === "forge") {
    await forgeCompiled;
    return runForge(section, { grep, ci });
  }
  const runner = tests === undefined ? ["scripts/test-clients.ts"] : ["scripts/test/runner.ts", tests.runner];
  const filter = grep === undefined ? [] : [`--grep=${grep}`];
  const outcome = await runNode(["scripts/run.mjs", ...runner, ...filter, ...testFiles], section);
  return judge(outcome.message as Tally | undefined, { ending: describeEnd(outcome), ci }); // sent by sendTally
}

function runNode(args: readonly string[], { redirect }: Section) {
  const reports = args[0] === "scripts/run.mjs";
  return runCommand({ command: process.execPath, args, cwd: root, reports, print: redirect });
}
