import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StepReport } from "../assurance.ts";
import { describeEnd } from "../support/run-command.ts";
import { isDeployed, runForge } from "./forge.ts";

interface FileCoverage {
  readonly path: string;
  readonly lines: number;
  readonly branches: number;
  /** Line numbers. */
  readonly missed: readonly string[];
}

/** Every line and branch of the deployed contracts must run in a Solidity test. Gas differs without the optimizer. */
export async function measureCoverage(): Promise<StepReport> {
  const folder = mkdtempSync(join(tmpdir(), "dstack-coverage-"));
  try {
    const file = join(folder, "lcov.info");
    const outcome = await runForge([
      ...["coverage", "--report", "lcov", "--report-file", file, "--fuzz-runs", "64"],
      ...["--no-match-path", "test/contracts/**/{Gas,invariant/*}*", "--no-match-test", "(?i)gas|RuntimeSize"],
    ]);
    if (outcome.code !== 0) throw new Error(`forge coverage ${describeEnd(outcome)}: ${outcome.output.slice(-2_000)}`);
    const files = parseLcov(readFileSync(file, "utf8")).filter(({ path }) => isDeployed(path));
    const sum = (count: (file: FileCoverage) => number) => files.reduce((total, one) => total + count(one), 0);
    if (sum(({ lines }) => lines) === 0) throw new Error("forge measured no line of the contracts.");
    return {
      ran: `forge coverage of ${files.length} files`,
      found: `${sum(({ lines }) => lines)} lines and ${sum(({ branches }) => branches)} branches, ${sum(({ missed }) => missed.length)} missed.`,
      problems: files.flatMap(({ path, missed }) => missed.map((line) => `${path}:${line} never runs in a test.`)),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** DA: line, count. BRDA: line, block, branch, count or "-". */
function parseLcov(text: string): FileCoverage[] {
  return text
    .split("end_of_record")
    .filter((record) => record.includes("SF:"))
    .map((record) => {
      const rows = record.split("\n").map((row) => row.trim());
      const valuesOf = (tag: string) =>
        rows.filter((row) => row.startsWith(`${tag}:`)).map((row) => row.slice(tag.length + 1).split(","));
      const [[path = ""] = []] = valuesOf("SF");
      const [lines, branches] = [valuesOf("DA"), valuesOf("BRDA")];
      const missed = [
        ...lines.filter(([, count]) => count === "0").map(([line = ""]) => line),
        ...branches
          .filter(([, , , count]) => count === "0" || count === "-")
          .map(([line = ""]) => `${line} (a branch)`),
      ];
      return { path, lines: lines.length, branches: branches.length, missed };
    });
}
