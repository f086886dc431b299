import { zeroAddress } from "viem";
import { z } from "zod";
import {
  batchExecutorAddress,
  batchExecutorDeployment,
  deterministicDeployer,
  encodeExecute,
} from "../../core/batch-executor.ts";
import type { Hex, TransactionHash } from "../../core/ids.ts";
import {
  batchGasCeilingOf,
  executorDeploymentGasCeiling,
  gasCeilingOf,
  undoDelegationGasCeiling,
} from "../../core/order-calls.ts";
import { decodeOwnerCall, type OwnerCall } from "../../core/owner-calls.ts";
import { JournalCorruptError } from "../../errors/index.ts";
import { findContradiction, findForeignSignature } from "./find.ts";
import { acquireLock, openLineFile } from "./journal-file.ts";
import type { PreparedTransaction } from "./prepare.ts";

/** A signed transaction of a batch and its calls. */
export interface BatchEntry {
  readonly transaction: PreparedTransaction;
  readonly calls: readonly OwnerCall[];
  /** Whether it carries its own sender's authorisation, which uses the nonce after the transaction's. */
  readonly authorizes: boolean;
}

/** How a recorded transaction ended. `replaced` and `refused` ones can never be mined any more. */
export type BatchEntryEnd = "mined" | "reverted" | "replaced" | "refused";

/**
 * Records every transaction before it is sent and until its outcome was seen. After a crash, the next run sends the
 * same bytes again instead of new ones.
 */
export interface BatchJournal {
  /** Recorded transactions that have not ended, in the order in which they were signed. */
  readonly open: readonly BatchEntry[];
  prepared(entry: BatchEntry): Promise<void>;
  /** Records the hash of a transaction that a wallet or the node signed, once it reports it. */
  sent(entry: BatchEntry, transactionHash: TransactionHash): Promise<void>;
  ended(entry: BatchEntry, end: BatchEntryEnd): Promise<void>;
}

/** A journal in memory, for tests and for callers that read the chain again before every run. */
export function memoryBatchJournal(): BatchJournal {
  const entries = new OpenEntries();
  return {
    get open() {
      return entries.list();
    },
    prepared: async (entry) => entries.prepared(entry),
    sent: async (entry, transactionHash) => entries.sent(entry, transactionHash),
    ended: async (entry) => entries.ended(entry),
  };
}

/**
 * The open entries of a journal. A chain accepts one transaction per nonce, so each nonce has at most one open entry.
 */
export class OpenEntries {
  readonly #entries = new Map<string, BatchEntry>();

