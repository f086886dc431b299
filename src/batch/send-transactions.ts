import type { Address, SignedAuthorization } from "viem";
import { getBalance } from "viem/actions";
import { duringRpc, errorChain, errorText } from "../chain/rpc-errors.ts";
import { broadcastTransaction } from "../chain/transactions/broadcast.ts";
import { type BatchEntry, nonceAfter } from "../chain/transactions/journal.ts";
import { readFees, readNextNonce, signTransaction } from "../chain/transactions/prepare.ts";
import type { Hex } from "../core/ids.ts";
import type { PolicyCall } from "../core/owner-calls.ts";
import {
  DelegationUnsupportedError,
  ImplausibleAnswerError,
  InsufficientFundsError,
  RpcUnavailableError,
} from "../errors/index.ts";
import type { BatchRun } from "./batch-run.ts";
import { followTransaction } from "./follow-transaction.ts";

/** A transaction whose price and nonce are still open. */
export interface PlannedTransaction {
  readonly to: Address;
  readonly data: Hex;
  /** Gas limit. */
  readonly gas: bigint;
  readonly functionName: string;
  readonly calls: readonly PolicyCall[];
  /** Signs the authorisation for the transaction's own nonce. */
  readonly authorize?: ((transactionNonce: number) => Promise<SignedAuthorization>) | undefined;
}

/**
 * Signs, records and sends transactions with consecutive nonces, several under way at a time, and waits until each
 * is mined and proven. The first fault ends the sending; what is under way is still waited for.
 */
export async function sendTransactions(run: BatchRun, planned: readonly PlannedTransaction[]): Promise<void> {
  const { client, account, window, signal } = run.settings;
  let [nonce, fees] = await Promise.all([nextNonceOf(run), readFees(client)]);
  const limit = planned.reduce((gas, transaction) => gas + transaction.gas, 0n);
  const { gasLeft = limit } = run;
  if (limit > gasLeft) {
    throw new ImplausibleAnswerError({ what: "the gas of the batch's next transactions", told: limit, most: gasLeft });
  }
  if (run.gasLeft !== undefined) run.gasLeft -= limit;
  const balance = await duringRpc("reading the balance", () => getBalance(client, { address: account.address }));
  const highestPrice = limit * fees.maxFeePerGas;
  if (balance < highestPrice) throw new InsufficientFundsError(account.address, balance, highestPrice);

  const underWay = new Set<Promise<void>>();
  const faults: unknown[] = [];
  for (const [index, transaction] of planned.entries()) {
    if (underWay.size >= window) await Promise.race(underWay);
    if (signal?.aborted) faults.push(signal.reason);
    if (faults.length > 0) break;
    if (index > 0 && index % window === 0) fees = await readFees(client);
    let entry: BatchEntry;
    try {
      entry = await send(run, await sign(run, transaction, nonce, fees));
    } catch (error) {
      faults.push(error);
      break;
    }
    nonce = nonceAfter(entry);
    const end = followTransaction(run, entry, { isFromRecord: false })
      .catch((error: unknown) => void faults.push(error))
      .finally(() => underWay.delete(end));
    underWay.add(end);
  }
  await Promise.all(underWay);
  if (faults.length > 0) throw faults[0];
}

/** Transactions that wait are counted. @throws ImplausibleAnswerError, RpcUnavailableError */
export async function nextNonceOf(run: BatchRun): Promise<number> {
  const { client, account } = run.settings;
  const { knownNonce, minimumNonce } = run;
  const known = knownNonce === undefined ? undefined : Math.max(knownNonce, minimumNonce);
  return Math.max(await readNextNonce(client, { address: account.address, known }), minimumNonce);
}

async function sign(
  run: BatchRun,
  { calls, authorize, ...transaction }: PlannedTransaction,
  nonce: number,
  fees: Awaited<ReturnType<typeof readFees>>,
): Promise<BatchEntry> {
  const { client, account, chainId } = run.settings;
  const signed = await signTransaction(client, {
    account,
    transaction: { ...transaction, chainId, nonce, ...fees },
    authorization: await authorize?.(nonce),
  });
  return { transaction: signed, calls, authorizes: authorize !== undefined };
}

/** Nothing leaves before the caller and the journal have it. Answers the entry with its hash. */
async function send(run: BatchRun, entry: BatchEntry): Promise<BatchEntry> {
  const { client, journal, beforeSend, onEvent } = run.settings;
  const { transaction, calls } = entry;
  await beforeSend?.(transaction);
  await journal.prepared(entry);
  run.mark(calls, "pending", transaction.transactionHash);
  const transactionHash = await broadcastTransaction(client, transaction).catch(async (error: unknown) => {
    if (!entry.authorizes || !isUnknownType(error)) throw error;
    await journal.ended(entry, "refused");
    run.mark(calls, "notSent");
    throw new DelegationUnsupportedError("the node refuses EIP-7702 transactions", { cause: error });
  });
  if (transaction.transactionHash === undefined) await journal.sent(entry, transactionHash);
  run.mark(calls, "pending", transactionHash);
  onEvent?.({ kind: "sent", transactionHash, calls, isFromRecord: false });
  return { ...entry, transaction: { ...transaction, transactionHash } };
}

/** A node that cannot read a transaction of type 4 cannot have passed it on either. */
function isUnknownType(error: unknown): boolean {
  return (
    error instanceof RpcUnavailableError &&
    errorChain(error).some((link) => /(?:transaction|tx)[ -]type|type (?:is )?not supported/i.test(errorText(link)))
  );
}
