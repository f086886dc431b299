import { randomBytes } from "node:crypto";
import { readdir, rm, rmdir, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { JournalLockedError } from "../errors/index.ts";
import { faultCode, unusable } from "../files/file-problem.ts";
import { makeOwnDirectory } from "../files/own-directory.ts";

export interface JournalLock {
  release(): Promise<void>;
}

/** Who a lock file belongs to. All of it is in the file's name, which appears whole or not at all. */
interface Owner {
  readonly host: string;
  readonly pid: number;
  /** Milliseconds since the epoch. */
  readonly since: number;
}

const attempts = 8;
/** Of the signed 32-bit numbers that systems count processes with. */
const highestPid = 0x7fffffff;

/**
 * Takes the journal for this process. Everybody who wants it first puts a file of his own into `<path>.lock/` and
 * then looks for others: of two at once at least one sees the other. A file whose process is dead belongs to nobody,
 * and since no two files share a name, taking it away cannot hit a living one.
 *
 * @throws JournalLockedError
 * @throws UnusableFileError if the folder of the lock cannot be made
 */
export async function acquireLock(path: string): Promise<JournalLock> {
  const directory = `${path}.lock`;
  for (let attempt = 1; ; attempt++) {
    const mine = fileNameOf({ host: hostname(), pid: process.pid, since: Date.now() });
    await putFile(directory, mine);
    const other = await findLivingOwner(directory, mine);
    if (other === undefined) return { release: () => takeAway(directory, mine) };
    await takeAway(directory, mine);
    if (attempt === attempts) throw new JournalLockedError(path, other.pid);
    // Two that began together both step back: uneven pauses let one of them through.
    await sleep(5 + Math.random() * 25);
  }
}

function fileNameOf({ host, pid, since }: Owner): string {
  return `${pid}_${since}_${encodeURIComponent(host)}_${randomBytes(8).toString("hex")}`;
}

/** Undefined for a name that no process gave its file. */
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
      // The process that let go last took the empty folder along, between any two of these calls.
      const fault = unusable(directory, error);
      if (faultCode(fault.cause) !== "ENOENT" || attempt === 100) throw fault;
    }
  }
}

async function takeAway(directory: string, name: string): Promise<void> {
  await rm(join(directory, name), { force: true });
  // Fails while others have a file in it.
  await rmdir(directory).catch(() => {});
}

async function findLivingOwner(directory: string, mine: string): Promise<Owner | undefined> {
  for (const name of await readdir(directory)) {
    const owner = parseFileName(name);
    if (name === mine || owner === undefined) continue;
    if (isAlive(owner)) return owner;
    await rm(join(directory, name), { force: true });
  }
  return undefined;
}

function isAlive({ host, pid, since }: Owner): boolean {
  // Processes of another machine cannot be asked; a shared directory is no place to guess.
  if (host !== hostname()) return true;
  // Restarted containers reuse their process ids: a file older than this process is not this process's.
  if (pid === process.pid) return since >= Date.now() - process.uptime() * 1000;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return faultCode(error) !== "ESRCH";
  }
}
