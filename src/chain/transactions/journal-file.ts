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

/** The owner of a lock file. It is encoded in the file's name, because a name is created atomically. */
type Owner = Omit<JournalHolder, "lockFile" | "isLocal">;

const attempts = 8;
/** Process ids are signed 32-bit numbers. */
const highestPid = 0x7fffffff;

/**
 * Locks the journal for this process. Every process first puts a file of its own into `<path>.lock/` and then looks for
 * other files. If two processes do this at the same time, at least one of them sees the other. A file of a dead process
 * is removed. File names are unique, so this never removes a living process's file.
 *
 * @throws JournalLockedError
 * @throws UnusableFileError if the lock's folder cannot be created
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

export interface LineFile<Content> {
  /** What `read` returned for the lines that were there when the file was opened. */
  readonly content: Content;
  /** Resolves once the line is on the disk, not only in a buffer. */
  write(line: string): Promise<void>;
  close(): Promise<void>;
}

/** Enough for years of updates of a large fleet. */
const maxBytes = 128 * 1024 * 1024;

/** How every line of every journal begins. */
const beginning = '{"v":';

/**
 * Opens or creates a file to which lines are only appended. If `read` throws, the file stays unchanged.
 *
 * @throws JournalCorruptError if it is not text, or does not begin like a journal
 * @throws UnusableFileError if it is a link or a device, or may come from a repository or another user
 */
export async function openLineFile<Content>(
  path: string,
  read: (lines: readonly string[]) => Content | Promise<Content>,
): Promise<LineFile<Content>> {
  const handle = await openOwnFile(path);
  try {
    const bytes = await readHandle(path, handle, maxBytes);
    // Every write ends with a line feed, and no action starts before its write has returned. So bytes after the last
    // line feed are a line that a crash cut short, and no action depends on them.
    const end = bytes.lastIndexOf("\n") + 1;
    if (end === 0 && !isTorn(bytes)) throw new JournalCorruptError(path, 1);
    const content = await read(decode(path, bytes.subarray(0, end)).split("\n").slice(0, -1));
    // The file contains signed transactions, and anyone who can read them can send them.
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
      // After a failed fsync the content of the disk is unknown, so this process writes no further line.
      broken = error;
      await handle.truncate(end).catch(() => {});
      throw error;
    }
  };
}

/** Whether a crash can have left these bytes: part of a first line, or zeros after a power cut. */
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

/**
 * Syncs a directory. A new file survives a power cut only if its directory was written too. Not possible and not needed
 * on Windows.
 */
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
 * Writes a file atomically: after a crash or with a full disk, the file has the complete new text or its old content.
 * Writes directly to pipes and devices, such as /dev/stdout, except if a link outside /dev and /proc leads to one.
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
