import type { TransactionHash } from "../core/ids.ts";
import type { PolicyCall } from "../core/owner-calls.ts";

/** How a batch was carried out. */
export type BatchMode = "none" | "7702";

/** What became of one call. `pending`: its transaction is signed and on record, and nobody saw its end yet. */
export type CallStatus = "done" | "pending" | "failed" | "notSent";

export interface CallOutcome {
  readonly call: PolicyCall;
  readonly status: CallStatus;
  /** The transaction that carries it. Undefined where none was signed, or a wallet has not told its hash. */
  readonly transactionHash: TransactionHash | undefined;
}

/** One mined transaction of a batch. */
export interface BatchTransaction {
  readonly transactionHash: TransactionHash;
  readonly blockNumber: bigint;
  readonly gasUsed: bigint;
  /** Everything that was paid for it, a rollup's data fee included, in wei. */
  readonly costWei: bigint;
  /** Calls it carried; 0 for the deployment of the executor. */
  readonly calls: number;
  /** Sent by an earlier run and found in the journal. */
  readonly isFromRecord: boolean;
}

export interface BatchResult {
  readonly mode: BatchMode;
  /** Why this mode, for people. */
  readonly reason: string;
  /** One per call asked for, in the order they were carried out. */
  readonly calls: readonly CallOutcome[];
  /** In the order they were mined. */
  readonly transactions: readonly BatchTransaction[];
  /** Of all transactions. */
  readonly gasUsed: bigint;
  /** Of all transactions, in wei. */
  readonly costWei: bigint;
}
