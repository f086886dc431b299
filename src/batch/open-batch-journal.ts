import { findForeignSignature } from "../chain/check-recorded-transaction.ts";
import type { Hex } from "../core/ids.ts";
import { JournalCorruptError } from "../errors/index.ts";
import { openLineFile } from "../journal/line-file.ts";
import { acquireLock } from "../journal/lock.ts";
import { type BatchJournal, type BatchKey, OpenEntries } from "./batch-journal.ts";
import {
  type BatchJournalLine,
  batchJournalLineSchema,
  ContradictionError,
  fromPreparedLine,
  lowerCase,
  toPreparedLine,
} from "./batch-journal-line.ts";

/** A journal that somebody owns: `close` lets others have it. */
export interface BatchJournalFile extends BatchJournal, AsyncDisposable {
  close(): Promise<void>;
}

export interface OpenBatchJournalOptions {
  /** Where the batch executor is on chains without the deterministic-deployment proxy, as it is named to `sendBatch`. */
  readonly executors?: readonly Hex[] | undefined;
}

type WithoutStamp<Line> = Line extends unknown ? Omit<Line, "v" | "at"> : never;

/**
 * Opens a batch journal on disk, or begins it: signed transactions are in it before they are sent, so that a batch a
 * crash has cut short is seen to its end by the next one, and nothing is paid twice. One file serves any number of
 * batches, one process at a time. It holds no key.
 *
 * @throws JournalLockedError while another process has it open
 * @throws JournalCorruptError if a line other than a torn last one cannot be read, or claims what its calldata, its
 * signed bytes or their signature do not hold
 * @throws UnusableFileError if the file is a link or a device, or may come from a repository or another user
 */
export async function openBatchJournal(
  path: string,
  { executors = [] }: OpenBatchJournalOptions = {},
): Promise<BatchJournalFile> {
  const lock = await acquireLock(path);
  try {
    const file = await openLineFile(path, (lines) => readLines(path, lines, executors));
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

async function readLines(path: string, lines: readonly string[], executors: readonly Hex[]): Promise<OpenEntries> {
  const entries = new OpenEntries();
  const lineOf = new Map<string, number>();
  for (const [index, text] of lines.entries()) {
    try {
      const line = batchJournalLineSchema.parse(JSON.parse(text));
      follow(entries, line, executors);
      if (line.type === "prepared" && line.rawTransaction !== null) lineOf.set(line.rawTransaction, index + 1);
    } catch (cause) {
      const problem = cause instanceof ContradictionError ? cause.message : undefined;
      throw new JournalCorruptError(path, index + 1, { cause, problem });
    }
  }
  // Only of what would be sent again: a signature takes milliseconds.
  for (const { transaction } of entries.list()) {
    const problem = await findForeignSignature(transaction);
    const line = lineOf.get(transaction.rawTransaction ?? "") ?? 0;
    if (problem !== undefined) throw new JournalCorruptError(path, line, { problem });
  }
  return entries;
}

function follow(entries: OpenEntries, line: BatchJournalLine, executors: readonly Hex[]): void {
  const { chainId, from, nonce } = line;
  const key = { transaction: { chainId, from, nonce } };
  if (line.type === "prepared") entries.prepared(fromPreparedLine(line, executors));
  else if (line.type === "sent") entries.sent(key, line.transactionHash);
  else entries.ended(key);
}
