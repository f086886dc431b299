import { constants, lstatSync, openSync, readdirSync, statSync } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { Socket } from "node:net";
import { UnusableFileError } from "../errors/index.ts";
import { describeKind, faultCode, unusable } from "./own-file.ts";

const mebibyte = 1024 * 1024;
const noWait = constants.O_NONBLOCK ?? 0; // Windows has no such flag

/** Much larger than any compose file, environment or plan. */
export const defaultMaxBytes = 16 * mebibyte;

/**
 * Paths of the descriptors that the user's shell opened for this process, as in `<(command)`. A path through a link
 * does not match.
 */
const ownDescriptor = /^\/dev\/stdin$|^\/(?:dev|proc\/self)\/fd\/(\d{1,9})$/;

/**
 * Reads a file that the user named. Follows links, because secret stores mount files as links. Rejects devices and
 * files above the limit: they could block, or fill the memory. Also rejects pipes, except descriptors of this process,
 * which only the user can have opened.
 *
 * @throws UnusableFileError; its `cause` has the code ENOENT if the file does not exist
 */
export async function readBounded(path: string, maxBytes: number = defaultMaxBytes): Promise<Buffer> {
  const descriptor = ownDescriptor.exec(path);
  try {
    // Checked before opening: opening a device can have an effect, and opening a pipe waits for its other end.
    const stats = await stat(path);
    if (descriptor !== null && (stats.isFIFO() || stats.isSocket())) {
      return await readDescriptor(path, Number(descriptor[1] ?? 0), maxBytes);
    }
    // Node's event queues have no file type.
    if (descriptor !== null && (stats.mode & constants.S_IFMT) === 0) throw pipeNotInherited(path);
    requireRegular(path, stats);
    const handle = await open(path, constants.O_RDONLY | noWait);
    try {
      requireRegular(path, await handle.stat());
      return await readHandle(path, handle, maxBytes);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw descriptor !== null && faultCode(error) === "ENOENT" ? pipeNotInherited(path, error) : unusable(path, error);
  }
}

/** Like `readBounded`, but returns UTF-8 text. Bytes that are not UTF-8 become U+FFFD. @throws UnusableFileError */
export async function readBoundedText(path: string, maxBytes?: number): Promise<string> {
  return (await readBounded(path, maxBytes)).toString("utf8");
}

/**
 * Reads all bytes from the start. Does not use the file's size: files of /proc report zero and may never end.
 *
 * @throws UnusableFileError
 */
export async function readHandle(path: string, handle: FileHandle, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let position = 0; ; ) {
    const chunk = Buffer.alloc(Math.min(mebibyte, maxBytes + 1 - position));
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, position);
    if (bytesRead === 0) return Buffer.concat(chunks);
    chunks.push(chunk.subarray(0, bytesRead));
    position += bytesRead;
    if (position > maxBytes) throw tooLong(path, maxBytes);
  }
}

/**
 * Inodes of the pipes and sockets that were read. A second read would return nothing, which would look like an empty
 * text.
 */
const spent = new Set<number>();

/**
 * Reads all bytes of a pipe or socket, until its other end closes it. Uses the event loop, because a blocking read in a
 * thread keeps the process from exiting.
 */
async function readDescriptor(path: string, descriptor: number, maxBytes: number): Promise<Buffer> {
  const { ino } = statSync(path);
  if (isOfThisProgram(ino)) throw pipeNotInherited(path);
  if (spent.has(ino)) {
    throw new UnusableFileError(path, "it is a pipe that has already been read", {
      nextStep: "Give each option its own file or pipe.",
    });
  }
  spent.add(ino);
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of openDescriptor(path, descriptor) as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > maxBytes) throw tooLong(path, maxBytes);
  }
  return Buffer.concat(chunks);
}

/**
 * Opens a pipe again, so that its descriptor stays open. A socket cannot be opened again; only stdin may be a socket,
 * because parent processes use one there.
 */
function openDescriptor(path: string, descriptor: number): NodeJS.ReadableStream {
  if (!statSync(path).isSocket())
    return new Socket({ fd: openSync(path, constants.O_RDONLY | noWait), writable: false });
  if (descriptor === 0) return process.stdin;
  throw new UnusableFileError(path, "it is a socket, not a regular file");
}

/**
 * Tells whether this process holds the other end of a pipe. Node's own pipes have low descriptor numbers, which the
 * shell may have used for the user's pipe. Nothing ever arrives through them. Only Linux shows which end a descriptor
 * is.
 */
function isOfThisProgram(ino: number): boolean {
  if (process.platform !== "linux") return false;
  return readdirSync("/proc/self/fd").some((name) => {
    const path = `/proc/self/fd/${name}`;
    const isWritable = ((lstatSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o200) !== 0;
    const stats = isWritable ? statSync(path, { throwIfNoEntry: false }) : undefined;
    return stats?.isFIFO() === true && stats.ino === ino;
  });
}

function pipeNotInherited(path: string, cause?: unknown): UnusableFileError {
  return new UnusableFileError(
    path,
    "the shell's pipe did not reach this program (npm closes low descriptor numbers)",
    {
      nextStep: "Pipe the text to /dev/stdin, or write it to a file.",
      ...(cause !== undefined && { cause }),
    },
  );
}

function tooLong(path: string, maxBytes: number): UnusableFileError {
  return new UnusableFileError(path, `it has more than ${maxBytes / mebibyte} MiB`);
}

function requireRegular(path: string, stats: Parameters<typeof describeKind>[0]): void {
  const kind = describeKind(stats);
  if (kind !== undefined) throw new UnusableFileError(path, kind);
}
