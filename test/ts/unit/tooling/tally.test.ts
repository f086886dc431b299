import { expect } from "chai";
import type { Outcome } from "../../../../scripts/support/run-command.ts";
import {
  compareRunners,
  failuresOf,
  formatSummary,
  isTallyMessage,
  judgeTests,
  type Tally,
} from "../../../../scripts/test/tally.ts";

const ended: Outcome = { code: 0, signal: null, output: "", messages: [], problem: undefined };
const green: Tally = { passed: 3, failed: 0, skipped: 0, problems: [] };
const red: Tally = { passed: 2, failed: 1, skipped: 0, problems: [] };
const local = { ci: false };

describe("judgeTests", () => {
  it("passes a count on when the runner's end agrees with it", () => {
    expect(judgeTests(ended, [green], local)).to.deep.equal(green);
    expect(judgeTests({ ...ended, code: 1 }, [red], local)).to.deep.equal(red);
  });

  for (const [what, outcome, counted, problem] of [
    ["no count, though it exited with 0", ended, [], "exited with code 0 without a count of its tests"],
    ["two counts", ended, [green, green], "exited with code 0 with 2 counts of its tests"],
    ["a signal without a count", { ...ended, code: null, signal: "SIGSEGV" }, [], "was killed by SIGSEGV without"],
    ["a signal after a count", { ...ended, code: null, signal: "SIGKILL" }, [green], "was killed by SIGKILL"],
    ["exit code 0 with failures", ended, [red], "exited with code 0 although tests failed"],
    ["exit code 1 without failures", { ...ended, code: 1 }, [green], "exited with code 1 although no test failed"],
    ["a hang", { ...ended, problem: "was still running after 9 s" }, [green], "was still running after 9 s"],
    ["not one test", ended, [{ ...green, passed: 0 }], "ran no test"],
    ["nothing but skipped tests", ended, [{ ...green, passed: 0, skipped: 2 }], "ran no test"],
  ] satisfies [string, Outcome, Tally[], string][]) {
    it(`fails on ${what}`, () => {
      const judged = judgeTests(outcome, counted, local);
      expect(failuresOf(judged)).to.equal(counted.length === 1 ? (counted[0]?.failed ?? 0) + 1 : 1);
      expect(judged.problems.at(-1)).to.include(problem);
    });
  }

  it("keeps a runner's own problem and does not count its exit code a second time", () => {
    const noticed = { ...green, problems: ["a.test.ts registers no test"] };
    expect(judgeTests({ ...ended, code: 1 }, [noticed], local)).to.deep.equal(noticed);
  });

  it("accepts skipped tests on a desk and refuses them on CI", () => {
    const skipping = { ...green, skipped: 1 };
    expect(failuresOf(judgeTests(ended, [skipping], { ci: false }))).to.equal(0);
    expect(failuresOf(judgeTests(ended, [skipping], { ci: true }))).to.equal(1);
  });
});

describe("isTallyMessage", () => {
  it("takes a tally and nothing that only looks like one", () => {
    expect(isTallyMessage({ kind: "tally", tally: green })).to.equal(true);
    const { passed: _, ...incomplete } = green;
    for (const value of [
      undefined,
      null,
      "tally",
      { kind: "tally" },
      { kind: "other", tally: green },
      { kind: "tally", tally: null },
      { kind: "tally", tally: incomplete },
      { kind: "tally", tally: { ...green, failed: -1 } },
      { kind: "tally", tally: { ...green, failed: Number.NaN } },
      { kind: "tally", tally: { ...green, problems: undefined } },
    ])
      expect(isTallyMessage(value), JSON.stringify(value)).to.equal(false);
  });
});

describe("compareRunners", () => {
  const contracts = { name: "contracts", seconds: 1, ...green };

  it("notices a test that only one runner sees", () => {
    expect(compareRunners(contracts, { ...contracts, name: "forge" })).to.equal(undefined);
    expect(compareRunners(contracts, { ...contracts, name: "forge", passed: 2 })).to.include("3 tests, forge has 2");
  });

  it("says nothing where a failure explains the difference", () => {
    expect(compareRunners(contracts, { ...contracts, ...red, passed: 0 })).to.equal(undefined);
  });
});

describe("formatSummary", () => {
  it("ends with the totals line, problems counted as failures", () => {
    const text = formatSummary([
      { name: "unit", seconds: 1.26, passed: 10, failed: 1, skipped: 2, problems: [] },
      { name: "integration", seconds: 12, passed: 0, failed: 0, skipped: 0, problems: ["ran no test"] },
    ]);
    expect(text.split("\n")).to.deep.equal([
      "stage        passed  failed  skipped  seconds",
      "unit             10       1        2      1.3",
      "integration       0       1        0     12.0",
      "",
      "integration: ran no test.",
      "",
      "10 passed, 2 failed",
    ]);
  });
});
