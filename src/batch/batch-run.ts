import type { Account, TransactionReceipt } from "viem";
import type { ChainClient } from "../chain/client.ts";
import type { BatchJournal } from "../chain/transactions/journal.ts";
import type { PreparedTransaction } from "../chain/transactions/prepare.ts";
import { parseTransactionHash, type TransactionHash } from "../core/ids.ts";
import type { PolicyCall } from "../core/owner-calls.ts";
import { BatchStoppedError } from "../errors/index.ts";
import type { BatchEvent } from "./batch-event.ts";
import type { BatchMode, BatchResult, BatchTransaction, CallOutcome, CallStatus } from "./batch-result.ts";

export interface BatchSettings {
  readonly client: ChainClient;
  readonly account: Account;
  readonly chainId: number;
  readonly journal: BatchJournal;
  readonly beforeSend: ((prepared: PreparedTransaction) => Promise<void> | void) | undefined;
  readonly onEvent: ((event: BatchEvent) => void) | undefined;
  readonly signal: AbortSignal | undefined;
  /** Transactions that may be under way at once. */
  readonly window: number;
  /** Most gas one transaction may ask for. */
  readonly gasCeiling: bigint;
  readonly confirmations: number | undefined;
  readonly timeoutMs: number | undefined;
  readonly pollIntervalMs: number | undefined;
}

export interface MinedFacts {
  readonly calls: readonly PolicyCall[];
  /** The first nonce the transaction leaves free. */
  readonly nextNonce: number;
  readonly isFromRecord: boolean;
}

/** One batch under way: what it was given, and what has become of its calls so far. */
export class BatchRun {
  readonly settings: BatchSettings;
  /** Lowest nonce the next transaction may have: endpoints behind a balancer may answer with an old count. */
  minimumNonce = 0;
  /** What the next nonce was said to be when the batch was planned: it must not run away from that. */
  knownNonce: number | undefined;
  /** What is left of the gas that all transactions together may ask for. */
  gasLeft: bigint | undefined;
  readonly #calls: Map<string, CallOutcome>;
  readonly #transactions: BatchTransaction[] = [];

  constructor(settings: BatchSettings, calls: readonly PolicyCall[]) {
    this.settings = settings;
    this.#calls = new Map(calls.map((call) => [keyOf(call), { call, status: "notSent", transactionHash: undefined }]));
  }

  /** Calls that no transaction carries yet. */
  get left(): readonly PolicyCall[] {
    return this.#outcomes.filter(({ status }) => status === "notSent").map(({ call }) => call);
  }

  get hasSent(): boolean {
    return this.#outcomes.some(({ status }) => status !== "notSent") || this.#transactions.length > 0;
  }

  get #outcomes(): readonly CallOutcome[] {
    return [...this.#calls.values()];
  }

  /** Calls of a recorded transaction that are not among this batch's are nobody's concern here. */
  mark(calls: readonly PolicyCall[], status: CallStatus, transactionHash?: TransactionHash): void {
    for (const call of calls) {
      const outcome = this.#calls.get(keyOf(call));
      if (outcome === undefined) continue;
      this.#calls.set(keyOf(call), { ...outcome, status, transactionHash: transactionHash ?? outcome.transactionHash });
    }
  }

  mined(receipt: TransactionReceipt, { calls, nextNonce, isFromRecord }: MinedFacts): void {
    const transaction: BatchTransaction = {
      transactionHash: parseTransactionHash(receipt.transactionHash),
      blockNumber: receipt.blockNumber,
      gasUsed: receipt.gasUsed,
      costWei: receipt.gasUsed * receipt.effectiveGasPrice + dataFeeOf(receipt),
      calls: calls.length,
      isFromRecord,
    };
    this.#transactions.push(transaction);
    this.minimumNonce = Math.max(this.minimumNonce, nextNonce);
    if (receipt.status === "success") this.settings.onEvent?.({ kind: "mined", transaction, calls });
  }

  result(mode: BatchMode, reason: string): BatchResult {
    const sum = (field: "gasUsed" | "costWei") =>
      this.#transactions.reduce((total, transaction) => total + transaction[field], 0n);
    return {
      mode,
      reason,
      calls: this.#outcomes,
      transactions: this.#transactions,
      gasUsed: sum("gasUsed"),
      costWei: sum("costWei"),
    };
  }

  /** What to throw: the cause itself while nothing was sent, else an error that tells how far the batch came. */
  stopped(cause: unknown, mode: BatchMode, reason: string): unknown {
    if (!this.hasSent) return cause;
    const count = (status: CallStatus) => this.#outcomes.filter((outcome) => outcome.status === status).length;
    const facts = { done: count("done"), pending: count("pending"), total: this.#calls.size };
    return new BatchStoppedError(facts, this.result(mode, reason), cause);
  }
}

/** What an OP stack rollup charges for publishing a transaction; other chains have no such field. */
function dataFeeOf(receipt: TransactionReceipt & { readonly l1Fee?: string | bigint | null }): bigint {
  return receipt.l1Fee ? BigInt(receipt.l1Fee) : 0n;
}

function keyOf({ to, data }: PolicyCall): string {
  return `${to} ${data}`;
}
