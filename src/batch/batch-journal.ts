import type { PreparedTransaction } from "../chain/prepared-transaction.ts";
import type { TransactionHash } from "../core/ids.ts";
import type { PolicyCall } from "../core/owner-calls.ts";

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

/** The entries of a journal that have not ended. A chain takes one transaction per nonce: at most one is open for it. */
export class OpenEntries {
  readonly #entries = new Map<string, BatchEntry>();

  list(): readonly BatchEntry[] {
    return [...this.#entries.values()];
  }

  /** @throws Error if an open one has the nonce: signing a second would give the first up in silence */
  prepared(entry: BatchEntry): void {
    if (this.#entries.has(keyOf(entry))) throw new Error("The journal has an open transaction with this nonce.");
    this.#entries.set(keyOf(entry), entry);
  }

  /** @throws Error if it is not open */
  sent(entry: BatchKey, transactionHash: TransactionHash): void {
    const known = this.#require(entry);
    const { rawTransaction, transactionHash: ownHash } = known.transaction;
    // Signed bytes have one hash; a wallet may replace what it signed.
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

/** What tells one transaction of a journal from another. */
export interface BatchKey {
  readonly transaction: Pick<PreparedTransaction, "chainId" | "from" | "nonce">;
}

function keyOf({ transaction: { chainId, from, nonce } }: BatchKey): string {
  return `${chainId} ${from.toLowerCase()} ${nonce}`;
}

/** The first nonce of the sender which the transaction leaves free. */
export function nonceAfter({ transaction, authorizes }: BatchEntry): number {
  return transaction.nonce + (authorizes ? 2 : 1);
}
