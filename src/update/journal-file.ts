import { encodeFunctionData } from "viem";
import { dstackAppAbi } from "../abi/index.ts";
import { findContradiction, findForeignSignature } from "../chain/transactions/find.ts";
import { openLineFile } from "../chain/transactions/journal-file.ts";
import { gasCeilingOf } from "../core/order-calls.ts";
import { JournalCorruptError } from "../errors/index.ts";
import { type EntryOf, type JournalEntry, journalEntrySchema } from "./journal-entry.ts";
import { advance, emptyJournalState, type JournalState } from "./journal-state.ts";

export interface JournalFile {
  /** Of the lines that were there when it was opened. */
  readonly state: JournalState;
  /** Returns once the line is on the disk, not merely on its way. */
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
  // Only of what may be sent again: a signature takes milliseconds, and what was mined is asked of the chain.
  for (const { status, prepared } of state.payments.values()) {
    if (status === "mined") continue;
    const { from, rawTransaction } = prepared;
    const problem = await findForeignSignature({ from, rawTransaction: rawTransaction ?? undefined });
    if (problem !== undefined) throw new JournalCorruptError(path, lineOf.get(prepared) ?? 0, { problem });
  }
  return state;
}

/** The line may come from a repository: it must be the very call of its step, whatever it says besides. */
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
