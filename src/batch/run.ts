import type { Account, Address, TransactionReceipt } from "viem";
import { parseAccount } from "viem/accounts";
import { type ChainClient, parseAddress, requireSigningChain } from "../chain/client.ts";
import type { WriteParameters } from "../chain/transactions/broadcast.ts";
import { type BatchJournal, memoryBatchJournal } from "../chain/transactions/journal.ts";
import type { PreparedTransaction } from "../chain/transactions/prepare.ts";
import { parseTransactionHash, type TransactionHash } from "../core/ids.ts";
import { transactionGasCeiling } from "../core/order-calls.ts";
import type { PolicyCall } from "../core/owner-calls.ts";
import { BatchStoppedError, SignerRequiredError } from "../errors/index.ts";

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

/** What everything takes that pays for a batch or around one. */
export interface BatchParameters extends Pick<WriteParameters, "account" | "chainId" | "beforeSend"> {
  /** Remembers what was signed across crashes: openBatchJournal. By default it is remembered in memory. */
  readonly journal?: BatchJournal | undefined;
  readonly onEvent?: ((event: BatchEvent) => void) | undefined;
  /** Stops between two transactions. What is sent stays sent, and on record. */
  readonly signal?: AbortSignal | undefined;
  /** Transactions under way at once. @default 16, what every node keeps for one account */
  readonly window?: number | undefined;
  /** Most gas a transaction may ask for. @default 16,777,216 (EIP-7825) */
  readonly gasCeiling?: bigint | undefined;
  /** Blocks that must hold a transaction or follow it. @default 1 */
  readonly confirmations?: number | undefined;
  /** How long to wait for each receipt. @default 120,000 ms */
  readonly timeoutMs?: number | undefined;
  /** @default the client's polling interval, in ms */
  readonly pollIntervalMs?: number | undefined;
}

/** @throws SignerRequiredError, InvalidHexError, WrongChainError, RpcUnavailableError */
export async function openRun(
  client: ChainClient,
  parameters: BatchParameters,
  { calls, purpose }: { readonly calls: readonly PolicyCall[]; readonly purpose: string },
): Promise<BatchRun> {
  const account = accountOf(parameters.account ?? client.account, purpose);
  const { chainId, journal, window, gasCeiling, ...rest } = parameters;
  return new BatchRun(
    {
      client,
      account,
      chainId: await requireSigningChain(client, { account, chainId }),
      journal: journal ?? memoryBatchJournal(),
      beforeSend: rest.beforeSend,
      onEvent: rest.onEvent,
      signal: rest.signal,
      window: window ?? 16,
      gasCeiling: gasCeiling ?? transactionGasCeiling,
      confirmations: rest.confirmations,
      timeoutMs: rest.timeoutMs,
      pollIntervalMs: rest.pollIntervalMs,
    },
    calls,
  );
}

function accountOf(account: Account | Address | undefined, purpose: string): Account {
  if (account === undefined) throw new SignerRequiredError([purpose]);
  return parseAccount(typeof account === "string" ? parseAddress("The signer's address", account) : account);
}

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

/** What a batch tells while it runs, for progress and logs. */
export type BatchEvent =
  | { readonly kind: "chosen"; readonly mode: BatchMode; readonly reason: string }
  | {
      readonly kind: "sent";
      readonly transactionHash: TransactionHash;
      readonly calls: readonly PolicyCall[];
      readonly isFromRecord: boolean;
    }
  | { readonly kind: "mined"; readonly transaction: BatchTransaction; readonly calls: readonly PolicyCall[] };
