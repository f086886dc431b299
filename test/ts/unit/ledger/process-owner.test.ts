import { spawn } from "node:child_process";
import { once } from "node:events";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { isAtWork, type ProcessOwner, startRun } from "../../../../src/chain/transactions/process-owner.ts";

const program = new URL("../../../../src/chain/transactions/process-owner.ts", import.meta.url).href;

/** Says who it is, and lives on. */
const code = `import { startRun } from ${JSON.stringify(program)};
console.log(JSON.stringify(startRun().owner));
setInterval(() => {}, 1000);`;

describe("the owner of a transaction", () => {
  it("is running until its run ends, also in one process", () => {
    const one = startRun();
    const other = startRun();
    expect([isAtWork(one.owner), isAtWork(other.owner)]).to.deep.equal([true, true]);
    one.end();
    expect([isAtWork(one.owner), isAtWork(other.owner)]).to.deep.equal([false, true]);
    other.end();
  });

  it("is not running on another machine, which cannot be checked", () => {
    const { owner, end } = startRun();
    expect(isAtWork({ ...owner, host: `not-${hostname()}` })).to.equal(false);
    end();
  });

  async function startOwner() {
    const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", code]);
    const [line] = await once(child.stdout, "data");
    return { child, owner: JSON.parse(String(line)) as ProcessOwner };
  }

  it("is running in another process until that is killed, and not when a new process has its id", async () => {
    const { child, owner } = await startOwner();
    expect(isAtWork(owner)).to.equal(true);
    expect(isAtWork({ ...owner, start: "1" }), "a number that was reused").to.equal(false);
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(isAtWork(owner)).to.equal(false);
  });

  it("is not running as a zombie, which has ended and still has its id", async () => {
    // A shell that becomes another program, which never asks how its child ended.
    const args = [process.execPath, "--import", "tsx", "--input-type=module", "-e", code];
    const parent = spawn("sh", ["-c", '"$@" & exec sleep 60', "sh", ...args]);
    const [line] = await once(parent.stdout, "data");
    const owner = JSON.parse(String(line)) as ProcessOwner;
    expect(isAtWork(owner)).to.equal(true);
    process.kill(owner.pid, "SIGKILL");
    for (let polls = 0; isAtWork(owner) && polls < 100; polls++) await sleep(20);
    expect(isAtWork(owner)).to.equal(false);
    parent.kill("SIGKILL");
  });
});
