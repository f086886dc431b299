#!/usr/bin/env node
// The package's command. See `dstack-toolkit --help`.
import { runToolkit } from "./subcommands.ts";

const { argv, stdout, stderr } = process;
const { exitCode, running } = await runToolkit({ args: argv.slice(2), env: process.env, stdout, stderr });
process.exitCode = exitCode;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => void running?.close());
