import type { Account, Address, TransactionReceipt } from "viem";
import { parseAccount } from "viem/accounts";
import { type ChainClient, parseAddress, requireSigningChain } from "../chain/client.ts";
import type { WriteParameters } from "../chain/transactions/broadcast.ts";
import { type BatchEntry, type BatchJournal, memoryBatchJournal } from "../chain/transactions/journal.ts";
import type { PreparedTransaction } from "../chain/transactions/prepare.ts";
import { costOf } from "../chain/transactions/price.ts";
import { parseTransactionHash, type TransactionHash } from "../core/ids.ts";
import { transactionGasCeiling } from "../core/order-calls.ts";
import type { OwnerCall } from "../core/owner-calls.ts";
import { BatchStoppedError, SignerRequiredError, UnsignedRecordError } from "../errors/index.ts";

export interface BatchSettings {
  readonly client: ChainClient;
  readonly account: Account;
  readonly chainId: number;
  readonly journal: BatchJournal;
  readonly beforeSend: ((prepared: PreparedTransaction) => Promise<void> | void) | undefined;
  readonly confirmUnsigned: BatchParameters["confirmUnsigned"];
  readonly onEvent: ((event: BatchEvent) => void) | undefined;
  readonly signal: AbortSignal | undefined;
  /** Maximum number of pending transactions. */
  readonly window: number;
  /** Maximum gas limit of one transaction. */
  readonly gasCeiling: bigint;
  readonly confirmations: number | undefined;
  readonly timeoutMs: number | undefined;
  readonly pollIntervalMs: number | undefined;
}

export interface MinedCalls {
  readonly calls: readonly OwnerCall[];
  /** The first nonce after this transaction. */
  readonly nextNonce: number;
  readonly isFromRecord: boolean;
}

/** State of one batch: its settings, and the status of its calls so far. */
export class BatchRun {
  readonly settings: BatchSettings;
  /** Lowest nonce of the next transaction: an endpoint behind a load balancer may return an old count. */
  minimumNonce = 0;
  /** The next nonce when the batch was planned. A later answer must not exceed it by much. */
  knownNonce: number | undefined;
  /** Gas still available of the limit for all transactions together. */
  gasLeft: bigint | undefined;
  readonly #calls: Map<string, CallOutcome>;
  readonly #transactions: BatchTransaction[] = [];

  constructor(settings: BatchSettings, calls: readonly OwnerCall[]) {
    this.settings = settings;
    this.#calls = new Map(calls.map((call) => [keyOf(call), { call, status: "notSent", transactionHash: undefined }]));
  }

  /** Calls that no transaction carries yet. */
  get left(): readonly OwnerCall[] {
    return this.#outcomes.filter(({ status }) => status === "notSent").map(({ call }) => call);
  }

  get hasSent(): boolean {
    return this.#outcomes.some(({ status }) => status !== "notSent") || this.#transactions.length > 0;
  }

  get #outcomes(): readonly CallOutcome[] {
    return [...this.#calls.values()];
  }

  /** Ignores calls of a recorded transaction that do not belong to this batch. */
  mark(calls: readonly OwnerCall[], status: CallStatus, transactionHash?: TransactionHash): void {
    for (const call of calls) {
      const outcome = this.#calls.get(keyOf(call));
      if (outcome === undefined) continue;
      this.#calls.set(keyOf(call), { ...outcome, status, transactionHash: transactionHash ?? outcome.transactionHash });
    }
  }

