import type { TransactionHash } from "../core/ids.ts";
import type { EntryOf } from "./journal-entry.ts";
import { findPayment, type PaymentIntent, type PaymentRecord } from "./journal-state.ts";
import type { ReceiptFacts, SignedTransaction } from "./ports.ts";
import type { UpdateRun } from "./update-run.ts";

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
