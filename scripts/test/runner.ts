// Runs test files through Hardhat, `runner.ts mocha|solidity [--grep X] files…`, and sends the counts to its parent.
// A reporter counts mocha's tests, because Hardhat's summary counts skipped tests, and tests that a broken hook kept
// from running, as passed.
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import fc from "fast-check";
import hre from "hardhat";
import Mocha from "mocha";
import { sendTally, type Tally } from "./tally.ts";

const { positionals, values } = parseArgs({ allowPositionals: true, options: { grep: { type: "string" } } });
const [kind = "", ...testFiles] = positionals;
let tally: Tally | undefined;

class CountingReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    const empty = values.grep === undefined ? filesWithoutTests(runner.suite) : [];
    const problem = empty.length === 0 ? undefined : `${empty} registers no test (is a describe callback async?)`;
    runner.once("end", () => {
      const { passes, failures, pending } = this.stats;
      tally = { passed: passes, failed: failures, skipped: pending, problem };
    });
  }
}

function filesWithoutTests(suite: Mocha.Suite): string[] {
  const withTests = new Set<string | undefined>();
  suite.eachTest(({ file }) => withTests.add(file));
  return testFiles.filter((file) => !withTests.has(resolve(file)));
}

// Mocha takes a class as well as a name; Hardhat's config file takes a name only.
Object.assign(hre.config.test.mocha, { reporter: CountingReporter });
// Mocha does not handle unhandled rejections, and a Hardhat plugin hides most of them. If they are thrown, mocha gets
// them as uncaught exceptions and fails the running test.
process.on("unhandledRejection", (reason) => {
  throw reason;
});

// Property tests draw the same inputs in every run. `npm run fuzz` sets other seeds.
fc.configureGlobal({ seed: Number(process.env.FUZZ_SEED ?? 1) });
// This process has its colours by now. What the tests start writes without them, for the tests to read.
if (kind === "mocha") delete process.env.FORCE_COLOR;
// Nor does what a shell has from `dstack up` decide what a test uses.
for (const name of Object.keys(process.env)) {
  if (/^(?:PHALA_CLOUD_|DSTACK_(?:KMS|OWNER|CLOUD)|ETH_RPC_URL$|PRIVATE_KEY$|O(?:N|FF)CHAIN_|SAFE_OWNER_)/.test(name))
    delete process.env[name];
}

/** The part of the result of `test solidity` that is read here. */
interface SolidityRun {
  readonly suiteResults: readonly { readonly testResults: readonly { readonly status: string }[] }[];
}

const result: { readonly value?: SolidityRun; readonly error?: SolidityRun } = await hre.tasks
  .getTask(["test", kind])
  .run({ testFiles, grep: values.grep, noCompile: true });
if (kind === "solidity") {
  const suites = (result.value ?? result.error)?.suiteResults ?? [];
  const statuses = suites.flatMap(({ testResults }) => testResults.map(({ status }) => status));
  const count = (wanted: string) => statuses.filter((status) => status === wanted).length;
  tally = { passed: count("Success"), failed: count("Failure"), skipped: count("Skipped") };
}
if (tally !== undefined) sendTally(tally);
