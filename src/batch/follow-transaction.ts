import type { TransactionReceipt } from "viem";
import { getTransactionReceipt } from "viem/actions";
import { type BatchEntry, nonceAfter } from "../chain/transactions/journal.ts";
import { waitForReceipt } from "../chain/transactions/receipt.ts";
import type { TransactionHash } from "../core/ids.ts";
import { proveCalls } from "../core/owner-calls.ts";
import { TransactionRevertedError } from "../errors/index.ts";
import type { BatchRun } from "./batch-run.ts";

/**
 * Waits for a transaction that was sent, and demands the event of every call it carries. Unless its end is seen it
 * stays open in the journal.
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
      // Without the receipt only the cost of a failure stays untold.
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
    receipt.catch(() => {}); // nobody waits for it any more after an abort
  }
}
