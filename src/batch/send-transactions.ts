import type { Address, SignedAuthorization, TransactionReceipt } from "viem";
import { getTransactionReceipt } from "viem/actions";
import { errorChain, errorText } from "../chain/rpc-errors.ts";
import { broadcastTransaction, sendPreparedTransaction } from "../chain/transactions/broadcast.ts";
import { readFees } from "../chain/transactions/fees.ts";
import { findNonceTaker } from "../chain/transactions/find.ts";
import { type BatchEntry, nonceAfter } from "../chain/transactions/journal.ts";
import { readNextNonce, signTransaction } from "../chain/transactions/prepare.ts";
import { requireFunds } from "../chain/transactions/price.ts";
import { waitForReceipt } from "../chain/transactions/receipt.ts";
import type { Hex, TransactionHash } from "../core/ids.ts";
import { type OwnerCall, proveCalls } from "../core/owner-calls.ts";
import {
  DelegationUnsupportedError,
  ImplausibleAnswerError,
  NonceTakenError,
  RpcUnavailableError,
  TransactionRevertedError,
  UnsignedRecordError,
} from "../errors/index.ts";
import { type BatchRun, type BatchSettings, type JournalOwner, recordedBy, requireSignedRecords } from "./run.ts";

/** A transaction without fees and nonce. */
export interface PlannedTransaction {
  readonly to: Address;
  readonly data: Hex;
  /** Gas limit. */
  readonly gas: bigint;
  readonly functionName: string;
  readonly calls: readonly OwnerCall[];
  /** Signs the authorisation for the transaction's own nonce. */
  readonly authorize?: ((transactionNonce: number) => Promise<SignedAuthorization>) | undefined;
}

/**
 * Signs, records and sends transactions with consecutive nonces, several pending at a time, and waits until each is
 * mined and proven. The first error stops the sending; pending transactions are still waited for.
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
  await requireFunds(client, {
    address: account.address,
    transactions: planned.map(({ to, data, gas, authorize }) => ({
      ...{ to, data, gasLimit: gas, authorizes: authorize !== undefined },
    })),
    fees,
  });

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

/** Counts pending transactions too. @throws ImplausibleAnswerError, RpcUnavailableError */
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

/** Calls `beforeSend` and writes the journal before it sends. Returns the entry with its hash. */
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

/** A node that rejects transactions of type 4 cannot have forwarded it either. */
function isUnknownType(error: unknown): boolean {
  return (
    error instanceof RpcUnavailableError &&
    errorChain(error).some((link) => /(?:transaction|tx)[ -]type|type (?:is )?not supported/i.test(errorText(link)))
  );
}

/**
 * Completes the transactions that earlier runs recorded: sends the same bytes again and waits for their receipts. If
 * another mined transaction has used the nonce, the signed bytes are given up and their calls are open again. If a node
 * or a wallet signed, the run stops there, because the user must first check what was sent.
 *
 * @throws NonceTakenError, UnsignedRecordError
 */
export async function resumeJournal(run: BatchRun): Promise<void> {
  for (const entry of recordedBy(run.settings)) await resumeTransaction(run, entry);
}

/** Gives up recorded transactions whose nonce another mined transaction has used. Sends nothing. @throws UnsignedRecordError */
export async function giveUpReplaced(settings: JournalOwner & Pick<BatchSettings, "client">): Promise<void> {
  const { client, journal } = settings;
  requireSignedRecords(settings);
  for (const entry of recordedBy(settings)) {
    const taker = await findNonceTaker(client, entry.transaction);
    if (taker.kind === "mined") await journal.ended(entry, "replaced");
  }
}

async function resumeTransaction(run: BatchRun, entry: BatchEntry): Promise<void> {
  const { client, journal, onEvent } = run.settings;
  const { transaction, calls } = entry;
  let transactionHash: TransactionHash;
  const confirmUnsigned = async () => {
    if (run.settings.confirmUnsigned === undefined) throw new UnsignedRecordError({ ...transaction, isKeyHere: false });
    await run.settings.confirmUnsigned(entry);
  };
  try {
    transactionHash = await sendPreparedTransaction(client, transaction, { confirmUnsigned });
  } catch (error) {
    if (!(error instanceof NonceTakenError)) throw error;
    const { from, nonce } = transaction;
    const taker = error.taker ?? (await findNonceTaker(client, transaction));
    if (taker.kind !== "mined" && taker.kind !== "same") {
      throw new NonceTakenError(from, nonce, transaction.transactionHash, taker);
    }
    if (taker.kind === "mined") {
      await journal.ended(entry, "replaced");
      run.mark(calls, "notSent");
      if (transaction.rawTransaction !== undefined) return;
      throw new NonceTakenError(from, nonce, transaction.transactionHash, taker);
    }
    transactionHash = taker.transactionHash;
  }
  if (transaction.transactionHash === undefined) await journal.sent(entry, transactionHash);
  run.mark(calls, "pending", transactionHash);
  onEvent?.({ kind: "sent", transactionHash, calls, isFromRecord: true });
  const sent = { ...entry, transaction: { ...transaction, transactionHash } };
  await followTransaction(run, sent, { isFromRecord: true });
}

/**
 * Waits for a sent transaction, and requires the event of every call it carries. The entry stays open in the journal
 * until the result is known.
 *
 * @throws TransactionRevertedError, ReceiptTimeoutError, ReceiptMismatchError
 */
export async function followTransaction(
  run: BatchRun,
  entry: BatchEntry,
  { isFromRecord }: { readonly isFromRecord: boolean },
): Promise<void> {
  const { journal } = run.settings;
  const { transaction, calls } = entry;
  const facts = { calls, nextNonce: nonceAfter(entry), isFromRecord };
  const { transactionHash, functionName } = transaction;
  if (transactionHash === undefined) throw new TypeError(`${functionName} was not sent.`);
  try {
    const receipt = await wait(run, transactionHash, functionName);
    run.mined(receipt, facts);
    await journal.ended(entry, "mined");
    run.mark(calls, "failed", transactionHash);
    proveCalls(receipt, calls);
    run.mark(calls, "done", transactionHash);
  } catch (error) {
    if (error instanceof TransactionRevertedError) {
      run.mark(calls, "failed", transactionHash);
      // Without the receipt, only the cost of the failed transaction is missing.
      const receipt = await getTransactionReceipt(run.settings.client, { hash: transactionHash }).catch(
        () => undefined,
      );
      if (receipt !== undefined) run.mined(receipt, facts);
      await journal.ended(entry, "reverted");
    }
    throw error;
  }
}

async function wait(
  { settings }: BatchRun,
  transactionHash: TransactionHash,
  functionName: string,
): Promise<TransactionReceipt> {
  const { client, signal, confirmations, timeoutMs, pollIntervalMs } = settings;
  const receipt = waitForReceipt(client, { transactionHash, functionName, confirmations, timeoutMs, pollIntervalMs });
  if (signal === undefined) return receipt;
  signal.throwIfAborted();
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([receipt, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
    receipt.catch(() => {}); // after an abort, its rejection is not handled elsewhere
  }
}
