import { styleText } from "node:util";
import { commandOf, root } from "../support/paths.ts";
import { describeEnd, runCommand } from "../support/run-command.ts";
import type { Section } from "./sections.ts";
import type { Tally } from "./tally.ts";

export const soliditySources = ["contracts/**/*.sol", "test/{contracts,support}/**/*.sol", "examples/**/*.sol"];

const checks: readonly (readonly [name: string, ...args: string[]])[] = [
  ["types", commandOf("typescript", "tsc"), "-p", "."],
  [
    "lint and format (TypeScript, JavaScript, JSON)",
    commandOf("@biomejs/biome", "biome"),
    "check",
    "--error-on-warnings",
    ".",
  ],
  ["format (Solidity)", commandOf("prettier", "prettier"), "--check", ...soliditySources],
  ["words of comments, messages and pages", "scripts/run.mjs", "scripts/check-words.ts"],
  ["generated files", "scripts/run.mjs", "scripts/generate.ts", "--check"],
  ["storage layout", "scripts/run.mjs", "scripts/check-layout.ts"],
];

/** Each check counts as one test. All of them run, even after a failure. They read the artifacts of a build. */
export async function runChecks({ line, redirect }: Section): Promise<Tally> {
  const failures: string[] = [];
  for (const [name, ...args] of checks) {
    const outcome = await runCommand({ command: process.execPath, args, cwd: root, print: redirect });
    const isOk = outcome.code === 0;
    if (!isOk) failures.push(name);
    line(
      isOk ? `${styleText("green", "ok")}  ${name}` : `${styleText("red", "FAILED")}  ${name}: ${describeEnd(outcome)}`,
    );
  }
  return { passed: checks.length - failures.length, failed: failures.length };
}
