import type { TransactionHash } from "../../core/ids.ts";
import { poll } from "../../core/retry.ts";
import {
  isDstackError,
  NonceTakenError,
  ReceiptTimeoutError,
  RpcUnavailableError,
  TransactionRevertedError,
} from "../../errors/index.ts";
import type { Payment } from "../events.ts";
import {
  type EntryOf,
  findPayment,
  lowestFreeNonce,
  type PaymentIntent,
  type PaymentRecord,
} from "../journal-state.ts";
import type { MinedReceipt, SignedTransaction } from "../ports.ts";
import { type UpdateRun, withStep } from "../run.ts";

/** Another program with the same key can take a nonce. After this many lost nonces, stop competing with it. */
const maximumSignatures = 3;

/**
 * Makes sure that exactly one transaction for this payment is mined and proven. A recorded transaction is sent again
 * and waited for. A new one is signed only if none is on record, or if the recorded one can no longer be mined.
 *
 * @param head the transaction cannot have been mined before this block
 * @throws TransactionRevertedError, ReceiptTimeoutError, ReceiptMismatchError, NonceTakenError, RpcUnavailableError,
 * InsufficientFundsError
 */
export function pay(run: UpdateRun, payment: UpdatePayment, head: bigint): Promise<Payment> {
  return withStep(
    run,
    payment.step,
    () => resumePayment(run, payment, head),
    (facts) => facts,
  );
}

/** As `pay`, without a step of its own: for a transaction that must be checked again later. */
export async function resumePayment(run: UpdateRun, payment: UpdatePayment, head: bigint): Promise<Payment> {
  for (let signatures = 0; ; ) {
    const isOnRecord = findPayment(run.journal.state, payment) !== undefined;
    if (!isOnRecord && ++signatures > maximumSignatures) {
      throw new NonceTakenError(run.chain.signer ?? "the signer", lowestNonce(run, payment), undefined);
    }
    const isJustSent = !isOnRecord && (await signAndSend(run, payment, head));
    const outcome = await waitForOutcome(run, payment, { isJustSent });
    switch (outcome.kind) {
      case "mined":
        await rememberMined(run, payment, outcome.receipt);
        return paymentOf(outcome.receipt, signatures === 0);
      case "reverted":
        await recordDiscarded(run, payment, "reverted");
        throw new TransactionRevertedError(outcome.receipt.transactionHash, payment.step);
      case "replaced":
        await recordDiscarded(run, payment, "replaced", outcome.by);
        break;
      case "abandoned":
        await recordDiscarded(run, payment, "abandoned");
    }
  }
}

/** Returns false if the transaction is on record and the send failed in a way that leaves open whether it was sent. */
async function signAndSend(run: UpdateRun, payment: UpdatePayment, head: bigint): Promise<boolean> {
  try {
    const transactionHash = await run.chain.send(payment, {
      minimumNonce: lowestNonce(run, payment),
      beforeSend: (signed) => recordPrepared(run, payment, signed, head),
    });
    await recordBroadcast(run, payment, transactionHash, false);
    return true;
  } catch (error) {
    const record = findPayment(run.journal.state, payment);
    // If a wallet was asked and did not answer, do not ask it again automatically.
    if (record === undefined || record.prepared.rawTransaction === null || !isUncertain(error)) throw error;
    return false;
  }
}

function isUncertain(error: unknown): boolean {
  return isDstackError(error) && (error instanceof RpcUnavailableError || error instanceof NonceTakenError);
}

function lowestNonce({ chain, journal }: UpdateRun, { chainId }: UpdatePayment): number {
  return chain.signer === undefined ? 0 : lowestFreeNonce(journal.state, chainId, chain.signer);
}

async function rememberMined(run: UpdateRun, payment: UpdatePayment, receipt: MinedReceipt): Promise<void> {
  const { status, mined } = findPayment(run.journal.state, payment) ?? {};
  const isSame = mined?.update === payment.update && mined.blockNumber === `${receipt.blockNumber}`;
  if (status !== "mined" || !isSame) await recordMined(run, payment, receipt);
}

function paymentOf(receipt: MinedReceipt, isFromRecord: boolean): Payment {
  const { transactionHash, blockNumber, gasUsed, costWei } = receipt;
  return { transactionHash, blockNumber, gasUsed, costWei, isFromRecord };
}

/** A payment as part of one update. */
export interface UpdatePayment extends PaymentIntent {
  /** The update whose journal lines include this payment. */
  readonly update: string;
}

/** The transaction as it was signed. */
export function signedTransactionOf({ prepared, transactionHash }: PaymentRecord): SignedTransaction {
  return {
    chainId: prepared.chainId,
    from: prepared.from,
    to: prepared.to,
    data: prepared.data,
    nonce: prepared.nonce,
    gas: BigInt(prepared.gas),
    maxFeePerGas: BigInt(prepared.maxFeePerGas),
    maxPriorityFeePerGas: BigInt(prepared.maxPriorityFeePerGas),
    rawTransaction: prepared.rawTransaction ?? undefined,
    transactionHash,
  };
}

