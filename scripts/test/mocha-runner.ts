// Runs the given mocha files through Hardhat and sends the tally to the parent process. Hardhat's own result is not
// usable: it counts skipped tests, and tests that a broken hook prevented, as passed.
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import hre from "hardhat";
import Mocha from "mocha";
import { sendTally } from "./send-tally.ts";
import type { Tally } from "./tally.ts";

const { positionals: files, values } = parseArgs({ allowPositionals: true, options: { grep: { type: "string" } } });
let tally: Tally | undefined;

// Mocha leaves unhandled rejections to the process, and a Hardhat plugin hides most of them. Throwing them makes mocha
// fail the running test.
process.on("unhandledRejection", (reason) => {
  throw reason;
});

class CountingReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    const withoutTests = values.grep === undefined ? filesWithoutTests(runner.suite) : [];
    const planned = runner.total;
    runner.once("end", () => {
      const { passes, failures, pending } = this.stats;
      const problems = withoutTests.map((file) => `${file} registers no test (is a describe callback async?)`);
      const counted = passes + failures + pending;
      if (failures === 0 && counted !== planned) problems.push(`ran ${counted} of ${planned} tests`);
      tally = { passed: passes, failed: failures, skipped: pending, problems };
    });
  }
}

function filesWithoutTests(suite: Mocha.Suite): string[] {
  const withTests = new Set<string>();
  suite.eachTest((test) => {
    if (test.file !== undefined) withTests.add(resolve(test.file));
  });
  return files.filter((file) => !withTests.has(resolve(file)));
}

// Mocha accepts a reporter class or a name. Hardhat's config file accepts only a name.
Object.assign(hre.config.test.mocha, {
  reporter: CountingReporter,
  color: process.stdout.isTTY === true && !process.env.NO_COLOR,
});
await hre.tasks.getTask(["test", "mocha"]).run({ testFiles: files, grep: values.grep, noCompile: true });
if (tally !== undefined) sendTally(tally);
