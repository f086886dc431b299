import { randomBytes } from "node:crypto";
import { readdir, rm, rmdir, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { faultCode, makeOwnDirectory, unusable } from "./own-file.ts";

export interface FileLock {
  release(): Promise<void>;
}

/** A process. The name of its lock file encodes it, because a name is created atomically. */
interface Owner {
  /** Name of its machine. */
  readonly host: string;
  readonly pid: number;
  /** Milliseconds since 1970. */
  readonly since: number;
}

/** The process that holds a lock. */
export interface FileLockHolder extends Owner {
  readonly lockFile: string;
  /** Whether it runs on this machine. This process then checked that it is alive. */
  readonly isLocal: boolean;
}

export type AcquireLockReturnType =
  | { readonly lock: FileLock }
  /** Another process has the lock. */
  | { readonly lock: undefined; readonly holder: FileLockHolder };

const attempts = 8;
/** Process ids are signed 32-bit numbers. */
const highestPid = 0x7fffffff;

/**
 * Locks a file for this process. Every process first puts a file of its own into `<path>.lock/` and then looks for
 * other files. If two processes do this at the same time, at least one of them sees the other. A file of a dead process
 * is removed. File names are unique, so this never removes a living process's file.
 *
 * @throws UnusableFileError if the lock's folder cannot be created
 */
export async function acquireLock(path: string): Promise<AcquireLockReturnType> {
  const directory = `${path}.lock`;
  for (let attempt = 1; ; attempt++) {
    const mine = fileNameOf({ host: hostname(), pid: process.pid, since: Date.now() });
    await putFile(directory, mine);
    const other = await findLivingOwner(directory, mine);
    if (other === undefined) return { lock: { release: () => takeAway(directory, mine) } };
    await takeAway(directory, mine);
    if (attempt === attempts) return { lock: undefined, holder: other };
    // Two processes that started together both step back. Random pauses let one of them succeed.
    await sleep(5 + Math.random() * 25);
  }
}

function fileNameOf({ host, pid, since }: Owner): string {
  return `${pid}_${since}_${encodeURIComponent(host)}_${randomBytes(8).toString("hex")}`;
}

/** Returns undefined for a name that `fileNameOf` cannot produce. */
function parseFileName(name: string): Owner | undefined {
  const [, pid, since, encodedHost] = /^([1-9]\d{0,9})_(\d+)_(.*)_[0-9a-f]{16}$/.exec(name) ?? [];
  if (encodedHost === undefined || Number(pid) > highestPid) return undefined;
  try {
    return { host: decodeURIComponent(encodedHost), pid: Number(pid), since: Number(since) };
  } catch {
    return undefined;
  }
}

async function putFile(directory: string, name: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await makeOwnDirectory(directory);
      return await writeFile(join(directory, name), "", { flag: "wx", mode: 0o600 });
    } catch (error) {
      // Another process can remove the empty folder between these two calls.
      const fault = unusable(directory, error);
      if (faultCode(fault.cause) !== "ENOENT" || attempt === 100) throw fault;
    }
  }
}

async function takeAway(directory: string, name: string): Promise<void> {
  await rm(join(directory, name), { force: true });
  // Fails while the folder contains other files.
  await rmdir(directory).catch(() => {});
}

async function findLivingOwner(directory: string, mine: string): Promise<FileLockHolder | undefined> {
  for (const name of await readdir(directory)) {
    const owner = parseFileName(name);
    if (name === mine || owner === undefined) continue;
    if (isAlive(owner)) return { ...owner, lockFile: join(directory, name), isLocal: owner.host === hostname() };
    await rm(join(directory, name), { force: true });
  }
  return undefined;
}

function isAlive({ host, pid, since }: Owner): boolean {
  // Processes of another machine cannot be checked, and in a shared folder a wrong guess is dangerous.
  if (host !== hostname()) return true;
  // Restarted containers reuse their process ids: a file older than this process belongs to an earlier one.
  if (pid === process.pid) return since >= Date.now() - process.uptime() * 1000;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return faultCode(error) !== "ESRCH";
  }
}