  mined(receipt: TransactionReceipt, { calls, nextNonce, isFromRecord }: MinedCalls): void {
    const transaction: BatchTransaction = {
      transactionHash: parseTransactionHash(receipt.transactionHash),
      blockNumber: receipt.blockNumber,
      gasUsed: receipt.gasUsed,
      costWei: costOf(receipt),
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

  /** The error to throw: the cause if nothing was sent, otherwise an error that reports the progress of the batch. */
  stopped(cause: unknown, mode: BatchMode, reason: string): unknown {
    if (!this.hasSent) return cause;
    const count = (status: CallStatus) => this.#outcomes.filter((outcome) => outcome.status === status).length;
    const facts = { done: count("done"), pending: count("pending"), total: this.#calls.size };
    return new BatchStoppedError(facts, this.result(mode, reason), cause);
  }
}

function keyOf({ to, data }: OwnerCall): string {
  return `${to} ${data}`;
}

/** Parameters shared by everything that pays for a batch or prepares one. */
export interface BatchParameters extends Pick<WriteParameters, "account" | "chainId" | "beforeSend"> {
  /** Records signed transactions across crashes: see openBatchJournal. @default a journal in memory */
  readonly journal?: BatchJournal | undefined;
  /**
   * Called before a node or a wallet is asked to sign what the journal holds without signed bytes: nothing shows which
   * program wrote that. If it throws, nothing of it is sent. Without it the batch stops there (UnsignedRecordError).
   */
  readonly confirmUnsigned?: ((entry: BatchEntry) => Promise<void> | void) | undefined;
  readonly onEvent?: ((event: BatchEvent) => void) | undefined;
  /** Stops between two transactions. Transactions already sent stay on record. */
  readonly signal?: AbortSignal | undefined;
  /** Maximum number of pending transactions. @default 16, the number that every node keeps for one account */
  readonly window?: number | undefined;
  /** Maximum gas limit of a transaction. @default 16,777,216 (EIP-7825) */
  readonly gasCeiling?: bigint | undefined;
  /** Blocks required for a transaction, counting the block that holds it. @default 1 */
  readonly confirmations?: number | undefined;
  /** Timeout for each receipt. @default 120,000 ms */
  readonly timeoutMs?: number | undefined;
  /** @default the client's polling interval, in ms */
  readonly pollIntervalMs?: number | undefined;
}

/** @throws SignerRequiredError, InvalidHexError, WrongChainError, UnsignedRecordError, RpcUnavailableError */
export async function openRun(
  client: ChainClient,
  parameters: BatchParameters,
  { calls, purpose }: { readonly calls: readonly OwnerCall[]; readonly purpose: string },
): Promise<BatchRun> {
  const account = accountOf(parameters.account ?? client.account, purpose);
  const { journal = memoryBatchJournal(), window, gasCeiling, ...rest } = parameters;
  const chainId = await requireSigningChain(client, { account, chainId: rest.chainId });
  requireSignedRecords({ account, chainId, journal });
  return new BatchRun(
    {
      client,
      account,
      chainId,
      journal,
      beforeSend: rest.beforeSend,
      confirmUnsigned: rest.confirmUnsigned,
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

export type JournalOwner = Pick<BatchSettings, "account" | "chainId" | "journal">;

/** What is open of this account on this chain. */
export function recordedBy({ account, chainId, journal }: JournalOwner): readonly BatchEntry[] {
  return journal.open.filter(
    ({ transaction }) =>
      transaction.chainId === chainId && transaction.from.toLowerCase() === account.address.toLowerCase(),
  );
}

/**
 * Where the key is in this process, every record of it holds the bytes that the key signed.
 *
 * @throws UnsignedRecordError
 */
export function requireSignedRecords(owner: JournalOwner): void {
  if (owner.account.type !== "local") return;
  const unsigned = recordedBy(owner).find(({ transaction }) => transaction.rawTransaction === undefined);
  if (unsigned !== undefined) throw new UnsignedRecordError({ ...unsigned.transaction, isKeyHere: true });
}

function accountOf(account: Account | Address | undefined, purpose: string): Account {
  if (account === undefined) throw new SignerRequiredError([purpose]);
  return parseAccount(typeof account === "string" ? parseAddress("The signer's address", account) : account);
}

/** How a batch is executed. */
export type BatchMode = "none" | "7702";

/** Status of one call. `pending`: its transaction is signed and on record, and its result is not known yet. */
export type CallStatus = "done" | "pending" | "failed" | "notSent";

export interface CallOutcome {
  readonly call: OwnerCall;
  readonly status: CallStatus;
  /** The transaction that carries the call. Undefined if none was signed, or if a wallet has not returned its hash. */
  readonly transactionHash: TransactionHash | undefined;
}

/** One mined transaction of a batch. */
export interface BatchTransaction {
  readonly transactionHash: TransactionHash;
  readonly blockNumber: bigint;
  readonly gasUsed: bigint;
  /** Total cost in wei, including the fees of a rollup. */
  readonly costWei: bigint;
  /** Number of calls in it; 0 for the deployment of the executor. */
  readonly calls: number;
  /** Whether an earlier run sent it and this run found it in the journal. */
  readonly isFromRecord: boolean;
}

export interface BatchResult {
  readonly mode: BatchMode;
  /** Why this mode was chosen, for the user. */
  readonly reason: string;
  /** One per requested call, in execution order. */
  readonly calls: readonly CallOutcome[];
  /** In the order they were mined. */
  readonly transactions: readonly BatchTransaction[];
  /** Of all transactions. */
  readonly gasUsed: bigint;
  /** Of all transactions, in wei. */
  readonly costWei: bigint;
}

/** Events of a running batch, for progress and logs. */
export type BatchEvent =
  | { readonly kind: "chosen"; readonly mode: BatchMode; readonly reason: string }
  | {
      readonly kind: "sent";
      readonly transactionHash: TransactionHash;
      readonly calls: readonly OwnerCall[];
      readonly isFromRecord: boolean;
    }
  | { readonly kind: "mined"; readonly transaction: BatchTransaction; readonly calls: readonly OwnerCall[] };
