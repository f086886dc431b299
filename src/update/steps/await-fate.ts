import type { TransactionHash } from "../../core/ids.ts";
import { NonceTakenError, ReceiptTimeoutError, RpcUnavailableError } from "../../errors/index.ts";
import { findPayment, type PaymentRecord } from "../journal-state.ts";
import { recordBroadcast, signedTransactionOf, type UpdatePayment } from "../payments.ts";
import { poll } from "../poll.ts";
import type { ReceiptFacts } from "../ports.ts";
import type { UpdateRun } from "../update-run.ts";

export type Fate =
  | { readonly kind: "mined" | "reverted"; readonly receipt: ReceiptFacts }
  /** Another transaction has the nonce, so this one can never be mined. */
  | { readonly kind: "replaced"; readonly by: TransactionHash }
  /** The caller gave it up, and no node has it waiting. */
  | { readonly kind: "abandoned" };

/** Nodes forget transactions that wait long: every so many polls the same bytes go out again. */
const pollsBetweenBroadcasts = 10;

/**
 * Waits until it is certain what becomes of the recorded transaction. "Not found" is never certain: the endpoint may
 * be behind, or a reorg may have put the transaction back among the waiting ones.
 *
 * @throws ReceiptTimeoutError, NonceTakenError, RpcUnavailableError, InsufficientFundsError, ReceiptMismatchError
 */
export async function awaitFate(
  run: UpdateRun,
  payment: UpdatePayment,
  { isJustSent }: { readonly isJustSent: boolean },
): Promise<Fate> {
  const { pollChainMs, timeouts } = run.settings;
  let isNonceUsed = false;
  let polls = isJustSent ? 1 : 0;

  const ask = async (): Promise<Fate | undefined> => {
    const record = recordOf(run, payment);
    const receipt = record.transactionHash && (await run.chain.readReceipt(payment, record.transactionHash));
    if (receipt !== undefined) return judge(run, receipt);

    const { from, nonce } = record.prepared;
    isNonceUsed = (await run.chain.readNonce(from)) > nonce;
    if (isNonceUsed) return findReplacement(run, payment, record);
    if (isGivenUp(run, record) && (await run.chain.readPendingNonce(from)) <= nonce) return { kind: "abandoned" };
    if (polls++ % pollsBetweenBroadcasts === 0) await sendAgain(run, payment, record);
    return undefined;
  };
  const onTimeout = (waitedMs: number, fault: unknown) => {
    const { prepared, transactionHash } = recordOf(run, payment);
    if (fault instanceof RpcUnavailableError) return fault;
    return isNonceUsed || transactionHash === undefined
      ? new NonceTakenError(prepared.from, prepared.nonce, transactionHash)
      : new ReceiptTimeoutError(transactionHash, waitedMs);
  };
  try {
    return await poll(run, { everyMs: pollChainMs, timeoutMs: timeouts.receiptMs, onTimeout }, ask);
  } catch (error) {
    // Consent counts only after the whole wait: until then the receipt may merely be late.
    if (error instanceof NonceTakenError && isGivenUp(run, recordOf(run, payment))) return { kind: "abandoned" };
    throw error;
  }
}

function judge({ settings }: UpdateRun, receipt: ReceiptFacts): Fate | undefined {
  if (receipt.confirmations < BigInt(settings.confirmations)) return undefined;
  return { kind: receipt.succeeded ? "mined" : "reverted", receipt };
}

/** The nonce is used. Only the chain's history can tell by what, and only that is a reason to sign anew. */
async function findReplacement(
  run: UpdateRun,
  payment: UpdatePayment,
  record: PaymentRecord,
): Promise<Fate | undefined> {
  const { from, nonce, to, data, head } = record.prepared;
  const found = await run.chain.findTransaction({ from, nonce, fromBlock: BigInt(head) });
  // Unknown, or the very one whose receipt has yet to appear.
  if (found === undefined || found.transactionHash === record.transactionHash) return undefined;
  if (record.transactionHash === undefined && found.to === to && found.data === data) {
    // A remote wallet sent it, and the crash came before its hash was written down.
    await recordBroadcast(run, payment, found.transactionHash, true);
    return undefined;
  }
  return found.confirmations < BigInt(run.settings.confirmations)
    ? undefined
    : { kind: "replaced", by: found.transactionHash };
}

async function sendAgain(run: UpdateRun, payment: UpdatePayment, record: PaymentRecord): Promise<void> {
  try {
    const transactionHash = await run.chain.sendAgain(payment, signedTransactionOf(record));
    if (record.status !== "broadcast") await recordBroadcast(run, payment, transactionHash, true);
  } catch (error) {
    // Another one with this nonce is waiting. Which of the two it will be, the chain decides.
    if (!(error instanceof NonceTakenError)) throw error;
  }
}

function isGivenUp({ request }: UpdateRun, { transactionHash }: PaymentRecord): boolean {
  return transactionHash !== undefined && transactionHash === request.abandonTransaction;
}

function recordOf({ journal }: UpdateRun, payment: UpdatePayment): PaymentRecord {
  const record = findPayment(journal.state, payment);
  if (record === undefined) throw new Error(`No transaction for ${payment.step} is on record.`);
  return record;
}
