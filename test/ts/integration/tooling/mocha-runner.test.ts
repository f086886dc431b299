import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { root } from "../../../../scripts/support/paths.ts";
import { type Outcome, runCommand } from "../../../../scripts/support/run-command.ts";

// Real test files run by the real runner, whose count the whole suite relies on.
describe("mocha runner", () => {
  const directory = mkdtempSync(join(tmpdir(), "mocha-runner "));
  after(() => rmSync(directory, { recursive: true }));

  function runFiles(files: Record<string, string>): Promise<Outcome> {
    const paths = Object.entries(files).map(([name, source]) => {
      const path = join(directory, name);
      writeFileSync(path, source);
      return path;
    });
    return runCommand({
      command: process.execPath,
      args: ["scripts/run.mjs", "scripts/test/mocha-runner.ts", ...paths],
      cwd: root,
      output: "keep",
      reports: true,
      graceMs: 1_000,
    });
  }

  it("counts what passed, failed and was skipped, and never a test that did not run", async () => {
    const outcome = await runFiles({
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
    expect(outcome.code).to.not.equal(0);
    expect(outcome.messages).to.have.length(1);
    const [{ tally }] = outcome.messages as [{ tally: { problems: string[] } }];
    expect(tally).to.include({ passed: 1, failed: 3, skipped: 1 });
    expect(outcome.output).to.include("Error: wanted");
    expect(tally.problems).to.have.length(1);
    expect(tally.problems[0]).to.include("empty.test.ts registers no test");
  });

  it("sends no count when a test ends the process", async () => {
    const outcome = await runFiles({
      "exits.test.ts": `it("passes", () => {}); it("exits", () => { process.exit(0); });`,
    });
    expect(outcome).to.deep.include({ code: 0, messages: [] });
  });

  it("sends no count when a file cannot be loaded", async () => {
    const outcome = await runFiles({ "broken.test.ts": `import "./absent.ts"; it("passes", () => {});` });
    expect(outcome.code).to.not.equal(0);
    expect(outcome.messages).to.deep.equal([]);
  });

  it("does not wait for ever for a handle a test left open", async () => {
    const outcome = await runFiles({ "leaks.test.ts": `it("passes", () => { setInterval(() => {}, 1000); });` });
    expect(outcome.messages).to.have.length(1);
    expect(outcome.problem).to.match(/^kept running after its last test/);
  });
});
