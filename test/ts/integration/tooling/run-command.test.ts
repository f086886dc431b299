import { expect } from "chai";
import { type Command, runCommand } from "../../../../scripts/support/run-command.ts";

function runScript(script: string, options: Partial<Command> = {}) {
  return runCommand({ command: process.execPath, args: ["-e", script], ...options });
}

describe("runCommand", () => {
  it("reports the exit code", async () => {
    expect(await runScript("process.exit(7)")).to.include({ code: 7, signal: null, problem: undefined });
  });

  it("reports the signal that ended a command", async () => {
    const outcome = await runScript("process.kill(process.pid, 'SIGKILL'); setInterval(() => {}, 1000)");
    expect(outcome).to.include({ code: null, signal: "SIGKILL", problem: undefined });
  });

  it("reports a command that cannot be started", async () => {
    const outcome = await runCommand({ command: "no-such-command-here", args: [] });
    expect(outcome.problem).to.include("could not be started");
  });

  it("passes arguments on untouched by any shell", async () => {
    const args = ["a b", '"quoted"', "$HOME", "*", ";", ""];
    const outcome = await runCommand({
      command: process.execPath,
      args: ["-e", "process.send(process.argv.slice(1)); process.disconnect()", "--", ...args],
      reports: true,
    });
    expect(outcome.messages).to.deep.equal([args]);
  });

  it("keeps everything a captured command prints, up to its death", async () => {
    const outcome = await runScript("process.stdout.write('\\n'.repeat(70_000)); process.exitCode = 3", {
      output: "keep",
    });
    expect(outcome.output).to.have.length(70_000);
    expect(outcome.code).to.equal(3);
  });

  it("kills a command that hangs", async () => {
    const outcome = await runScript("setInterval(() => {}, 1000)", { timeoutMs: 300 });
    expect(outcome).to.include({ code: null, signal: "SIGTERM" });
    expect(outcome.problem).to.match(/^was still running/);
  });

  it("kills a runner that lives on after its report", async () => {
    const outcome = await runScript("process.send('report'); setInterval(() => {}, 1000)", {
      reports: true,
      graceMs: 100,
    });
    expect(outcome.messages).to.deep.equal(["report"]);
    expect(outcome.problem).to.match(/^kept running after its last test/);
  });
});
