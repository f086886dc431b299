import { JournalCorruptError } from "../errors/index.ts";
import { openLineFile } from "../journal/line-file.ts";
import { acquireLock } from "../journal/lock.ts";
import { type BatchJournal, type BatchKey, OpenEntries } from "./batch-journal.ts";
import {
  type BatchJournalLine,
  batchJournalLineSchema,
  fromPreparedLine,
  lowerCase,
  toPreparedLine,
} from "./batch-journal-line.ts";

/** A journal that somebody owns: `close` lets others have it. */
export interface BatchJournalFile extends BatchJournal, AsyncDisposable {
  close(): Promise<void>;
}

type WithoutStamp<Line> = Line extends unknown ? Omit<Line, "v" | "at"> : never;

/**
 * Opens a batch journal on disk, or begins it: signed transactions are in it before they are sent, so that a batch a
 * crash has cut short is seen to its end by the next one, and nothing is paid twice. One file serves any number of
 * batches, one process at a time. It holds no key.
 *
 * @throws JournalLockedError while another process has it open
 * @throws JournalCorruptError if a line other than a torn last one cannot be read
 */
export async function openBatchJournal(path: string): Promise<BatchJournalFile> {
  const lock = await acquireLock(path);
  try {
    const file = await openLineFile(path, (lines) => readLines(path, lines));
    const entries = file.content;
    let last: Promise<void> = Promise.resolve();
    // One line at a time: the receipts of several transactions may arrive at once.
    const append = (line: WithoutStamp<BatchJournalLine>) => {
      const mine = last.then(() => file.write(JSON.stringify({ v: 1, at: new Date().toISOString(), ...line })));
      last = mine.catch(() => {});
      return mine;
    };
    const close = async () => {
      await last;
      await file.close();
      await lock.release();
    };
    return {
      get open() {
        return entries.list();
      },
      prepared: async (entry) => {
        entries.prepared(entry);
        try {
          await append(toPreparedLine(entry));
        } catch (error) {
          entries.ended(entry);
          throw error;
        }
      },
      sent: async (entry, transactionHash) => {
        entries.sent(entry, transactionHash);
        await append({ type: "sent", ...keyFields(entry), transactionHash });
      },
      ended: async (entry, end) => {
        await append({ type: "ended", ...keyFields(entry), end });
        entries.ended(entry);
      },
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

function keyFields({ transaction: { chainId, from, nonce } }: BatchKey) {
  return { chainId, from: lowerCase(from), nonce };
}

function readLines(path: string, lines: readonly string[]): OpenEntries {
  const entries = new OpenEntries();
  for (const [index, text] of lines.entries()) {
    try {
      follow(entries, batchJournalLineSchema.parse(JSON.parse(text)));
    } catch (cause) {
      throw new JournalCorruptError(path, index + 1, { cause });
    }
  }
  return entries;
}

function follow(entries: OpenEntries, line: BatchJournalLine): void {
  const { chainId, from, nonce } = line;
  const key = { transaction: { chainId, from, nonce } };
  if (line.type === "prepared") entries.prepared(fromPreparedLine(line));
  else if (line.type === "sent") entries.sent(key, line.transactionHash);
  else entries.ended(key);
}