/** Records the transaction. After this, a crash cannot lead to a second transaction. */
export async function recordPrepared(
  { journal }: UpdateRun,
  payment: UpdatePayment,
  signed: SignedTransaction,
  head: bigint,
): Promise<void> {
  await journal.append({
    type: "prepared",
    ...fieldsOf(payment),
    from: signed.from,
    to: signed.to,
    data: signed.data,
    nonce: signed.nonce,
    gas: `${signed.gas}`,
    maxFeePerGas: `${signed.maxFeePerGas}`,
    maxPriorityFeePerGas: `${signed.maxPriorityFeePerGas}`,
    head: `${head}`,
    rawTransaction: signed.rawTransaction ?? null,
    transactionHash: signed.transactionHash ?? null,
  });
}

export async function recordBroadcast(
  { journal, emitter }: UpdateRun,
  payment: UpdatePayment,
  transactionHash: TransactionHash,
  isFromRecord: boolean,
): Promise<void> {
  await journal.append({ type: "broadcast", ...fieldsOf(payment), transactionHash });
  if (emitter.step !== undefined) {
    emitter.tell({ kind: "broadcast", step: emitter.step, transactionHash, isFromRecord });
  }
}

export async function recordMined(
  { journal }: UpdateRun,
  payment: UpdatePayment,
  { transactionHash, blockNumber, gasUsed, costWei }: MinedReceipt,
): Promise<void> {
  await journal.append({
    type: "mined",
    ...fieldsOf(payment),
    transactionHash,
    blockNumber: `${blockNumber}`,
    gasUsed: `${gasUsed}`,
    costWei: `${costWei}`,
  });
}

/**
 * Gives up a recorded transaction, so that another may be signed. The caller must be sure that this cannot pay twice.
 */
export async function recordDiscarded(
  { journal, emitter }: UpdateRun,
  payment: UpdatePayment,
  reason: EntryOf<"discarded">["reason"],
  replacedBy?: TransactionHash,
): Promise<void> {
  const transactionHash = findPayment(journal.state, payment)?.transactionHash;
  await journal.append({
    type: "discarded",
    ...fieldsOf(payment),
    transactionHash: transactionHash ?? null,
    reason,
    replacedBy: replacedBy ?? null,
  });
  if (emitter.step !== undefined) {
    emitter.tell({ kind: "discarded", step: emitter.step, transactionHash, reason, replacedBy });
  }
}

function fieldsOf({ update, chainId, appId, step, value }: UpdatePayment): UpdatePayment {
  return { update, chainId, appId, step, value };
}

export type TransactionOutcome =
  | { readonly kind: "mined" | "reverted"; readonly receipt: MinedReceipt }
  /** Another transaction used the nonce, so this one can never be mined. */
  | { readonly kind: "replaced"; readonly by: TransactionHash }
  /** The caller gave it up, and the endpoint reports no pending transaction with its nonce. */
  | { readonly kind: "abandoned" };

/** Nodes drop transactions that wait long. The same bytes are sent again after this many polls. */
const pollsBetweenBroadcasts = 10;

/**
 * Waits until the outcome of the recorded transaction is certain. "Not found" is never certain: the endpoint may be
 * behind, or a reorganisation may have made the transaction pending again.
 *
 * @throws ReceiptTimeoutError, NonceTakenError, RpcUnavailableError, InsufficientFundsError, ReceiptMismatchError
 */
export async function waitForOutcome(
  run: UpdateRun,
  payment: UpdatePayment,
  { isJustSent }: { readonly isJustSent: boolean },
): Promise<TransactionOutcome> {
  const { pollChainMs, timeouts } = run.settings;
  let isNonceUsed = false;
  let polls = isJustSent ? 1 : 0;

  const ask = async (): Promise<TransactionOutcome | undefined> => {
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
    // The caller's consent counts only after the full wait. Before that, the receipt may only be late.
    if (error instanceof NonceTakenError && isGivenUp(run, recordOf(run, payment))) return { kind: "abandoned" };
    throw error;
  }
}

function judge({ settings }: UpdateRun, receipt: MinedReceipt): TransactionOutcome | undefined {
  if (receipt.confirmations < BigInt(settings.confirmations)) return undefined;
  return { kind: receipt.succeeded ? "mined" : "reverted", receipt };
}

/** The nonce is used. Only the chain's history shows which transaction used it. Only that justifies a new signature. */
async function findReplacement(
  run: UpdateRun,
  payment: UpdatePayment,
  record: PaymentRecord,
): Promise<TransactionOutcome | undefined> {
  const { chainId, from, nonce, to, data, head } = record.prepared;
  const found = await run.chain.findTransaction({ chainId, from, nonce, fromBlock: BigInt(head) });
  // Not found, or it is the recorded transaction and its receipt is not available yet.
  if (found === undefined || found.transactionHash === record.transactionHash) return undefined;
  if (record.transactionHash === undefined && found.to === to && found.data === data) {
    // A remote wallet sent it, and the process crashed before it recorded the hash.
    await recordBroadcast(run, payment, found.transactionHash, true);
    return undefined;
  }
  // Without a proof that the same key signed it, it may be made up, and the recorded one the mined one.
  if (!found.isProven) return undefined;
  return found.confirmations < BigInt(run.settings.confirmations)
    ? undefined
    : { kind: "replaced", by: found.transactionHash };
}

async function sendAgain(run: UpdateRun, payment: UpdatePayment, record: PaymentRecord): Promise<void> {
  try {
    const transactionHash = await run.chain.sendAgain(payment, signedTransactionOf(record));
    if (record.status !== "broadcast") await recordBroadcast(run, payment, transactionHash, true);
  } catch (error) {
    // Another transaction with this nonce is pending. The chain decides which of the two is mined.
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
