import type { TransactionHash } from "../../core/ids.ts";
import {
  isDstackError,
  NonceTakenError,
  ReceiptTimeoutError,
  RpcUnavailableError,
  TransactionRevertedError,
} from "../../errors/index.ts";
import type { PaymentFacts } from "../events.ts";
import {
  type EntryOf,
  findPayment,
  lowestFreeNonce,
  type PaymentIntent,
  type PaymentRecord,
} from "../journal-state.ts";
import type { ReceiptFacts, SignedTransaction } from "../ports.ts";
import { during, poll, type UpdateRun } from "../run.ts";

/** A nonce can be lost to another program that uses the same key; losing it again and again is a fight. */
const maximumSignatures = 3;

/**
 * Sees to it that one transaction for this payment is mined and proven, and that no other can be: what is on record
 * is sent again and waited for. A new one is signed only where none is on record, or where the recorded one can no
 * longer be mined.
 *
 * @param head block before which the transaction cannot have been mined
 * @throws TransactionRevertedError, ReceiptTimeoutError, ReceiptMismatchError, NonceTakenError, RpcUnavailableError,
 * InsufficientFundsError
 */
export function pay(run: UpdateRun, payment: UpdatePayment, head: bigint): Promise<PaymentFacts> {
  return during(
    run,
    payment.step,
    () => settle(run, payment, head),
    (facts) => facts,
  );
}

/** The same without a step of its own: for a transaction that has to be looked at again later. */
export async function settle(run: UpdateRun, payment: UpdatePayment, head: bigint): Promise<PaymentFacts> {
  for (let signatures = 0; ; ) {
    const isOnRecord = findPayment(run.journal.state, payment) !== undefined;
    if (!isOnRecord && ++signatures > maximumSignatures) {
      throw new NonceTakenError(run.chain.signer ?? "the signer", lowestNonce(run, payment), undefined);
    }
    const isJustSent = !isOnRecord && (await signAndSend(run, payment, head));
    const fate = await awaitFate(run, payment, { isJustSent });
    switch (fate.kind) {
      case "mined":
        await rememberMined(run, payment, fate.receipt);
        return factsOf(fate.receipt, signatures === 0);
      case "reverted":
        await recordDiscarded(run, payment, "reverted");
        throw new TransactionRevertedError(fate.receipt.transactionHash, payment.step);
      case "replaced":
        await recordDiscarded(run, payment, "replaced", fate.by);
        break;
      case "abandoned":
        await recordDiscarded(run, payment, "abandoned");
    }
  }
}

/** False if it is on record and nobody knows whether it left. */
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
    // A wallet that was asked and did not answer must not be asked again on its own.
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

async function rememberMined(run: UpdateRun, payment: UpdatePayment, receipt: ReceiptFacts): Promise<void> {
  const { status, mined } = findPayment(run.journal.state, payment) ?? {};
  const isSame = mined?.update === payment.update && mined.blockNumber === `${receipt.blockNumber}`;
  if (status !== "mined" || !isSame) await recordMined(run, payment, receipt);
}

function factsOf(receipt: ReceiptFacts, isFromRecord: boolean): PaymentFacts {
  const { transactionHash, blockNumber, gasUsed, costWei } = receipt;
  return { transactionHash, blockNumber, gasUsed, costWei, isFromRecord };
}

/** A payment as one update sees it. */
export interface UpdatePayment extends PaymentIntent {
  /** The update whose lines it is written among. */
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

/** Writes the transaction down. From here on a crash cannot lead to a second one. */
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
  { journal, reporter }: UpdateRun,
  payment: UpdatePayment,
  transactionHash: TransactionHash,
  isFromRecord: boolean,
): Promise<void> {
  await journal.append({ type: "broadcast", ...fieldsOf(payment), transactionHash });
  if (reporter.step !== undefined) {
    reporter.tell({ kind: "broadcast", step: reporter.step, transactionHash, isFromRecord });
  }
}

export async function recordMined(
  { journal }: UpdateRun,
  payment: UpdatePayment,
  { transactionHash, blockNumber, gasUsed, costWei }: ReceiptFacts,
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

/** Gives a recorded transaction up, so that another may be signed. Every caller must know why that pays nothing twice. */
export async function recordDiscarded(
  { journal, reporter }: UpdateRun,
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
  if (reporter.step !== undefined) {
    reporter.tell({ kind: "discarded", step: reporter.step, transactionHash, reason, replacedBy });
  }
}

function fieldsOf({ update, chainId, appId, step, value }: UpdatePayment): UpdatePayment {
  return { update, chainId, appId, step, value };
}

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
