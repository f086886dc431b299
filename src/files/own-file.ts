import { randomBytes } from "node:crypto";
import { chmodSync, closeSync, constants, lstatSync, openSync, type Stats } from "node:fs";
import { chmod, type FileHandle, lstat, mkdir, open, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { UnusableFileError } from "../errors/index.ts";
import { findGitClaim } from "./git-index.ts";

/** Windows has neither of these flags. */
const noFollow = constants.O_NOFOLLOW ?? 0;
const noWait = constants.O_NONBLOCK ?? 0;

export interface OwnFileOptions {
  /**
   * Whether a file that git tracks is accepted. Not for ledgers: a checked-out repository could then decide what is
   * sent.
   */
  readonly mayBeTracked?: boolean | undefined;
}

/**
 * Opens one of this package's own files for reading and appending, or creates it for this user only. Does not follow
 * links. Rejects a file that a repository or another user of the machine may have put there.
 *
 * @throws UnusableFileError
 */
export async function openOwnFile(path: string, options: OwnFileOptions = {}): Promise<FileHandle> {
  const flags = constants.O_RDWR | constants.O_APPEND | noFollow | noWait;
  try {
    // If two processes find no file at the same time, the second one then opens the first one's file.
    for (;;) {
      const found = await lstat(path).catch(undefinedIfMissing);
      if (found !== undefined) requireOwn(path, found, options);
      const handle = await open(path, found ? flags : flags | constants.O_CREAT | constants.O_EXCL, 0o600).catch(
        (error: unknown) => {
          if (faultCode(error) === (found ? "ENOENT" : "EEXIST")) return undefined;
          throw error;
        },
      );
      if (handle === undefined) continue;
      try {
        requireOwn(path, await handle.stat(), { mayBeTracked: true }); // already checked against git
        return handle;
      } catch (error) {
        await handle.close();
        throw error;
      }
    }
  } catch (error) {
    throw unusable(path, error);
  }
}

/**
 * Creates a database's file for this user only. If it exists, checks it and its companion files as `openOwnFile` does.
 *
 * @throws UnusableFileError
 */
export function prepareOwnDatabase(path: string, options: OwnFileOptions = {}): void {
  for (const each of filesOf(path)) {
    try {
      const found = lstatSync(each, { throwIfNoEntry: false });
      if (found !== undefined) requireOwn(each, found, options);
      else if (each === path) closeSync(openSync(each, constants.O_RDWR | constants.O_CREAT | noFollow, 0o600));
    } catch (error) {
      throw unusable(each, error);
    }
  }
}

/** Removes other users' rights from a database that is known to belong to this user. @throws UnusableFileError */
export function restrictDatabase(path: string): void {
  for (const each of filesOf(path)) {
    try {
      const found = lstatSync(each, { throwIfNoEntry: false });
      if (found?.isFile() && (found.mode & 0o077) !== 0) chmodSync(each, 0o600);
    } catch (error) {
      throw unusable(each, error);
    }
  }
}

/** SQLite creates its companion files with the mode of the database. */
function filesOf(path: string): readonly string[] {
  return ["", "-wal", "-shm", "-journal"].map((ending) => `${path}${ending}`);
}

/** @throws UnusableFileError */
function requireOwn(path: string, stats: Stats, { mayBeTracked = false }: OwnFileOptions): void {
  const kind = describeKind(stats);
  if (kind !== undefined) throw new UnusableFileError(path, kind);
  const user = process.geteuid?.(); // undefined on Windows, which has no such owners and modes
  if (user !== undefined) {
    if (stats.uid !== user)
      throw new UnusableFileError(path, `another user (uid ${stats.uid}) owns it, and this is uid ${user}`, {
        nextStep: "If the content is yours, change the owner of the file with chown. Otherwise use another file.",
      });
    if ((stats.mode & 0o022) !== 0)
      throw new UnusableFileError(path, "other users may write to it", {
        nextStep: "If the content is yours, run chmod 600 on it. Otherwise use another file.",
      });
  }
  const claim = mayBeTracked ? undefined : findGitClaim(path);
  if (claim !== undefined)
    throw new UnusableFileError(path, `${claim}, so another author of the repository may have written it`, {
      nextStep: "If the content is yours, run git rm --cached on it. Otherwise delete it or use another file.",
    });
}

function undefinedIfMissing(error: unknown): undefined {
  if (faultCode(error) !== "ENOENT") throw error;
}

/** Returns the code of a file system error, such as ENOENT; undefined for any other error. */
export function faultCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

const wordsOf: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file or folder",
  EACCES: "this user has no permission for it",
  EPERM: "this user has no permission for it",
  EISDIR: "it is a folder",
  ENOTDIR: "a part of its path is not a folder",
  ELOOP: "it is a symbolic link",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk is full",
  EFBIG: "it would be larger than a file of this user may be",
  EROFS: "its file system is read-only",
};

