import type { TransactionHash } from "../../core/ids.ts";
import { mapLimited } from "../../core/map-limited.ts";
import type { ChainClient } from "../client.ts";
import { type Mined, requireMined, waitForFinality } from "./finality.ts";
import { followTransaction } from "./follow.ts";
import { type Ended, openContext } from "./follow-context.ts";
import type { Ledger } from "./ledger.ts";
import type { LedgerTransaction } from "./ledger-records.ts";
import { readOutcome } from "./outcome.ts";
import type { SenderParameters } from "./sender-parameters.ts";

export interface LookAtTransactionsParameters {
  readonly ledger: Ledger;
  readonly chainId: number;
  /** Of the client's chain. Those that have ended are returned as they are. */
  readonly transactions: readonly LedgerTransaction[];
  /** The mined transaction that used the nonce of an open one, as the caller found it elsewhere. */
  readonly transactionHash?: TransactionHash | undefined;
}

export interface SeenTransaction {
  readonly transaction: LedgerTransaction;
  /** Whether it is open, its nonce is used, and the endpoint does not show by which transaction. */
  readonly isNonceUsed: boolean;
}

/** What needs an account here, for the error message. */
const title = "waiting for transactions";

/** Endpoints limit the number of parallel requests. */
const requestsAtOnce = 8;

/**
 * Looks how open transactions ended, and records that. Needs no key and sends nothing.
 *
 * @throws WrongChainError, RpcUnavailableError, LedgerError
 * @throws InvalidArgumentError if `transactionHash` is not the transaction that used the nonce
 */
export async function lookAtTransactions(
  client: ChainClient,
  { transactions, ...parameters }: LookAtTransactionsParameters,
): Promise<readonly SeenTransaction[]> {
  const open = transactions.find(({ state }) => state === "open");
  if (open === undefined) return transactions.map((transaction) => ({ transaction, isNonceUsed: false }));
  using context = await openContext(client, { ...parameters, account: open.from }, title);
  const look = async (transaction: LedgerTransaction): Promise<SeenTransaction> => {
    if (transaction.state !== "open") return { transaction, isNonceUsed: false };
    const outcome = await readOutcome(context, transaction, { isDue: true });
    return typeof outcome === "object"
      ? { transaction: outcome.transaction, isNonceUsed: false }
      : { transaction, isNonceUsed: outcome === "nonceUsed" };
  };
  return mapLimited(transactions, look, { limit: requestsAtOnce });
}

interface WaitParameters extends Omit<SenderParameters, "beforeSend" | "window" | "ledger"> {
  readonly ledger: Ledger;
}

export interface SettleTransactionParameters extends WaitParameters {
  readonly transaction: Pick<LedgerTransaction, "id">;
}

/**
 * Waits until one recorded transaction has ended, whichever of its attempts is mined, and until that
 * reaches the stage `until`. Records how it ended.
 *
 * @throws ReceiptTimeoutError, FinalityTimeoutError, NonceTakenError, and the errors of openContext and followTransaction
 */
export async function settleTransaction(
  client: ChainClient,
  { transaction, ...parameters }: SettleTransactionParameters,
): Promise<Ended> {
  using context = await openContext(client, parameters, title);
  const ended = await followTransaction(context, transaction, { isJustSent: true });
  if (ended.receipt === undefined || ended.transaction.state === "reverted") return ended;
  const [final = ended] = await waitForFinality(context, [ended], parameters);
  return final;
}

export interface WaitForTransactionsParameters extends WaitParameters {
  /** Recorded transactions of one signer, open or mined. */
  readonly transactions: readonly Pick<LedgerTransaction, "id">[];
}

export type WaitForTransactionsReturnType = readonly Mined[];

/**
 * Waits once for several recorded transactions, until they reach the stage `until`. Sends signed bytes again that got lost,
 * also after a reorganisation. Records how each ended.
 *
 * @throws TransactionRevertedError, TransactionCancelledError, NonceTakenError, ReceiptTimeoutError, FinalityTimeoutError
 * @throws SignerRequiredError, WrongChainError, UnsignedRecordError, TransactionUnderpricedError, InsufficientFundsError,
 * RpcUnavailableError, LedgerError
 *
 * @example
 * import { waitForTransactions } from "dstack-toolkit";
 * import { client, ledger } from "./app.js";
 * const transactions = ledger.transactions({ states: ["open"] });
 * const mined = await waitForTransactions(client, { ledger, transactions, until: "finalized" });
 * console.log(mined.map(({ receipt }) => receipt.blockNumber));
 */
export async function waitForTransactions(
  client: ChainClient,
  { transactions, ...parameters }: WaitForTransactionsParameters,
): Promise<WaitForTransactionsReturnType> {
  using context = await openContext(client, parameters, title);
  const ended = await Promise.all(transactions.map((transaction) => followTransaction(context, transaction)));
  return waitForFinality(context, ended.map(requireMined), parameters);
}
