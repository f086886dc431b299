// Runs the Solidity tests through Hardhat and sends the tally to the parent process.
import { parseArgs } from "node:util";
import hre from "hardhat";
import { sendTally } from "./send-tally.ts";

/** The part of the result of Hardhat's `test solidity` task that we use. */
interface SolidityTestRun {
  readonly suiteResults: readonly {
    readonly id: { readonly source: string };
    readonly testResults: readonly { readonly status: "Success" | "Failure" | "Skipped" }[];
  }[];
}

const { positionals: files, values } = parseArgs({ allowPositionals: true, options: { grep: { type: "string" } } });
const result: { success: true; value: SolidityTestRun } | { success: false; error: SolidityTestRun } = await hre.tasks
  .getTask(["test", "solidity"])
  .run({ testFiles: files, grep: values.grep, noCompile: true });
const { suiteResults } = result.success ? result.value : result.error;
const count = (wanted: string) =>
  suiteResults.flatMap(({ testResults }) => testResults).filter(({ status }) => status === wanted).length;

const withTests = suiteResults.filter(({ testResults }) => testResults.length > 0).map(({ id }) => id.source);
const withoutTests =
  values.grep === undefined ? files.filter((file) => !withTests.some((source) => source.endsWith(file))) : [];

sendTally({
  passed: count("Success"),
  failed: count("Failure"),
  skipped: count("Skipped"),
  problems: withoutTests.map((file) => `${file} contains no test`),
});
if (!result.success) process.exitCode = 1;
