import { randomBytes } from "node:crypto";
import { realpath, rename, rm, stat, writeFile } from "node:fs/promises";

/**
 * Writes a file so that it is there whole, or as it was before: a crash or a full disk in the middle leaves no half of
 * it. Pipes and devices, such as /dev/stdout, take the text as it comes.
 *
 * @throws NodeJS.ErrnoException
 */
export async function writeWholeFile(path: string, text: string): Promise<void> {
  const target = await realpath(path).catch(() => path);
  const isSpecial = await stat(target).then(
    (found) => !found.isFile(),
    () => false,
  );
  if (isSpecial) return writeFile(target, text);
  const draft = `${target}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    await writeFile(draft, text, { flag: "wx" });
    await rename(draft, target);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}
