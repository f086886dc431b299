import { encodeFunctionData } from "viem";
import { findContradiction, findForeignSignature } from "../chain/transactions/find.ts";
import { acquireLock, openLineFile } from "../chain/transactions/journal-file.ts";
import { gasCeilingOf } from "../core/order-calls.ts";
import { JournalCorruptError } from "../errors/index.ts";
import { dstackAppAbi } from "../generated/abi.ts";
import {
  advance,
  type EntryOf,
  emptyJournalState,
  type JournalEntry,
  type JournalState,
  journalEntrySchema,
  type NewJournalEntry,
} from "./journal-state.ts";
import type { JournalPort } from "./ports.ts";

/** A journal that this process has locked. `close` releases it for other processes. */
export interface Journal extends JournalPort, AsyncDisposable {
  close(): Promise<void>;
}

/**
 * Opens or creates an update journal on disk. The journal records every transaction before it is sent, so an
 * interrupted update continues where it stopped and never pays twice. Keep the file for the lifetime of the app. One
 * file may serve many updates and many CVMs, but only one process at a time. It contains no secret.
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

/** A journal in memory, lost when the process ends: for tests, and for updates that cannot cost anything. */
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
      // Append one line at a time, because updates of several CVMs may share the journal.
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

export interface JournalFile {
  /** The state after the lines that the file had when it was opened. */
  readonly state: JournalState;
  /** Returns when the line is on disk, not only in a buffer. */
  write(entry: JournalEntry): Promise<void>;
  close(): Promise<void>;
}

/** @throws JournalCorruptError, UnusableFileError */
export async function openJournalFile(path: string): Promise<JournalFile> {
  const file = await openLineFile(path, (lines) => readLines(path, lines));
  return { state: file.content, write: (entry) => file.write(JSON.stringify(entry)), close: file.close };
}

async function readLines(path: string, lines: readonly string[]): Promise<JournalState> {
  let state = emptyJournalState;
  const lineOf = new Map<JournalEntry, number>();
  for (const [index, line] of lines.entries()) {
    const entry = parseLine(path, index + 1, line);
    const problem = entry.type === "prepared" ? findLie(entry) : undefined;
    if (problem !== undefined) throw new JournalCorruptError(path, index + 1, { problem });
    const next = advance(state, entry);
    if (next === undefined) throw new JournalCorruptError(path, index + 1);
    lineOf.set(entry, index + 1);
    state = next;
  }
  // Check signatures only for transactions that may be sent again: one check takes milliseconds, and the chain itself
  // confirms mined transactions.
  for (const { status, prepared } of state.payments.values()) {
    if (status === "mined") continue;
    const { from, rawTransaction } = prepared;
    const problem = await findForeignSignature({ from, rawTransaction: rawTransaction ?? undefined });
    if (problem !== undefined) throw new JournalCorruptError(path, lineOf.get(prepared) ?? 0, { problem });
  }
  return state;
}

/** The file may come from a repository, so a line must encode exactly the call of its step. */
function findLie(line: EntryOf<"prepared">): string | undefined {
  const { appId, step, value, to, data, rawTransaction, transactionHash } = line;
  if (to !== appId) return "its target is not its app";
  if (data !== encodeFunctionData({ abi: dstackAppAbi, functionName: step, args: [value] }))
    return `its calldata is not ${step} of its value`;
  if ((rawTransaction === null) !== (transactionHash === null)) return "signed bytes and their hash are not both there";
  const recorded = {
    ...line,
    gas: BigInt(line.gas),
    maxFeePerGas: BigInt(line.maxFeePerGas),
    maxPriorityFeePerGas: BigInt(line.maxPriorityFeePerGas),
    rawTransaction: rawTransaction ?? undefined,
    transactionHash: transactionHash ?? undefined,
  };
  return findContradiction(recorded, { gasCeiling: gasCeilingOf(step) });
}

function parseLine(path: string, number: number, line: string): JournalEntry {
  try {
    return journalEntrySchema.parse(JSON.parse(line));
  } catch (cause) {
    throw new JournalCorruptError(path, number, { cause });
  }
}
