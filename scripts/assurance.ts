// Evidence about the contracts that takes longer than the test suite may:
//
//   npm run assurance [-- STEP…] [--json] [--minutes N]
//
// Steps: invariants, coverage, slither. By default, all of them. With --minutes, the invariants run for that long, each
// round with another seed. Needs Node, npm and, for slither, Python 3.11 or newer; installs the rest itself, pinned to
// checksums. Exits with 1 if a step finds something that is not explained.
import { parseArgs } from "node:util";
import { measureCoverage } from "./assurance/coverage.ts";
import { runInvariants } from "./assurance/invariants.ts";
import { runSlither } from "./assurance/slither.ts";

export interface StepReport {
  /** What ran, with the tool and its version or profile. */
  readonly ran: string;
  /** What it found, in one sentence. */
  readonly found: string;
  /** Sentences: what must be changed or explained. Empty if the step passed. */
  readonly problems: readonly string[];
}

export interface StepOptions {
  /** How long the invariants run; undefined for one round. */
  readonly minutes: number | undefined;
}

const steps: Readonly<Record<string, (options: StepOptions) => Promise<StepReport>>> = {
  invariants: runInvariants,
  coverage: measureCoverage,
  slither: runSlither,
};

const { chosen, json, minutes } = readArguments();
const reports: ({ readonly step: string; readonly seconds: number } & StepReport)[] = [];
for (const step of chosen) {
  const startedAt = performance.now();
  console.error(`== ${step}`);
  const report = await runStep(step);
  reports.push({ step, seconds: Math.round((performance.now() - startedAt) / 1000), ...report });
}
if (json) console.log(JSON.stringify({ schemaVersion: 1, task: "assurance", steps: reports }));
else for (const { step, ran, found, problems, seconds } of reports) print(step, [ran, found, ...problems], seconds);
process.exitCode = reports.every(({ problems }) => problems.length === 0) ? 0 : 1;

async function runStep(step: string): Promise<StepReport> {
  try {
    return await (steps[step] ?? (() => Promise.reject(new Error("There is no such step."))))({ minutes });
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return { ran: "nothing", found: "The step could not run.", problems: [problem] };
  }
}

function print(step: string, [ran = "", ...lines]: readonly string[], seconds: number): void {
  console.log(`\n${step.padEnd(12)} ${ran} (${seconds} s)`);
  for (const line of lines) console.log(`${" ".repeat(12)} ${line}`);
}

function readArguments() {
  try {
    const { positionals, values } = parseArgs({
      allowPositionals: true,
      options: { json: { type: "boolean", default: false }, minutes: { type: "string" } },
    });
    const unknown = positionals.find((name) => !(name in steps));
    if (unknown !== undefined)
      throw new Error(`"${unknown}" is not a step. The steps are ${Object.keys(steps).join(", ")}.`);
    if (values.minutes !== undefined && !/^[1-9]\d{0,3}$/.test(values.minutes))
      throw new Error("--minutes must be a whole number from 1 to 9999.");
    return {
      chosen: positionals.length === 0 ? Object.keys(steps) : positionals,
      json: values.json,
      minutes: values.minutes === undefined ? undefined : Number(values.minutes),
    };
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(2);
  }
}
