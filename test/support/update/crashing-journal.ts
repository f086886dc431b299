import type { NewJournalEntry } from "../../../src/update/journal-state.ts";
import type { JournalPort } from "../../../src/update/ports.ts";

export class Crash extends Error {
  override readonly name = "Crash";
}

export interface CrashPoint {
  /** Counts the writes of one run, from 0. */
  readonly write: number;
  readonly when: "before" | "after";
}

/** A journal whose process ends at one of its writes: no later code runs. */
export function crashingJournal(
  journal: JournalPort,
  point: CrashPoint | undefined,
  die: () => void = crash,
): JournalPort {
  let write = 0;
  return hookedJournal(journal, {
    before: () => {
      if (point?.when === "before" && point.write === write) die();
    },
    after: () => {
      const isHere = point?.write === write++;
      if (isHere && point?.when === "after") die();
    },
  });
}

export interface JournalHooks {
  readonly before?: (entry: NewJournalEntry) => Promise<void> | void;
  readonly after?: (entry: NewJournalEntry) => Promise<void> | void;
}

/** Runs something at the writes of a journal, which are the moments between two effects. */
export function hookedJournal(journal: JournalPort, { before, after }: JournalHooks): JournalPort {
  return {
    get state() {
      return journal.state;
    },
    async append(entry) {
      await before?.(entry);
      await journal.append(entry);
      await after?.(entry);
    },
  };
}

function crash(): never {
  throw new Crash();
}
