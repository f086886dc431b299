import { acquireLock } from "../chain/transactions/journal-file.ts";
import type { JournalEntry, NewJournalEntry } from "./journal-entry.ts";
import { openJournalFile } from "./journal-file.ts";
import { advance, emptyJournalState, type JournalState } from "./journal-state.ts";
import type { JournalPort } from "./ports.ts";

/** A journal that somebody owns: `close` lets others have it. */
export interface Journal extends JournalPort, AsyncDisposable {
  close(): Promise<void>;
}

/**
 * Opens an update journal on disk, or begins it. It remembers every transaction before it is sent, so that an
 * interrupted update goes on where it stopped and pays nothing twice. Keep the file as long as its app lives: one
 * file may serve many updates and many CVMs, one process at a time. It holds no secret.
 *
 * @throws JournalLockedError while another process has it open
 * @throws JournalCorruptError if a line other than a torn last one cannot be read
 */
export async function openJournal(path: string): Promise<Journal> {
  const lock = await acquireLock(path);
  try {
    const file = await openJournalFile(path);
    const close = async () => {
      await file.close();
      await lock.release();
    };
    return buildJournal(file.state, { write: file.write, close });
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** A journal that ends with the process: for tests, and for updates that cannot cost anything. */
export function memoryJournal(entries: readonly JournalEntry[] = []): Journal & { entries(): readonly JournalEntry[] } {
  const written = [...entries];
  let state = emptyJournalState;
  for (const entry of entries) state = follow(state, entry);
  const journal = buildJournal(state, { write: async (entry) => void written.push(entry), close: async () => {} });
  return Object.assign(journal, { entries: () => written });
}

interface JournalStore {
  write(entry: JournalEntry): Promise<void>;
  close(): Promise<void>;
}

function buildJournal(initial: JournalState, store: JournalStore): Journal {
  let state = initial;
  let last: Promise<void> = Promise.resolve();
  const append = async (entry: NewJournalEntry) => {
    const stamped = { v: 1, at: new Date().toISOString(), ...entry } as const;
    const next = follow(state, stamped);
    await store.write(stamped);
    state = next;
  };
  return {
    get state() {
      return state;
    },
    append(entry) {
      // One line at a time: updates of several CVMs may share the journal.
      const mine = last.then(() => append(entry));
      last = mine.catch(() => {});
      return mine;
    },
    close: store.close,
    [Symbol.asyncDispose]: store.close,
  };
}

function follow(state: JournalState, entry: JournalEntry): JournalState {
  const next = advance(state, entry);
  if (next === undefined) throw new Error(`The journal entry ${entry.type} cannot follow what is on record.`);
  return next;
}
