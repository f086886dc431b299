// Searches long and at random, where the test suite draws the same inputs in every run:
//
//   npm run fuzz -- [--seed N] [--rounds N]
//
// Runs the fuzz tests and invariants of the contracts under forge, and each property test in as many rounds as are
// asked for, every round with the next seed. A failing test prints the inputs that it shrank; its seed repeats them.
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { filesBelow, root } from "./support/paths.ts";
import { runCommand } from "./support/run-command.ts";

const { first, rounds } = readArguments();
const propertyTests = filesBelow("test/ts", ".test.ts").filter((path) =>
  /from "fast-check"/.test(readFileSync(join(root, path), "utf8")),
);
console.log(`Seed ${first}, ${rounds} rounds. Again: npm run fuzz -- --seed ${first} --rounds ${rounds}`);
const failed: number[] = [];
for (let seed = first; seed < first + rounds; seed += 1) {
  console.log(`\n==== seed ${seed}`);
  const outcome = await runCommand({
    command: process.execPath,
    args: ["scripts/run.mjs", "scripts/test.ts", "forge", ...propertyTests],
    cwd: root,
    env: {
      ...process.env,
      FUZZ_SEED: `${seed}`,
      FOUNDRY_FUZZ_SEED: `${seed}`,
      FOUNDRY_FUZZ_RUNS: "1000",
      FOUNDRY_INVARIANT_RUNS: "256",
    },
  });
  if (outcome.code !== 0) failed.push(seed);
}
console.log(failed.length === 0 ? "\nNo test failed." : `\nTests failed with the seeds ${failed.join(", ")}.`);
process.exitCode = failed.length === 0 ? 0 : 1;

function readArguments(): { first: number; rounds: number } {
  try {
    const options = { seed: { type: "string" }, rounds: { type: "string", default: "20" } } as const;
    const { seed, rounds } = parseArgs({ options }).values;
    const read = { first: seed === undefined ? randomInt(2 ** 31) : Number(seed), rounds: Number(rounds) };
    if (Number.isInteger(read.first) && read.first >= 0 && Number.isInteger(read.rounds) && read.rounds > 0)
      return read;
  } catch {
    // an unknown option
  }
  console.error("Usage: npm run fuzz -- [--seed N] [--rounds N]");
  process.exit(2);
}
