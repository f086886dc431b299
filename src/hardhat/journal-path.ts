import { dirname, join, resolve } from "node:path";
import { makeDirectory, makeOwnDirectory } from "../files/own-file.ts";

/**
 * Where a task's journal is, its folder made: what the person named, else a file in the project's `.dstack`, which no
 * other user may read.
 *
 * @throws UnusableFileError
 */
export async function prepareJournalPath(root: string, named: string | undefined, name: string): Promise<string> {
  const path = named === undefined ? join(root, ".dstack", name) : resolve(root, named);
  await (named === undefined ? makeOwnDirectory : makeDirectory)(dirname(path));
  return path;
}