  list(): readonly BatchEntry[] {
    return [...this.#entries.values()];
  }

  /** @throws Error if an open entry has this nonce: a second signature would silently replace the first */
  prepared(entry: BatchEntry): void {
    if (this.#entries.has(keyOf(entry))) throw new Error("The journal has an open transaction with this nonce.");
    this.#entries.set(keyOf(entry), entry);
  }

  /** @throws Error if it is not open */
  sent(entry: BatchKey, transactionHash: TransactionHash): void {
    const known = this.#require(entry);
    const { rawTransaction, transactionHash: ownHash } = known.transaction;
    // Signed bytes have one hash. A wallet may replace the transaction that it signed.
    if (rawTransaction !== undefined && ownHash !== transactionHash)
      throw new Error("The journal has another hash of this transaction's signed bytes.");
    this.#entries.set(keyOf(entry), { ...known, transaction: { ...known.transaction, transactionHash } });
  }

  /** @throws Error if it is not open */
  ended(entry: BatchKey): void {
    this.#require(entry);
    this.#entries.delete(keyOf(entry));
  }

  #require(entry: BatchKey): BatchEntry {
    const known = this.#entries.get(keyOf(entry));
    if (known === undefined) throw new Error("The journal has no open transaction with this nonce.");
    return known;
  }
}

/** Identifies a transaction of a journal. */
export interface BatchKey {
  readonly transaction: Pick<PreparedTransaction, "chainId" | "from" | "nonce">;
}

function keyOf({ transaction: { chainId, from, nonce } }: BatchKey): string {
  return `${chainId} ${from.toLowerCase()} ${nonce}`;
}

/** Returns the sender's next free nonce after the transaction. */
export function nonceAfter({ transaction, authorizes }: BatchEntry): number {
  return transaction.nonce + (authorizes ? 2 : 1);
}

function fixedHex<Value extends Hex>(bytes: number) {
  const pattern = new RegExp(`^0x[0-9a-f]{${bytes * 2}}$`);
  return z.custom<Value>((value) => typeof value === "string" && pattern.test(value), `expected ${bytes} bytes of hex`);
}

const hexData = z.custom<Hex>((value) => typeof value === "string" && /^0x([0-9a-f]{2})*$/.test(value), "expected hex");
const address = fixedHex<Hex>(20);
const transactionHash = fixedHex<TransactionHash>(32);
const wholeNumber = z.string().regex(/^\d{1,78}$/); // wei and gas can exceed JSON's numbers

/** `at` is for human readers. Chain, sender and nonce identify a transaction. */
const line = {
  v: z.literal(1),
  at: z.iso.datetime(),
  chainId: z.int().positive(),
  from: address,
  nonce: z.int().nonnegative(),
};

/** One line of a batch journal. */
export const batchJournalLineSchema = z.discriminatedUnion("type", [
  /** Written before the transaction is sent. Keeps the bytes so that they can be sent again. */
  z.strictObject({
    ...line,
    type: z.literal("prepared"),
    to: address,
    data: hexData,
    gas: wholeNumber,
    maxFeePerGas: wholeNumber,
    maxPriorityFeePerGas: wholeNumber,
    functionName: z.string(),
    /** Both are null if the node or a wallet signs. */
    rawTransaction: hexData.nullable(),
    transactionHash: transactionHash.nullable(),
    authorizes: z.boolean(),
    calls: z.array(z.strictObject({ contract: z.enum(["app", "kms"]), to: address, data: hexData })),
  }),
  z.strictObject({ ...line, type: z.literal("sent"), transactionHash }),
  z.strictObject({ ...line, type: z.literal("ended"), end: z.enum(["mined", "reverted", "replaced", "refused"]) }),
]);

export type BatchJournalLine = z.infer<typeof batchJournalLineSchema>;
export type PreparedLine = Extract<BatchJournalLine, { type: "prepared" }>;

export function toPreparedLine({ transaction, calls, authorizes }: BatchEntry): Omit<PreparedLine, "v" | "at"> {
  const { chainId, from, to, data, nonce, gas, maxFeePerGas, maxPriorityFeePerGas, functionName } = transaction;
  return {
    type: "prepared",
    chainId,
    from: lowerCase(from),
    nonce,
    to: lowerCase(to),
    data: lowerCase(data),
    gas: `${gas}`,
    maxFeePerGas: `${maxFeePerGas}`,
    maxPriorityFeePerGas: `${maxPriorityFeePerGas}`,
    functionName,
    rawTransaction: transaction.rawTransaction ?? null,
    transactionHash: transaction.transactionHash ?? null,
    authorizes,
    calls: calls.map(({ contract, to, data }) => ({ contract, to, data })),
  };
}

/** A journal line makes a claim that is not true. `message` is the end of a sentence. */
export class ContradictionError extends Error {}

/**
 * Reads the entry of a line. The line may come from an untrusted repository, so every field must match the calldata and
 * the signed bytes. Does not check the signatures themselves.
 *
 * @param executors further contracts, besides this package's executor, to which the line may delegate its sender's
 * account
 * @throws ContradictionError
 */
export function fromPreparedLine(line: PreparedLine, executors: readonly Hex[] = []): BatchEntry {
  const { chainId, from, nonce, to, data, authorizes } = line;
  const calls = line.calls.map((raw) => {
    const call = decodeOwnerCall(raw);
    if (call === undefined) throw new ContradictionError("it lists a call that this package does not make");
    return call;
  });
  const shape = findShape(line, calls);
  if (shape === undefined) throw new ContradictionError("its calldata is not that of the calls it lists");
  if (authorizes && shape.delegate === undefined)
    throw new ContradictionError("no call of this kind delegates an account");
  if ((line.rawTransaction === null) !== (line.transactionHash === null))
    throw new ContradictionError("signed bytes and their hash are not both there");
  const transaction = {
    ...{ chainId, from, nonce, to, data, functionName: shape.functionName },
    gas: BigInt(line.gas),
    maxFeePerGas: BigInt(line.maxFeePerGas),
    maxPriorityFeePerGas: BigInt(line.maxPriorityFeePerGas),
    rawTransaction: line.rawTransaction ?? undefined,
    transactionHash: line.transactionHash ?? undefined,
  };
  const delegate = authorizes && shape.delegate ? [shape.delegate, ...executors] : undefined;
  const problem = findContradiction(transaction, { delegate, gasCeiling: shape.gasCeiling });
  if (problem !== undefined) throw new ContradictionError(problem);
  return { transaction, calls, authorizes };
}

interface Shape {
  readonly functionName: string;
  readonly gasCeiling: bigint;
  /** The contract to which a transaction of this kind may delegate its sender's account. */
  readonly delegate?: Hex;
}

/** Finds the kind of transaction, among those that this package sends, that makes these calls. */
function findShape({ from, to, data, authorizes }: PreparedLine, calls: readonly OwnerCall[]): Shape | undefined {
  const [only] = calls;
  if (only === undefined) {
    if (authorizes && to === from && data === "0x")
      return { functionName: "the end of the delegation", gasCeiling: undoDelegationGasCeiling, delegate: zeroAddress };
    const isDeployment = to === deterministicDeployer && data === batchExecutorDeployment;
    return isDeployment
      ? { functionName: "the deployment of the batch executor", gasCeiling: executorDeploymentGasCeiling }
      : undefined;
  }
  if (to === from && data === encodeExecute(calls))
    return {
      functionName: `a batch of ${calls.length} calls`,
      gasCeiling: batchGasCeilingOf(calls),
      delegate: batchExecutorAddress,
    };
  const isSingle = calls.length === 1 && to === only.to && data === only.data;
  return isSingle ? { functionName: only.functionName, gasCeiling: gasCeilingOf(only.functionName) } : undefined;
}

export function lowerCase(hex: Hex): Hex {
  return `0x${hex.slice(2).toLowerCase()}`;
}

/** A journal file that this process holds locked. `close` releases it for other processes. */
export interface BatchJournalFile extends BatchJournal, AsyncDisposable {
  close(): Promise<void>;
}

export interface OpenBatchJournalOptions {
  /** Addresses of the batch executor on chains without the deterministic-deployment proxy, as passed to `sendBatch`. */
  readonly executors?: readonly Hex[] | undefined;
}

type WithoutStamp<Line> = Line extends unknown ? Omit<Line, "v" | "at"> : never;

/**
 * Opens or creates a batch journal on disk. It records signed transactions before they are sent. After a crash, the
 * next batch finishes the interrupted one, and nothing is paid twice. One file serves any number of batches, but only
 * one process at a time. It contains no key.
 *
 * @throws JournalLockedError if another process has it open
 * @throws JournalCorruptError if a line, except an incomplete last one, cannot be read, or contradicts its calldata,
 * its signed bytes or their signature
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
    // Writes one line at a time: the receipts of several transactions may arrive at once.
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
  // Only for transactions that would be sent again: checking a signature takes milliseconds.
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
