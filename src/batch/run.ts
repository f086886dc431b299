import type { Address } from "viem";
import type { ChainClient } from "../chain/client.ts";
import type { SenderEvent } from "../chain/transactions/follow-context.ts";
import { memoryLedger } from "../chain/transactions/ledger.ts";
import type { LedgerPurpose, LedgerTransaction } from "../chain/transactions/ledger-records.ts";
import { openSender, type Sender } from "../chain/transactions/sender.ts";
import type { SenderParameters, SentTransaction } from "../chain/transactions/sender-parameters.ts";
import type { TransactionHash } from "../core/ids.ts";
import { transactionGasCeiling } from "../core/order-calls.ts";
import { isSameCall, type OwnerCall } from "../core/owner-calls.ts";
import { BatchStoppedError, NoEffectError } from "../errors/index.ts";
import { type ReadEffect, readEffects, requireEffect } from "./require-effect.ts";

/** Parameters shared by everything that pays for a batch or plans one. */
export interface BatchParameters extends Omit<SenderParameters, "onEvent"> {
  readonly onEvent?: ((event: BatchEvent) => void) | undefined;
  /** Maximum gas limit of a transaction. @default 16,777,216 (EIP-7825) */
  readonly gasCeiling?: bigint | undefined;
  /** What the batch is for. @default any change that an owner makes */
  readonly purpose?: Pick<LedgerPurpose, "kind"> | undefined;
}

/** One batch: the sender of its transactions, and the status of its calls so far. */
export class BatchRun implements Disposable {
  readonly client: ChainClient;
  readonly sender: Sender;
  /** Maximum gas limit of one transaction. */
  readonly gasCeiling: bigint;
  readonly #calls: readonly OwnerCall[];
  /** Calls of an earlier run whose effect has gone since. They are sent anew. */
  #undone: readonly OwnerCall[] = [];

  constructor(client: ChainClient, sender: Sender, calls: readonly OwnerCall[], gasCeiling: bigint) {
    this.client = client;
    this.sender = sender;
    this.gasCeiling = gasCeiling;
    this.#calls = calls;
  }

  get account() {
    return this.sender.context.account;
  }

  get chainId(): number {
    return this.sender.context.identity.chainId;
  }

  /** Calls that no transaction carries yet. */
  get left(): readonly OwnerCall[] {
    return this.#outcomes.filter(({ status }) => status === "notSent").map(({ call }) => call);
  }

  /** Calls that may have to be signed: all but those that are done. */
  get unfinished(): readonly OwnerCall[] {
    return this.#outcomes.filter(({ status }) => status !== "done").map(({ call }) => call);
  }

  /**
   * Looks at what earlier runs of the same command did. It counts only while its effect is there. Sends nothing.
   *
   * @throws RpcUnavailableError, LedgerError
   */
  async look(): Promise<void> {
    await this.sender.look();
    const { sent } = this.sender;
    const earlier = sent.filter(isEarlierSuccess);
    const effects = await readEffects(
      this.client,
      this.#calls.filter((call) => earlier.some((one) => carries(one, call))),
    );
    // A server behind a load balancer may answer for a block before the transaction's.
    const isUndone = ({ call, isDone, blockNumber }: ReadEffect) =>
      isDone === false &&
      earlier.some((one) => carries(one, call) && blockNumber >= (one.transaction.proof?.blockNumber ?? 0n));
    this.#undone = effects.filter(isUndone).map(({ call }) => call);
  }

  /**
   * Refuses calls that would change nothing, unless another run has just done them.
   *
   * @throws NoEffectError, RpcUnavailableError
   */
  async requireEffect(): Promise<void> {
    for (;;) {
      const { left } = this;
      try {
        return await requireEffect(this.client, left);
      } catch (error) {
        if (!(error instanceof NoEffectError)) throw error;
        await this.sender.look();
        if (this.left.length === left.length) throw error;
      }
    }
  }

