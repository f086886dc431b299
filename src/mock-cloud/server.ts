#!/usr/bin/env node
// The mock cloud as a process of its own. `--help` says how.
import { runCommand } from "./command.ts";

const { argv, stdout, stderr } = process;
const { exitCode, cloud } = await runCommand({ args: argv.slice(2), env: process.env, stdout, stderr });
process.exitCode = exitCode;
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void cloud?.close());
