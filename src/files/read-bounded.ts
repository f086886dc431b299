import { constants } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { UnusableFileError } from "../errors/index.ts";
import { describeKind, unusable } from "./own-file.ts";

const mebibyte = 1024 * 1024;

/** Far above any compose file, environment or plan. */
export const defaultMaxBytes = 16 * mebibyte;

/**
 * Reads a file that a person named. A link is followed, because secret stores mount files as links. A pipe, a device or
 * a file beyond the limit is refused: it could block, or fill the memory.
 *
 * @throws UnusableFileError; its `cause` has the code ENOENT if there is no such file
 */
export async function readBounded(path: string, maxBytes: number = defaultMaxBytes): Promise<Buffer> {
  try {
    // Before opening, which already does something to some devices and waits for the other end of a pipe.
    requireRegular(path, await stat(path));
    const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)); // Windows has no such flag
    try {
      requireRegular(path, await handle.stat());
      return await readHandle(path, handle, maxBytes);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw unusable(path, error);
  }
}

/** As `readBounded`, as UTF-8 text. Bytes that are not UTF-8 become U+FFFD. @throws UnusableFileError */
export async function readBoundedText(path: string, maxBytes?: number): Promise<string> {
  return (await readBounded(path, maxBytes)).toString("utf8");
}

/** All bytes from the start. Files of /proc say they have none, and may never end. @throws UnusableFileError */
export async function readHandle(path: string, handle: FileHandle, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let position = 0; ; ) {
    const chunk = Buffer.alloc(Math.min(mebibyte, maxBytes + 1 - position));
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, position);
    if (bytesRead === 0) return Buffer.concat(chunks);
    chunks.push(chunk.subarray(0, bytesRead));
    position += bytesRead;
    if (position > maxBytes) throw new UnusableFileError(path, `it has more than ${maxBytes / mebibyte} MiB`);
  }
}

function requireRegular(path: string, stats: Parameters<typeof describeKind>[0]): void {
  const kind = describeKind(stats);
  if (kind !== undefined) throw new UnusableFileError(path, kind);
}