/**
 * Converts a file system error into an UnusableFileError, whose problem ends the sentence "… cannot be used: …". Throws
 * any other error.
 */
export function unusable(path: string, cause: unknown): UnusableFileError {
  if (cause instanceof UnusableFileError) return cause;
  const code = faultCode(cause);
  if (code === undefined) throw cause;
  return new UnusableFileError(path, wordsOf[code] ?? `the system reports ${code}`, { cause });
}

/** Describes a file that is not a regular file; undefined for a regular file. */
export function describeKind(stats: Stats): string | undefined {
  if (stats.isFile()) return undefined;
  if (stats.isSymbolicLink()) return "it is a symbolic link";
  if (stats.isDirectory()) return "it is a folder";
  if (stats.isFIFO()) return "it is a pipe, not a regular file";
  if (stats.isSocket()) return "it is a socket, not a regular file";
  return "it is a device, not a regular file";
}

/**
 * Creates a folder and its missing parents. Does not use `recursive`: with it, Node never returns if the file system
 * does not allow new folders, as below /proc.
 *
 * @throws UnusableFileError
 */
export async function makeDirectory(path: string, mode?: number): Promise<void> {
  try {
    if (await isDirectory(path)) return;
    const parent = dirname(resolve(path));
    if (parent !== resolve(path)) await makeDirectory(parent);
    await mkdir(path, { mode }).catch(async (error: unknown) => {
      // Another process created it meanwhile. A link without a target also exists, but is not a folder.
      if (faultCode(error) !== "EEXIST" || !(await isDirectory(path))) throw error;
    });
  } catch (error) {
    throw unusable(path, error);
  }
}

/**
 * Creates a folder that contains only this package's files. If it exists, removes other users' rights from it.
 *
 * @throws UnusableFileError if it is a link: a repository could contain one that leads to another place
 * @throws UnusableFileError if another user owns it or can still write to it: that user could remove a ledger or put
 * an older one in its place
 */
export async function makeOwnDirectory(path: string): Promise<void> {
  await makeDirectory(path, 0o700);
  try {
    const found = await lstat(path);
    if (!found.isDirectory()) throw new UnusableFileError(path, "it is a symbolic link");
    const user = process.geteuid?.(); // undefined on Windows, which has no such owners and modes
    if (user === undefined) return;
    if (found.uid !== user)
      throw new UnusableFileError(path, `another user (uid ${found.uid}) owns it, and this is uid ${user}`, {
        nextStep: "If its files are yours, change their owner with chown -R. Otherwise move the folder away.",
      });
    if ((found.mode & 0o077) === 0) return;
    await chmod(path, 0o700);
    if (((await lstat(path)).mode & 0o022) !== 0)
      throw new UnusableFileError(
        path,
        "other users may write to it, and its file system does not allow changing that",
        {
          nextStep: "Move the project to a file system that supports file permissions.",
        },
      );
  } catch (error) {
    throw unusable(path, error);
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    const found = await stat(path);
    if (found.isDirectory()) return true;
  } catch (error) {
    if (faultCode(error) === "ENOENT") return false;
    throw error;
  }
  throw new UnusableFileError(path, "it is not a folder");
}

/**
 * Writes a file atomically: after a crash or with a full disk, the file has the complete new text or its old content.
 * Writes directly to pipes and devices, such as /dev/stdout, except if a link outside /dev and /proc leads to one.
 *
 * @param mode of the file, as for `open`
 * @throws UnusableFileError
 */
export async function writeWholeFile(
  path: string,
  text: string,
  { mode }: { readonly mode?: number } = {},
): Promise<void> {
  const target = await realpath(path).catch(() => path);
  const isSpecial = await stat(target).then(
    (found) => !found.isFile(),
    () => false,
  );
  if (isSpecial) {
    const isLink = (await lstat(path)).isSymbolicLink() && !/^\/(?:dev|proc)\//.test(resolve(path));
    if (isLink) throw new UnusableFileError(path, "it is a symbolic link to a pipe, a device or a folder");
    return writeFile(target, text).catch((error: unknown) => {
      throw unusable(path, error);
    });
  }
  const draft = `${target}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    await writeFile(draft, text, { flag: "wx", mode });
    await rename(draft, target);
  } catch (error) {
    await rm(draft, { force: true });
    throw unusable(path, error);
  }
}
