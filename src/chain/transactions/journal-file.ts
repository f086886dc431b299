import { randomBytes } from "node:crypto";
import { type FileHandle, lstat, open, readdir, realpath, rename, rm, rmdir, stat, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { JournalCorruptError, type JournalHolder, JournalLockedError, UnusableFileError } from "../../errors/index.ts";
import { faultCode, makeOwnDirectory, openOwnFile, unusable } from "../../files/own-file.ts";
import { readHandle } from "../../files/read-bounded.ts";

export interface JournalLock {
  release(): Promise<void>;
}

/** Who a lock file belongs to. All of it is in the file's name, which appears whole or not at all. */
type Owner = Omit<JournalHolder, "lockFile" | "isLocal">;

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
    if (attempt === attempts) throw new JournalLockedError(path, other);
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

async function findLivingOwner(directory: string, mine: string): Promise<JournalHolder | undefined> {
  for (const name of await readdir(directory)) {
    const owner = parseFileName(name);
    if (name === mine || owner === undefined) continue;
    if (isAlive(owner)) return { ...owner, lockFile: join(directory, name), isLocal: owner.host === hostname() };
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

export interface LineFile<Content> {
  /** What `read` made of the lines that were there when it was opened. */
  readonly content: Content;
  /** Returns once the line is on the disk, not merely on its way. */
  write(line: string): Promise<void>;
  close(): Promise<void>;
}

/** Years of updates of a large fleet. */
const maxBytes = 128 * 1024 * 1024;

/** How every line of every journal begins. */
const beginning = '{"v":';

/**
 * Opens a file that only grows, line by line, or begins it. What `read` throws leaves the file as it is.
 *
 * @throws JournalCorruptError if it is no text, or one that no journal begins with
 * @throws UnusableFileError if it is a link or a device, or may come from a repository or another user
 */
export async function openLineFile<Content>(
  path: string,
  read: (lines: readonly string[]) => Content | Promise<Content>,
): Promise<LineFile<Content>> {
  const handle = await openOwnFile(path);
  try {
    const bytes = await readHandle(path, handle, maxBytes);
    // Every write ends in a line feed, and nothing is done before its write has returned: what follows the last
    // one was cut short by a crash, and nothing rests on it.
    const end = bytes.lastIndexOf("\n") + 1;
    if (end === 0 && !isTorn(bytes)) throw new JournalCorruptError(path, 1);
    const content = await read(decode(path, bytes.subarray(0, end)).split("\n").slice(0, -1));
    // Signed transactions are in it: whoever reads them could send them.
    await handle.chmod(0o600);
    if (end < bytes.length) await handle.truncate(end);
    await handle.sync();
    await syncDirectory(dirname(path));
    return { content, write: writerOf(handle, end), close: () => handle.close() };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function writerOf(handle: FileHandle, start: number): LineFile<unknown>["write"] {
  let end = start;
  let broken: unknown;
  return async (text) => {
    if (broken !== undefined) throw broken;
    const line = Buffer.from(`${text}\n`);
    try {
      await handle.appendFile(line);
      await handle.sync();
      end += line.length;
    } catch (error) {
      // After a failed fsync nobody knows what the disk holds, so this process writes no further line.
      broken = error;
      await handle.truncate(end).catch(() => {});
      throw error;
    }
  };
}

/** Whether a crash can have left these bytes: a part of a first line, or the zeros of a power cut. */
function isTorn(bytes: Buffer): boolean {
  const [written = ""] = bytes.subarray(0, beginning.length).toString("latin1").split("\0", 1);
  return beginning.startsWith(written);
}

function decode(path: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new JournalCorruptError(path, lineOfBadByte(bytes), { cause });
  }
}

function lineOfBadByte(bytes: Uint8Array): number {
  const before = new TextDecoder("utf-8").decode(bytes).split("\u{fffd}", 1)[0] ?? "";
  return before.split("\n").length;
}

/** A new file is only there after a power cut if its directory was written too. Windows cannot and need not. */
async function syncDirectory(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Writes a file so that it is there whole, or as it was before: a crash or a full disk in the middle leaves no half of
 * it. Pipes and devices, such as /dev/stdout, take the text as it comes, unless a link of somebody's leads to them.
 *
 * @throws NodeJS.ErrnoException, UnusableFileError
 */
export async function writeWholeFile(path: string, text: string): Promise<void> {
  const target = await realpath(path).catch(() => path);
  const isSpecial = await stat(target).then(
    (found) => !found.isFile(),
    () => false,
  );
  if (isSpecial) {
    const isLink = (await lstat(path)).isSymbolicLink() && !/^\/(?:dev|proc)\//.test(resolve(path));
    if (isLink) throw new UnusableFileError(path, "it is a symbolic link to a pipe, a device or a folder");
    return writeFile(target, text);
  }
  const draft = `${target}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    await writeFile(draft, text, { flag: "wx" });
    await rename(draft, target);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}
