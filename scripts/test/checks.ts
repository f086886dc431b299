import { readFileSync } from "node:fs";
import { join } from "node:path";
import { styleText } from "node:util";
import { findPython } from "../../test/clients/install/python-package.ts";
import { commandOf, filesBelow, root } from "../support/paths.ts";
import { describeEnd, runCommand } from "../support/run-command.ts";
import { failedTally, type Tally } from "./tally.ts";

export const soliditySources = ["contracts/**/*.sol", "test/{contracts,support}/**/*.sol", "examples/**/*.sol"];

interface Check {
  readonly name: string;
  /** The check reads artifacts or generated types. */
  readonly needsBuild?: boolean;
  /** Resolves to a description of the problem, or undefined. */
  readonly run: () => string | undefined | Promise<string | undefined>;
}

const checks: readonly Check[] = [
  { name: "compiler warnings", needsBuild: true, run: findCompilerWarnings },
  { name: "types", needsBuild: true, run: () => runNode(commandOf("typescript", "tsc"), "-p", ".") },
  {
    name: "lint and format (TypeScript, JavaScript, JSON)",
    run: () => runNode(commandOf("@biomejs/biome", "biome"), "check", "--error-on-warnings", "."),
  },
  {
    name: "format (Solidity)",
    run: () => runNode(commandOf("prettier", "prettier"), "--check", ...soliditySources),
  },
  { name: "syntax (Python)", run: compilePython },
  {
    name: "generated files",
    needsBuild: true,
    run: () => runNode("scripts/run.mjs", "scripts/generate.ts", "--check"),
  },
  { name: "storage layout", needsBuild: true, run: () => runNode("scripts/run.mjs", "scripts/check-layout.ts") },
];

/** Compiles everything once. The later stages use these artifacts. */
export async function runBuild(): Promise<Tally> {
  const failure = await runNode(commandOf("hardhat", "hardhat"), "build");
  return failure === undefined ? { passed: 1, failed: 0, skipped: 0, problems: [] } : failedTally(failure);
}

/** Runs all checks, even if some fail. Every check counts as one test. */
export async function runChecks(options: { built: boolean }): Promise<Tally> {
  const problems: string[] = [];
  for (const { name, needsBuild = false, run } of checks) {
    const startedAt = performance.now();
    const failure = needsBuild && !options.built ? "not run, because the build failed" : await run();
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    if (failure !== undefined) problems.push(`${name}: ${failure}`);
    console.log(
      `${failure === undefined ? styleText("green", "ok") : styleText("red", "FAILED")}  ${name} (${seconds} s)`,
    );
  }
  return { passed: checks.length - problems.length, failed: 0, skipped: 0, problems };
}

interface Diagnostic {
  readonly severity: string;
  readonly message: string;
  readonly formattedMessage: string;
  readonly sourceLocation?: { readonly file: string };
}

/** Reads the build output on disk, because Hardhat prints a warning only in the run that compiles the file. */
function findCompilerWarnings(): string | undefined {
  const warnings = filesBelow("artifacts/build-info", ".output.json").flatMap((path) => {
    const { output } = JSON.parse(readFileSync(join(root, path), "utf8")) as { output: { errors?: Diagnostic[] } };
    return (output.errors ?? []).filter((diagnostic) => diagnostic.severity === "warning" && !isTestSize(diagnostic));
  });
  for (const { formattedMessage } of warnings) console.log(formattedMessage);
  return warnings.length === 0 ? undefined : `${warnings.length} found`;
}

/** The code size of test contracts does not matter: they are never deployed to a chain that limits it. */
function isTestSize({ message, sourceLocation }: Diagnostic): boolean {
  return (
    /^Contract (?:init)?code size is/.test(message) &&
    sourceLocation?.file.startsWith("project/test/contracts/") === true
  );
}

/**
 * Compiles the Python files without writing output. Without Python it checks nothing, because no stage runs them then.
 */
async function compilePython(): Promise<string | undefined> {
  const python = await findPython();
  if (python === undefined) {
    console.log("There is no Python 3.11 or newer here, so its files were not looked at.");
    return undefined;
  }
  const program = "import sys; [compile(open(f, encoding='utf-8').read(), f, 'exec') for f in sys.argv[1:]]";
  const args = ["-c", program, ...filesBelow("test/clients/drivers", ".py")];
  const outcome = await runCommand({ command: python, args, cwd: root });
  return outcome.code === 0 && outcome.problem === undefined ? undefined : describeEnd(outcome);
}

async function runNode(...args: readonly string[]): Promise<string | undefined> {
  const outcome = await runCommand({ command: process.execPath, args, cwd: root });
  return outcome.code === 0 && outcome.problem === undefined ? undefined : describeEnd(outcome);
}
