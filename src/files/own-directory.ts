import { chmod, lstat, mkdir, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { UnusableFileError } from "../errors/index.ts";
import { faultCode, unusable } from "./file-problem.ts";

/**
 * Makes a folder, and what is missing above it. Not with `recursive`: Node then never returns where the file system lets
 * nobody make one, as below /proc.
 *
 * @throws UnusableFileError
 */
export async function makeDirectory(path: string, mode?: number): Promise<void> {
  try {
    if (await isDirectory(path)) return;
    const parent = dirname(resolve(path));
    if (parent !== resolve(path)) await makeDirectory(parent);
    await mkdir(path, { mode }).catch(async (error: unknown) => {
      // Made by another process meanwhile; a link that leads nowhere exists as well and is no folder.
      if (faultCode(error) !== "EEXIST" || !(await isDirectory(path))) throw error;
    });
  } catch (error) {
    throw unusable(path, error);
  }
}

/**
 * Makes a folder that holds nothing but this package's files, or takes the rights of others away from it.
 *
 * @throws UnusableFileError if it is a link: a repository could bring one that leads elsewhere
 */
export async function makeOwnDirectory(path: string): Promise<void> {
  await makeDirectory(path, 0o700);
  try {
    const found = await lstat(path);
    if (!found.isDirectory()) throw new UnusableFileError(path, "it is a symbolic link");
    const isOurs = process.geteuid === undefined || found.uid === process.geteuid();
    if (isOurs && (found.mode & 0o077) !== 0) await chmod(path, 0o700);
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
  throw new UnusableFileError(path, "it is no folder");
}
