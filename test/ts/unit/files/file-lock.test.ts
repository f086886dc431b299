import { spawn } from "node:child_process";
import { existsSync, lstatSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { UnusableFileError } from "../../../../src/errors/index.ts";
import { acquireLock, type FileLock, type FileLockHolder } from "../../../../src/files/file-lock.ts";
import { rejection } from "../../../support/rejection.ts";
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

  async function lock(): Promise<FileLock> {
    const acquired = await acquireLock(path());
    if (acquired.lock === undefined) throw new Error(`${acquired.holder.lockFile} holds the lock`);
    return acquired.lock;
  }

  async function readHolder(): Promise<FileLockHolder> {
    const acquired = await acquireLock(path());
    if (acquired.lock !== undefined) throw new Error("The lock was free.");
    return acquired.holder;
  }

  async function lockAndRelease(): Promise<void> {
    await (await lock()).release();
  }

  it("has one owner at a time", async () => {
    const first = await lock();
    expect(await readHolder()).to.include({ pid: process.pid, host: hostname(), isLocal: true });
    await first.release();
    await lockAndRelease();
  });

  it("is taken by exactly one of many at the same time", async () => {
    const results = await Promise.all(Array.from({ length: 6 }, () => acquireLock(path())));
    const acquired = results.flatMap(({ lock }) => lock ?? []);
    expect(acquired).to.have.length(1);
    for (const each of acquired) await each.release();
    expect(existsSync(`${path()}.lock`)).to.equal(false);
  });

  it("is not held by a process that has ended", async () => {
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
    const { pid = 0 } = child;
    const lockFile = leave(nameOf(pid, Date.now()));
    expect(await readHolder()).to.include({ pid, lockFile });

    child.kill("SIGKILL");
    await new Promise((resolve) => child.once("exit", resolve));
    const mine = await lock();
    expect(readdirSync(`${path()}.lock`)).to.have.length(1);
    await mine.release();
  });

  it("is not held by an earlier process with the same id, as after a restart of a container", async () => {
    leave(nameOf(process.pid, Math.floor(Date.now() - process.uptime() * 1000) - 60_000));
    await lockAndRelease();
  });

  it("is not taken from a process of another machine", async () => {
    const lockFile = leave(nameOf(4_194_304, 1_000, "else where"));
    const holder = { host: "else where", pid: 4_194_304, since: 1_000, lockFile, isLocal: false };
    expect(await readHolder()).to.deep.equal(holder);
    expect(existsSync(lockFile)).to.equal(true);
  });

  it("is not confused by files that no process put there", async () => {
    mkdirSync(`${path()}.lock`);
    for (const name of [
      "%E0%A4%A",
      "1_1_%E0%A4%A_0000000000000000",
      `0_1_host_${"0".repeat(16)}`,
      `99999999999_1_host_${"0".repeat(16)}`,
    ])
      writeFileSync(join(`${path()}.lock`, name), "");
    await lockAndRelease();
  });

  it("is not put or looked for behind a link", async () => {
    const elsewhere = join(directory.path, "elsewhere");
    for (const isThere of [false, true]) {
      if (isThere) mkdirSync(elsewhere);
      else symlinkSync(elsewhere, `${path()}.lock`);
      expect(await rejection(acquireLock(path()))).to.be.instanceOf(UnusableFileError);
      expect(existsSync(path())).to.equal(false);
    }
    expect(lstatSync(`${path()}.lock`).isSymbolicLink()).to.equal(true);
  });
});
