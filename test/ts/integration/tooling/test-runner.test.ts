import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { root } from "../../../../scripts/support/paths.ts";
import { describeEnd, runCommand } from "../../../../scripts/support/run-command.ts";
import { compareRunners, failuresOf, judge, type Tally } from "../../../../scripts/test/tally.ts";

// Real test files, run by the runner that counts the tests of the suite.
describe("test runner", () => {
  const directory = mkdtempSync(join(tmpdir(), "test-runner "));
  after(() => rmSync(directory, { recursive: true }));

  async function runFiles(files: Record<string, string>) {
    const paths = Object.entries(files).map(([name, source]) => {
      writeFileSync(join(directory, name), source);
      return join(directory, name);
    });
    const args = ["scripts/run.mjs", "scripts/test/runner.ts", "mocha", ...paths];
    // CI would refuse the pending test before it is counted.
    const env = { ...process.env, CI: undefined };
    const outcome = await runCommand({
      command: process.execPath,
      args,
      cwd: root,
      env,
      output: "keep",
      reports: true,
    });
    const tally = outcome.message as Tally | undefined; // sent by sendTally
    return { tally, judged: judge(tally, { ending: describeEnd(outcome), ci: false }), output: outcome.output };
  }

  it("counts what passed, failed and was skipped, and never a test that did not run", async () => {
    const { tally, output } = await runFiles({
      "mixed.test.ts": `
        it("passes", () => {});
        it("fails", () => { throw new Error("wanted"); });
        it("is pending");
        it("leaves a rejection behind", async () => {
          void Promise.reject(new Error("stray"));
          await new Promise((resolve) => setTimeout(resolve, 20));
        });
        describe("with a broken hook", () => {
          before(() => { throw new Error("hook"); });
          it("never runs", () => {});
          it("never runs either", () => {});
        });`,
      "empty.test.ts": `describe("nothing", () => {});`,
    });
    expect(tally).to.include({ passed: 1, failed: 3, skipped: 1 });
    expect(tally?.problem).to.include("empty.test.ts registers no test");
    expect(output).to.include("Error: wanted");
  });

  it("fails when a test ends the process, and when a file cannot be loaded", async () => {
    const [exits, broken] = await Promise.all([
      runFiles({ "exits.test.ts": `it("passes", () => {}); it("exits", () => { process.exit(0); });` }),
      runFiles({ "broken.test.ts": `import "./absent.ts"; it("passes", () => {});` }),
    ]);
    for (const { tally, judged } of [exits, broken]) {
      expect(tally).to.equal(undefined);
      expect(failuresOf(judged)).to.equal(1);
    }
  });
});

describe("judge", () => {
  const green: Tally = { passed: 3, failed: 0, skipped: 0 };
  const ending = "exited with code 0";

  it("accepts counts that match the exit code of the runner", () => {
    expect(judge(green, { ending, ci: true })).to.deep.equal(green);
    expect(failuresOf(judge({ ...green, failed: 2 }, { ending: "exited with code 1", ci: true }))).to.equal(2);
  });

  it("fails a runner without a count, without a test, or with a bad end", () => {
    expect(judge(undefined, { ending, ci: false }).problem).to.equal(`${ending} before it counted its tests`);
    expect(judge({ ...green, passed: 0, skipped: 2 }, { ending, ci: false }).problem).to.equal("ran no test");
    for (const bad of ["exited with code 1", "was stopped by SIGKILL"])
      expect(failuresOf(judge(green, { ending: bad, ci: false }))).to.equal(1);
  });

  it("refuses skipped tests on CI alone", () => {
    expect(failuresOf(judge({ ...green, skipped: 1 }, { ending, ci: false }))).to.equal(0);
    expect(failuresOf(judge({ ...green, skipped: 1 }, { ending, ci: true }))).to.equal(1);
  });

  it("notices a Solidity test that one of the two runners does not see", () => {
    expect(compareRunners(green, green)).to.equal(undefined);
    expect(compareRunners(green, { ...green, passed: 2 })).to.include("3 Solidity tests, but forge ran 2");
    expect(compareRunners(green, { passed: 0, failed: 1 })).to.equal(undefined);
  });
});
