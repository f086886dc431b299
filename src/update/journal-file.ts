import { JournalCorruptError } from "../errors/index.ts";
import { openLineFile } from "../journal/line-file.ts";
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
  const file = await openLineFile(path, (lines) => readLines(path, lines));
  return { state: file.content, write: (entry) => file.write(JSON.stringify(entry)), close: file.close };
}

function readLines(path: string, lines: readonly string[]): JournalState {
  let state = emptyJournalState;
  for (const [index, line] of lines.entries()) {
    const next = advance(state, parseLine(path, index + 1, line));
    if (next === undefined) throw new JournalCorruptError(path, index + 1);
    state = next;
  }
  return state;
}

function parseLine(path: string, number: number, line: string): JournalEntry {
  try {
    return journalEntrySchema.parse(JSON.parse(line));
  } catch (cause) {
    throw new JournalCorruptError(path, number, { cause });
  }
}
