import { fetchPinned } from "../npm.mjs";
import { root } from "../support/paths.ts";
import { type Command, runCommand } from "../support/run-command.ts";
import { parseForgeSummary } from "./forge-summary.ts";
import { failedTally, judgeTests, type Tally } from "./tally.ts";

// Foundry is not a dependency, because it has 84 MB and only this stage needs it. Use its npm packages per platform:
// the command of the wrapper package always exits with 0.

/**
 * Compiles in the background, because Hardhat's compiler leaves the second core idle, and both take most of a minute on
 * a fresh clone. Ignores errors: they happen again in `runForge`, which reports them.
 */
export async function compileWithForge(): Promise<void> {
  const forge = fetchPinned("forge");
  if (forge !== undefined) await runCommand({ ...forgeCommand(forge, ["build"]), output: "keep" });
}

export async function runForge(options: { ci: boolean; grep: string | undefined }): Promise<Tally> {
  const forge = fetchPinned("forge");
  if (forge === undefined) return failedTally("npm could not fetch the pinned forge for this platform");
  const color = process.stdout.isTTY && !process.env.NO_COLOR ? "always" : "never";
  const match = options.grep === undefined ? [] : ["--match-test", options.grep];
  const outcome = await runCommand({ ...forgeCommand(forge, ["test", "--color", color, ...match]), output: "tee" });
  return judgeTests(outcome, parseForgeSummary(outcome.output), options);
}

function forgeCommand(forge: string, args: readonly string[]): Command {
  return { command: forge, args, cwd: root, env: { ...process.env, FOUNDRY_PROFILE: "default" } };
}
