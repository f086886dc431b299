import { isDstackError, NonceTakenError, RpcUnavailableError, TransactionRevertedError } from "../../errors/index.ts";
import type { PaymentFacts } from "../events.ts";
import { findPayment, lowestFreeNonce } from "../journal-state.ts";
import { recordBroadcast, recordDiscarded, recordMined, recordPrepared, type UpdatePayment } from "../payments.ts";
import type { ReceiptFacts } from "../ports.ts";
import { during, type UpdateRun } from "../update-run.ts";
import { awaitFate } from "./await-fate.ts";

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
