// Formats TypeScript and JSON with Biome (which also applies its safe fixes) and Solidity with Prettier.

import { commandOf, root } from "./support/paths.ts";
import { runCommand } from "./support/run-command.ts";
import { soliditySources } from "./test/checks.ts";

const formatters = [
  [commandOf("@biomejs/biome", "biome"), "check", "--write", "."],
  [commandOf("prettier", "prettier"), "--write", "--list-different", ...soliditySources],
];
for (const args of formatters) {
  const { code } = await runCommand({ command: process.execPath, args, cwd: root });
  if (code !== 0) process.exitCode = 1;
}
