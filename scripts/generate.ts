// Writes every committed file that is generated from another one: `npm run generate`. With --check it writes nothing
// and fails if a file would change.
import { commandOf, root } from "./support/paths.ts";
import { describeEnd, runCommand } from "./support/run-command.ts";

const generators = [
  "scripts/generate-abi.ts",
  "scripts/generate-bytecode.ts",
  "scripts/generate-error-docs.ts",
  "scripts/generate-conformance-docs.ts",
  "scripts/generate-openapi.ts",
  "scripts/generate-receipt-docs.ts",
];
const check = process.argv.includes("--check");

// No build with --check: `npm test` runs the check after its own build.
if (!check && !(await run(commandOf("hardhat", "hardhat"), "build"))) process.exit(1);
for (const generator of generators)
  if (!(await run("scripts/run.mjs", generator, ...(check ? ["--check"] : [])))) process.exitCode = 1;

async function run(...args: readonly string[]): Promise<boolean> {
  const outcome = await runCommand({ command: process.execPath, args, cwd: root });
  if (outcome.code !== 0) console.error(`${args[1]} ${describeEnd(outcome)}.`);
  return outcome.code === 0;
}
