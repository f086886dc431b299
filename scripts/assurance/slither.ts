import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { findPython, installPythonPackage } from "../../test/clients/install/python-package.ts";
import type { StepReport } from "../assurance.ts";
import { root } from "../support/paths.ts";
import { describeEnd, runCommand } from "../support/run-command.ts";
import { findForge } from "./forge.ts";
import { explanations } from "./slither-findings.ts";

const version = "0.11.6";

interface SlitherElement {
  readonly name: string;
  readonly type_specific_fields?: { readonly parent?: SlitherElement };
}
interface SlitherResult {
  readonly results: {
    readonly detectors?: readonly {
      readonly check: string;
      readonly description: string;
      readonly elements: readonly SlitherElement[];
    }[];
  };
}

/** All detectors over the deployed contracts. Each finding must have an explanation, and each explanation a finding. */
export async function runSlither(): Promise<StepReport> {
  const python = await findPython();
  if (python === undefined) throw new Error("Slither needs Python 3.11 or newer with venv.");
  const { python: interpreter } = await installPythonPackage(python, `slither-analyzer-${version}`);
  const findings = await findAll(interpreter);
  const unexplained = findings.filter(({ key }) => !(key in explanations));
  const stale = Object.keys(explanations).filter((key) => !findings.some((finding) => finding.key === key));
  return {
    ran: `slither ${version}, all detectors`,
    found: `${findings.length} findings, ${findings.length - unexplained.length} of them explained in scripts/assurance/slither-findings.ts.`,
    problems: [
      ...unexplained.map(({ key, description }) => `${key} is not explained: ${description}`),
      ...stale.map((key) => `${key} is explained, but Slither does not find it any more.`),
    ],
  };
}

async function findAll(interpreter: string): Promise<{ key: string; description: string }[]> {
  const folder = mkdtempSync(join(tmpdir(), "dstack-slither-"));
  try {
    const file = join(folder, "findings.json");
    const outcome = await runCommand({
      command: join(dirname(interpreter), "slither"),
      args: [
        ...[".", "--compile-force-framework", "foundry", "--json", file],
        ...["--filter-paths", "node_modules|test/|contracts/mocks|contracts/testing"],
      ],
      cwd: root,
      // Slither starts `forge` by its name.
      env: { ...process.env, PATH: `${dirname(findForge())}${delimiter}${process.env.PATH ?? ""}` },
      output: "keep",
    });
    const { results } = readResult(file, `slither ${describeEnd(outcome)}: ${outcome.output.slice(-2_000)}`);
    return (results.detectors ?? []).map(({ check, description, elements }) => ({
      key: `${check} ${nameOf(elements[0])}`,
      description: description.trim().replace(/\s+/g, " "),
    }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Slither exits with another code than 0 for findings too, so only the file tells whether it ran. */
function readResult(file: string, problem: string): SlitherResult {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as SlitherResult;
  } catch {
    throw new Error(problem);
  }
}

function nameOf(element: SlitherElement | undefined): string {
  if (element === undefined) return "";
  const parent = element.type_specific_fields?.parent;
  return parent === undefined ? element.name : `${nameOf(parent)}.${element.name}`;
}
