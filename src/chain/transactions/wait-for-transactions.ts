import type { ChainClient } from "../client.ts";
import { defaultFinality } from "./chain-identity.ts";
import { type Mined, requireMined, waitForFinality } from "./finality.ts";
import { followTransaction } from "./follow.ts";
import type { LedgerTransaction } from "./ledger-records.ts";
import { nothingIntended } from "./look-at-transactions.ts";
import { openSender } from "./sender.ts";
import type { SenderParameters } from "./sender-parameters.ts";

export interface WaitForTransactionsParameters
  extends Omit<SenderParameters, "beforeSend" | "window" | "ledger">,
    Required<Pick<SenderParameters, "ledger">> {
  /** Recorded transactions of one signer, open or mined. */
  readonly transactions: readonly Pick<LedgerTransaction, "id">[];
}

export type WaitForTransactionsReturnType = readonly Mined[];

/**
 * Waits once for several recorded transactions, until they reach the stage `until`. Sends signed bytes again that got lost,
 * also after a reorganisation. Records how each ended.
 *
 * @throws TransactionRevertedError, TransactionCancelledError, NonceTakenError, ReceiptTimeoutError, FinalityTimeoutError
 * @throws the errors of openSender, TransactionUnderpricedError, InsufficientFundsError
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
  using sender = await openSender(client, parameters, nothingIntended);
  const { context } = sender;
  const ended = await Promise.all(transactions.map((transaction) => followTransaction(context, transaction)));
  const { until = defaultFinality(context.identity), finalityTimeoutMs, typicalFinalityMs } = parameters;
  return waitForFinality(context, {
    ...{ mined: ended.map(requireMined), until },
    ...{ timeoutMs: finalityTimeoutMs, typicalMs: typicalFinalityMs },
  });
}