  get #outcomes(): readonly CallOutcome[] {
    const { sent } = this.sender;
    return this.#calls.map((call) => {
      const carriers = sent.filter((one) => carries(one, call));
      const isUndone = this.#undone.some((one) => isSameCall(one, call));
      const outcomes = carriers
        .filter((one) => !(isUndone && isEarlierSuccess(one)))
        .map((one) => ({ call, status: statusOf(one), transactionHash: hashOf(one.transaction) }));
      return (
        outcomes.findLast(({ status }) => status !== "notSent") ?? {
          call,
          status: "notSent",
          transactionHash: undefined,
        }
      );
    });
  }

  result(mode: BatchMode, reason: string): BatchResult {
    const transactions = this.sender.sent.flatMap(toBatchTransaction);
    const sum = (field: "gasUsed" | "costWei") => transactions.reduce((total, one) => total + one[field], 0n);
    return {
      ...{ mode, reason, calls: this.#outcomes, transactions },
      gasUsed: sum("gasUsed"),
      costWei: sum("costWei"),
    };
  }

  /** The error to throw: the cause if nothing was sent, otherwise an error that reports the progress of the batch. */
  stopped(cause: unknown, mode: BatchMode, reason: string): unknown {
    const outcomes = this.#outcomes;
    const result = this.result(mode, reason);
    const hasSent = this.sender.sent.some(({ isSent }) => isSent) || result.transactions.length > 0;
    if (!hasSent) return cause;
    const count = (status: CallStatus) => outcomes.filter((outcome) => outcome.status === status).length;
    const facts = { done: count("done"), pending: count("pending"), total: outcomes.length };
    return new BatchStoppedError(facts, result, cause);
  }

  [Symbol.dispose](): void {
    this.sender.close();
  }
}

function carries({ transaction }: SentTransaction, call: OwnerCall): boolean {
  return transaction.calls.some((one) => isSameCall(one, call));
}

/** Mined in an earlier run: this one has not seen its receipt. */
function isEarlierSuccess({ transaction, receipt, isFromRecord }: SentTransaction): boolean {
  return isFromRecord && transaction.state === "mined" && receipt === undefined;
}

const statusOfState: Readonly<Record<LedgerTransaction["state"], CallStatus>> = {
  ...{ open: "pending", mined: "done", reverted: "failed" },
  ...{ taken: "notSent", cancelled: "notSent", refused: "notSent" },
};

/** A receipt that does not show the call's event makes it failed. */
function statusOf({ transaction, receipt, isProven }: SentTransaction): CallStatus {
  const status = statusOfState[transaction.state];
  return status === "done" && receipt !== undefined && !isProven ? "failed" : status;
}

function hashOf({ proof, attempts }: LedgerTransaction): TransactionHash | undefined {
  return proof?.transactionHash ?? attempts.at(-1)?.transactionHash;
}

/** Only mined transactions that this package sent cost something. */
function toBatchTransaction({
  transaction,
  isFromRecord,
}: Pick<SentTransaction, "transaction" | "isFromRecord">): readonly BatchTransaction[] {
  const { transactionHash, blockNumber, gasUsed, costWei } = transaction.proof ?? {};
  if (transactionHash === undefined || blockNumber === undefined) return [];
  const amounts = { gasUsed: gasUsed ?? 0n, costWei: costWei ?? 0n };
  return [{ transactionHash, blockNumber, ...amounts, calls: transaction.calls.length, isFromRecord }];
}

export interface OpenRunParameters {
  readonly calls: readonly OwnerCall[];
  /** Names the calls, for an error message. */
  readonly title: string;
  /** The batch executor that the caller named. */
  readonly executor?: Address | undefined;
}

/** @throws SignerRequiredError, InvalidHexError, WrongChainError, UnsignedRecordError, RpcUnavailableError, LedgerError */
export async function openRun(
  client: ChainClient,
  { onEvent, gasCeiling = transactionGasCeiling, purpose = { kind: "batch" }, ...rest }: BatchParameters,
  { calls, title, executor }: OpenRunParameters,
): Promise<BatchRun> {
  const { ledger = memoryLedger(), ...parameters } = rest;
  if (executor !== undefined) ledger.acceptExecutor(executor);
  const sender = await openSender(
    client,
    { ...parameters, ledger, onEvent: onEvent && ((event) => onEvent(toBatchEvent(event))) },
    { purpose, calls, title },
  );
  return new BatchRun(client, sender, calls, gasCeiling);
}

function toBatchEvent(event: SenderEvent): BatchEvent {
  if (event.kind !== "mined") return event;
  const [mined] = toBatchTransaction(event);
  if (mined === undefined) throw new TypeError("A mined transaction has a proof.");
  return { kind: "mined", transaction: mined, calls: event.transaction.calls };
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
  /** Whether an earlier run sent it and this run found it in the ledger. */
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
  | { readonly kind: "mined"; readonly transaction: BatchTransaction; readonly calls: readonly OwnerCall[] }
  | Exclude<SenderEvent, { kind: "mined" }>;
