import { randomInt } from "node:crypto";
import type { StepOptions, StepReport } from "../assurance.ts";
import { runForge } from "./forge.ts";

const runs = 1_000;
const depth = 200;

interface InvariantTest {
  readonly status: "Success" | "Failure" | "Skipped";
  readonly reason: string | null;
  readonly kind: { readonly Invariant?: { readonly calls: number; readonly reverts: number } };
}
type InvariantRun = Readonly<Record<string, { readonly test_results: Readonly<Record<string, InvariantTest>> }>>;

/** Runs every stateful invariant: one long round, or rounds with new seeds until the time is over. */
export async function runInvariants({ minutes }: StepOptions): Promise<StepReport> {
  const until = Date.now() + (minutes ?? 0) * 60_000;
  const seeds: number[] = [];
  let calls = 0;
  let passed = 0;
  do {
    const seed = minutes === undefined ? 1 : randomInt(2 ** 31);
    seeds.push(seed);
    const outcome = await runForge(["test", "--json", "--match-path", "test/contracts/invariant/*"], {
      FOUNDRY_FUZZ_SEED: `${seed}`,
      FOUNDRY_INVARIANT_RUNS: `${runs}`,
      FOUNDRY_INVARIANT_DEPTH: `${depth}`,
    });
    const tests = readTests(outcome.output);
    const failed = tests.filter(([, { status }]) => status !== "Success");
    passed = tests.length;
    calls += tests.reduce((sum, [, { kind }]) => sum + (kind.Invariant?.calls ?? 0), 0);
    if (failed.length > 0)
      return {
        ran: `forge, ${runs} runs of ${depth} calls, seed ${seed}`,
        found: `${failed.length} of ${tests.length} invariants do not hold.`,
        problems: failed.map(([name, { reason }]) => `${name}: ${reason ?? "no reason given"}`),
      };
  } while (Date.now() < until);
  return {
    ran: `forge, ${runs} runs of ${depth} calls, ${seeds.length === 1 ? `seed ${seeds[0]}` : `${seeds.length} seeds`}`,
    found: `${passed} invariants hold after ${calls.toLocaleString("en")} calls.`,
    problems: [],
  };
}

/** @throws Error if forge printed no results */
function readTests(output: string): [string, InvariantTest][] {
  const start = output.indexOf("{");
  if (start < 0) throw new Error(`forge ran no test: ${output.slice(0, 500)}`);
  const suites = Object.entries(JSON.parse(output.slice(start)) as InvariantRun);
  const tests = suites.flatMap(([suite, { test_results }]) =>
    Object.entries(test_results).map(([name, test]): [string, InvariantTest] => [`${suite} ${name}`, test]),
  );
  if (tests.length === 0) throw new Error("forge found no invariant.");
  return tests;
}
