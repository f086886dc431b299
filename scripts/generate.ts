// Writes every committed file that is derived from another one: `npm run generate`. With --check nothing is written
// and a file that would change is an error.
import { commandOf, root } from "./support/paths.ts";
import { describeEnd, runCommand } from "./support/run-command.ts";

const generators = ["scripts/generate-abi.ts", "scripts/generate-bytecode.ts", "scripts/generate-error-docs.ts"];
const check = process.argv.includes("--check");

// The check belongs to `npm test`, which has just built.
if (!check) await run(commandOf("hardhat", "hardhat"), "build");
for (const generator of generators) await run("scripts/run.mjs", generator, ...(check ? ["--check"] : []));

async function run(...args: readonly string[]): Promise<void> {
  const outcome = await runCommand({ command: process.execPath, args, cwd: root });
  if (outcome.code === 0) return;
  console.error(`${args[1]} ${describeEnd(outcome)}.`);
  process.exitCode = 1;
}
