import type { PreparedTransaction } from "../chain/prepared-transaction.ts";
import type { PolicyCall } from "../core/batch/policy-call.ts";
import type { TransactionHash } from "../core/ids.ts";

/** A transaction of a batch as it was signed, and what it carries. */
export interface BatchEntry {
  readonly transaction: PreparedTransaction;
  readonly calls: readonly PolicyCall[];
  /** Whether it carries an authorisation of its own sender, which uses the nonce after the transaction's. */
  readonly authorizes: boolean;
}

/** How a recorded transaction ended; `replaced` and `refused` can never be mined any more. */
export type BatchEntryEnd = "mined" | "reverted" | "replaced" | "refused";

/**
 * Remembers every transaction from before it is sent until its end was seen, so that a run after a crash sends the
 * same bytes again instead of new ones.
 */
export interface BatchJournal {
  /** Recorded and not ended, in the order they were signed. */
  readonly open: readonly BatchEntry[];
  prepared(entry: BatchEntry): Promise<void>;
  /** The hash of a transaction that a wallet or the node signed, once it is told. */
  sent(entry: BatchEntry, transactionHash: TransactionHash): Promise<void>;
  ended(entry: BatchEntry, end: BatchEntryEnd): Promise<void>;
}

/** A journal that ends with the process: for tests, and where the caller reads the chain again before every run. */
export function memoryBatchJournal(): BatchJournal {
  const entries = new Map<string, BatchEntry>();
  return {
    get open() {
      return [...entries.values()];
    },
    prepared: async (entry) => void entries.set(keyOf(entry), entry),
    sent: async (entry, transactionHash) =>
      void entries.set(keyOf(entry), { ...entry, transaction: { ...entry.transaction, transactionHash } }),
    ended: async (entry) => void entries.delete(keyOf(entry)),
  };
}

/** A chain takes one transaction per nonce, so at most one recorded one can stand for it. */
export function keyOf({ transaction: { chainId, from, nonce } }: BatchEntry): string {
  return `${chainId} ${from.toLowerCase()} ${nonce}`;
}

/** The first nonce of the sender which the transaction leaves free. */
export function nonceAfter({ transaction, authorizes }: BatchEntry): number {
  return transaction.nonce + (authorizes ? 2 : 1);
}
