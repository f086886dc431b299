// Kills processes at random moments far more often than the test suite does:
//
//   npm run soak -- [--kills N]
//
// Runs every test that kills processes, with N kills each, 200 by default.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { filesBelow, root } from "./support/paths.ts";
import { runCommand } from "./support/run-command.ts";

const kills = readArguments();
const tests = filesBelow("test/ts", ".test.ts").filter((path) =>
  readFileSync(join(root, path), "utf8").includes("SOAK_KILLS"),
);
const { code } = await runCommand({
  command: process.execPath,
  args: ["scripts/run.mjs", "scripts/test.ts", ...tests],
  cwd: root,
  env: { ...process.env, SOAK_KILLS: `${kills}` },
});
process.exitCode = code ?? 1;

function readArguments(): number {
  try {
    const { kills } = parseArgs({ options: { kills: { type: "string", default: "200" } } as const }).values;
    if (/^[1-9]\d{0,5}$/.test(kills)) return Number(kills);
  } catch {
    // an unknown option
  }
  console.error("Usage: npm run soak -- [--kills N]");
  process.exit(2);
}
