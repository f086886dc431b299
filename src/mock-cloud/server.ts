#!/usr/bin/env node
// Runs the mock cloud as a separate process. See `--help`.
import { runCommand } from "./command.ts";

const { argv, stdout, stderr } = process;
const { exitCode, cloud } = await runCommand({ args: argv.slice(2), env: process.env, stdout, stderr });
process.exitCode = exitCode;
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void cloud?.close());
