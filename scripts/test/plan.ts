import { parseArgs } from "node:util";

export const stageNames = ["check", "contracts", "forge", "unit", "integration", "e2e", "clients"] as const;
export type StageName = (typeof stageNames)[number];

/** The folder of each stage's tests. `forge` runs the tests of `contracts`. `clients` has its own table. */
export const testsOf: Readonly<Partial<Record<StageName, { directory: string; ending: string }>>> = {
  contracts: { directory: "test/contracts", ending: ".t.sol" },
  unit: { directory: "test/ts/unit", ending: ".test.ts" },
  integration: { directory: "test/ts/integration", ending: ".test.ts" },
  e2e: { directory: "test/ts/e2e", ending: ".test.ts" },
};

export interface Plan {
  readonly stages: readonly StageName[];
  /** Test files to run. If empty, the stage runs all of its files. */
  readonly files: readonly string[];
  readonly grep: string | undefined;
}

/**
 * Parses stages and test files, in any order: `unit e2e`, `test/ts/unit/core/ids.test.ts`, `contracts --grep Owner`.
 * Without arguments, everything runs. Throws on a word that is neither a stage nor a test file.
 */
export function parsePlan(args: readonly string[], { ci = false } = {}): Plan {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { grep: { type: "string" } },
  });
  const named = new Set<StageName>();
  const files: string[] = [];
  for (const word of positionals) {
    const path = word.replaceAll("\\", "/").replace(/^\.\//, "");
    const stage = stageNames.find((name) => name === word) ?? stageOfFile(path);
    if (stage === undefined)
      throw new Error(`"${word}" is neither a stage (${stageNames.join(", ")}) nor a test file.`);
    named.add(stage);
    if (stage !== word) files.push(path);
  }
  return {
    stages: stageNames.filter((name) => (named.size === 0 ? ci || name !== "clients" : named.has(name))),
    files,
    grep: values.grep,
  };
}

export function stageOfFile(path: string): StageName | undefined {
  return stageNames.find((name) => {
    const tests = testsOf[name];
    return tests !== undefined && path.startsWith(`${tests.directory}/`) && path.endsWith(tests.ending);
  });
}
