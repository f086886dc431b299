import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { npmCommand } from "../npm.mjs";
import { root } from "../support/paths.ts";
import { type Command, runCommand } from "../support/run-command.ts";
import { parseForgeSummary } from "./forge-summary.ts";
import { failedTally, judgeTests, type Tally } from "./tally.ts";

/** Foundry is no dependency: 84 MB that only this stage needs, fetched once into npm's cache. */
const forgeVersion = "1.7.1";

/**
 * Compiles in the background: Hardhat's compiler leaves the second core idle, and both take most of a minute on a
 * fresh clone. Says nothing; what goes wrong here goes wrong again, visibly, in `runForge`.
 */
export async function compileWithForge(): Promise<void> {
  const forge = fetchForge();
  if (forge !== undefined) await runCommand({ ...forgeCommand(forge, ["build"]), output: "keep" });
}

export async function runForge(options: { ci: boolean; grep: string | undefined }): Promise<Tally> {
  const forge = fetchForge();
  if (forge === undefined) return failedTally(`npm could not fetch forge ${forgeVersion} for this platform`);
  const color = process.stdout.isTTY && !process.env.NO_COLOR ? "always" : "never";
  const match = options.grep === undefined ? [] : ["--match-test", options.grep];
  const outcome = await runCommand({ ...forgeCommand(forge, ["test", "--color", color, ...match]), output: "tee" });
  return judgeTests(outcome, parseForgeSummary(outcome.output), options);
}

function forgeCommand(forge: string, args: readonly string[]): Command {
  return { command: forge, args, cwd: root, env: { ...process.env, FOUNDRY_PROFILE: "default" } };
}

/**
 * Path of the native forge. Of Foundry's npm packages only those per platform will do: the wrapper's command always
 * exits with 0. Run directly rather than through `npm exec`, which does not pass signals on.
 */
export function fetchForge(): string | undefined {
  const os = process.platform;
  const cpu = process.arch === "x64" ? "amd64" : process.arch;
  const memo = join(root, "cache", `forge-${forgeVersion}-${os}-${cpu}`);
  if (existsSync(memo)) {
    const remembered = readFileSync(memo, "utf8");
    if (existsSync(remembered)) return remembered;
  }
  const name = `@foundry-rs/forge-${os}-${cpu}`;
  console.log(`Fetching ${name}@${forgeVersion} through npm (once)…`);
  const { command, args } = npmCommand([
    "exec",
    "--yes",
    "--loglevel=error",
    `--package=${name}@${forgeVersion}`,
    "--",
    "node",
    "-p",
    "process.env.PATH.split(path.delimiter)[0]",
  ]);
  const { status, stdout } = spawnSync(command, args, { cwd: root, stdio: ["inherit", "pipe", "inherit"] });
  if (status !== 0) return undefined;
  const bin = stdout.toString().trim().split("\n").at(-1) ?? "";
  const forge = join(dirname(bin), ...name.split("/"), "bin", os === "win32" ? "forge.exe" : "forge");
  if (!existsSync(forge)) return undefined;
  mkdirSync(dirname(memo), { recursive: true });
  writeFileSync(memo, forge);
  return forge;
}
