import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { acquireLock } from "../../../../src/chain/transactions/journal-file.ts";
import { JournalLockedError } from "../../../../src/errors/index.ts";
import { catchError } from "../../../support/update/catch-error.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

describe("the lock of a file", () => {
  const directory = useTemporaryDirectory();
  const path = () => join(directory.path, "kept");
  const nameOf = (pid: number, since: number, host = hostname()) =>
    `${pid}_${since}_${encodeURIComponent(host)}_${"0".repeat(16)}`;

  function leave(name: string): string {
    mkdirSync(`${path()}.lock`);
    const lockFile = join(`${path()}.lock`, name);
    writeFileSync(lockFile, "");
    return lockFile;
  }

  async function lockAndRelease(): Promise<void> {
    await (await acquireLock(path())).release();
  }

  it("is for one owner at a time", async () => {
    const first = await acquireLock(path());
    const error = await catchError(acquireLock(path()), JournalLockedError);
    expect(error.context).to.include({ path: path(), pid: process.pid });
    await first.release();
    await lockAndRelease();
  });

  it("lets exactly one of many in that come at the same time", async () => {
    const results = await Promise.allSettled(Array.from({ length: 6 }, () => acquireLock(path())));
    const acquired = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    expect(acquired).to.have.length(1);
    for (const lock of acquired) await lock.release();
    expect(existsSync(`${path()}.lock`)).to.equal(false);
  });

  it("is not kept by a process that has died", async () => {
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
    const { pid = 0 } = child;
    const lockFile = leave(nameOf(pid, Date.now()));
    const error = await catchError(acquireLock(path()), JournalLockedError);
    expect(error.context).to.include({ pid, lockFile });

    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("exit", resolve));
    const lock = await acquireLock(path());
    expect(readdirSync(`${path()}.lock`)).to.have.length(1);
    await lock.release();
  });

  it("is not kept by an earlier process with this one's number, as restarted containers have", async () => {
    leave(nameOf(process.pid, Math.floor(Date.now() - process.uptime() * 1000) - 60_000));
    await lockAndRelease();
  });

  it("is left alone while a process of another machine has it", async () => {
    const lockFile = leave(nameOf(4_194_304, 1_000, "else where"));
    const error = await catchError(acquireLock(path()), JournalLockedError);
    expect(error.message).to.include("4194304 on else where, since 1970-01-01T00:00:01.000Z").and.include(path());
    expect(error.nextStep).to.include(lockFile);
    expect(error.context).to.include({ host: "else where", since: "1970-01-01T00:00:01.000Z", lockFile });
  });
});
