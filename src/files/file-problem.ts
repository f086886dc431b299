import type { Stats } from "node:fs";
import { UnusableFileError } from "../errors/index.ts";

/** The code of a fault of the file system, such as ENOENT; undefined for any other error. */
export function faultCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

const wordsOf: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file or folder",
  EACCES: "this user has no right to it",
  EPERM: "this user has no right to it",
  EISDIR: "it is a folder",
  ENOTDIR: "a part of its path is no folder",
  ELOOP: "it is a symbolic link",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk is full",
  EROFS: "its file system is read-only",
};

/** The end of the sentence "… cannot be used: …"; what is no fault of the file system is thrown. */
export function unusable(path: string, cause: unknown): UnusableFileError {
  if (cause instanceof UnusableFileError) return cause;
  const code = faultCode(cause);
  if (code === undefined) throw cause;
  return new UnusableFileError(path, wordsOf[code] ?? `the system answers ${code}`, { cause });
}

/** What a file is that is neither a text nor a database; undefined for a regular file. */
export function describeKind(stats: Stats): string | undefined {
  if (stats.isFile()) return undefined;
  if (stats.isSymbolicLink()) return "it is a symbolic link";
  if (stats.isDirectory()) return "it is a folder";
  if (stats.isFIFO()) return "it is a pipe, not a regular file";
  if (stats.isSocket()) return "it is a socket, not a regular file";
  return "it is a device, not a regular file";
}
