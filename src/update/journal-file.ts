import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { JournalCorruptError } from "../errors/index.ts";
import { type JournalEntry, journalEntrySchema } from "./journal-entry.ts";
import { advance, emptyJournalState, type JournalState } from "./journal-state.ts";

export interface JournalFile {
  /** Of the lines that were there when it was opened. */
  readonly state: JournalState;
  /** Returns once the line is on the disk, not merely on its way. */
  write(entry: JournalEntry): Promise<void>;
  close(): Promise<void>;
}

/** @throws JournalCorruptError */
export async function openJournalFile(path: string): Promise<JournalFile> {
  // Signed transactions are in it: whoever reads them could send them.
  const handle = await open(path, "a+", 0o600);
  try {
    await handle.chmod(0o600);
    const bytes = await handle.readFile();
    // Every write ends in a line feed, and nothing is done before its write has returned: what follows the last
    // one was cut short by a crash, and nothing rests on it.
    const end = bytes.lastIndexOf("\n") + 1;
    const state = readLines(path, bytes.subarray(0, end));
    if (end < bytes.length) await handle.truncate(end);
    await handle.sync();
    await syncDirectory(dirname(path));
    return { state, write: writerOf(handle, end), close: () => handle.close() };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function writerOf(handle: FileHandle, start: number): JournalFile["write"] {
  let end = start;
  let broken: unknown;
  return async (entry) => {
    if (broken !== undefined) throw broken;
    const line = Buffer.from(`${JSON.stringify(entry)}\n`);
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

function readLines(path: string, bytes: Uint8Array): JournalState {
  let state = emptyJournalState;
  const lines = decode(path, bytes).split("\n").slice(0, -1);
  for (const [index, line] of lines.entries()) {
    const next = advance(state, parseLine(path, index + 1, line));
    if (next === undefined) throw new JournalCorruptError(path, index + 1);
    state = next;
  }
  return state;
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

function parseLine(path: string, number: number, line: string): JournalEntry {
  try {
    return journalEntrySchema.parse(JSON.parse(line));
  } catch (cause) {
    throw new JournalCorruptError(path, number, { cause });
  }
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
