import { randomBytes } from "node:crypto";
import { lstat, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { UnusableFileError } from "../errors/index.ts";

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
