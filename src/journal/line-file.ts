import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { JournalCorruptError } from "../errors/index.ts";
import { openOwnFile } from "../files/own-file.ts";
import { readHandle } from "../files/read-bounded.ts";

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
