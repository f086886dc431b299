import { type Abi, isAddressEqual, type TransactionReceipt } from "viem";
import type { ChainClient } from "../chain/client.ts";
import type { PricedTransaction } from "../chain/transactions/price.ts";
import { openSender, type Sender } from "../chain/transactions/sender.ts";
import type { SenderParameters, SentTransaction } from "../chain/transactions/sender-parameters.ts";
import { readGas, simulateCall } from "../chain/transactions/simulate.ts";
import type { Hex } from "../core/ids.ts";
import { safeGasCeilingOf } from "../core/order-calls.ts";
import { type OwnerCall, proveCalls } from "../core/owner-calls.ts";
import { hashSafeTx, type SafeTx } from "../core/safe.ts";
import { encodeExecTransaction, execTransactionAbi } from "../core/safe-calldata.ts";
import { objectionsToSafeTx } from "../core/safe-objections.ts";
import { encodeSafeSignatures, type SafeSignature } from "../core/safe-signing.ts";
import {
  ContractRevertedError,
  ReceiptMismatchError,
  SafeConfirmationsError,
  SafeNonceError,
  UnplannedSafeTransactionError,
} from "../errors/index.ts";
import { readSafe, type SafeAccount } from "./safe-account.ts";
import type { RejectedConfirmation } from "./safe-confirmations.ts";
import { decodeSafeExecution } from "./safe-executions.ts";

export interface ResumeSafeExecutionParameters extends SenderParameters {
  /** The Safe, as the chain describes it. */
  readonly safeAccount: SafeAccount;
  readonly safeTxHash: Hex;
  /** The calls that the transaction must make. */
  readonly calls: readonly OwnerCall[];
}

export interface ExecutedSafeTransaction {
  readonly safeTxHash: Hex;
  readonly transaction: SentTransaction["transaction"];
  readonly receipt: TransactionReceipt;
  /** Whether an earlier run had recorded it. */
  readonly isFromRecord: boolean;
}

const functionName = "execTransaction";

/**
 * Completes what an earlier run recorded for this Safe transaction. Needs no signatures of the owners. Undefined if the
 * ledger holds nothing that can still be mined.
 *
 * @throws ReceiptMismatchError if the receipt does not show each planned change, and what the sender throws
 */
export async function resumeSafeExecution(
  client: ChainClient,
  parameters: ResumeSafeExecutionParameters,
): Promise<ExecutedSafeTransaction | undefined> {
  using sender = await openSafeSender(client, parameters);
  await sender.resume();
  return findMined(sender, parameters.safeTxHash) && finish(sender, parameters.safeTxHash);
}

export interface ExecuteSafeTransactionParameters extends Omit<ResumeSafeExecutionParameters, "safeTxHash"> {
  readonly safeTx: SafeTx;
  /** Checked: see `checkConfirmations`. */
  readonly confirmations: readonly SafeSignature[];
  readonly rejected?: readonly RejectedConfirmation[] | undefined;
  /** Called before something is signed. It is not called for what an earlier run has sent. */
  readonly onReady?: ((transaction: PricedTransaction) => Promise<void>) | undefined;
}

/**
 * Executes a Safe transaction. Any account can pay for it. The ledger records it by its Safe transaction hash, so
 * another run, also with other signatures, completes the recorded one and never pays for a second.
 *
 * @throws UnplannedSafeTransactionError, SafeConfirmationsError, SafeNonceError, ContractRevertedError before anything
 * is signed
 * @throws ReceiptMismatchError if the receipt does not show each planned change, and what the sender throws
 */
export async function executeSafeTransaction(
  client: ChainClient,
  { safeTx, confirmations, rejected, onReady, ...parameters }: ExecuteSafeTransactionParameters,
): Promise<ExecutedSafeTransaction> {
  const { safeAccount, calls } = parameters;
  const { safe } = safeAccount;
  const safeTxHash = hashSafeTx(safeTx, safeAccount);
  const objections = objectionsToSafeTx(safeTx, { safe, calls });
  if (objections.length > 0) throw new UnplannedSafeTransactionError(safeTxHash, objections);
  using sender = await openSafeSender(client, { ...parameters, safeTxHash });
  await sender.resume();
  if (findMined(sender, safeTxHash) === undefined) {
    const signatures = encodeSafeSignatures(requireConfirmed(safeAccount, { safeTxHash, confirmations, rejected }));
    await requireTurn(client, safeAccount, safeTx);
    const data = encodeExecTransaction(safeTx, signatures);
    const call = { from: sender.context.account.address, to: safe, data, abi: execTransactionAbi as Abi, functionName };
    await simulate(client, call);
    const { gas, gasLimit } = await readGas(client, { ...call, ceiling: safeGasCeilingOf(calls, signatures) });
    await onReady?.({ to: safe, data, gas, gasLimit });
    await sender.send([{ to: safe, data, gas: gasLimit, functionName, calls }]);
  }
  return finish(sender, safeTxHash);
}

function openSafeSender(
  client: ChainClient,
  { safeAccount, safeTxHash, calls, ...sending }: ResumeSafeExecutionParameters,
): Promise<Sender> {
  const { safe, chainId } = safeAccount;
  const parameters = { ...sending, chainId };
  return openSender(client, parameters, {
    ...{ purpose: { kind: "safe", safeTxHash }, calls, title: functionName },
    prove: (receipt, { purpose, calls }) =>
      requireSuccess(receipt, { safe, safeTxHash: purpose.safeTxHash ?? safeTxHash, calls }),
  });
}

async function finish(sender: Sender, safeTxHash: Hex): Promise<ExecutedSafeTransaction> {
  await sender.finish();
  sender.complete();
  const executed = findMined(sender, safeTxHash);
  if (executed?.receipt === undefined) throw new TypeError("The execution was waited for.");
  const { transaction, receipt, isFromRecord } = executed;
  return { safeTxHash, transaction, receipt, isFromRecord };
}

function findMined({ sent }: Sender, safeTxHash: Hex): SentTransaction | undefined {
  return sent.findLast(({ transaction: { state, purpose } }) => state === "mined" && purpose.safeTxHash === safeTxHash);
}

/**
 * Returns as many confirmations as the Safe requires.
 *
 * @throws SafeConfirmationsError
 */
export function requireConfirmed(
  { owners, threshold }: SafeAccount,
  {
    safeTxHash,
    confirmations,
    rejected = [],
  }: Pick<ExecuteSafeTransactionParameters, "confirmations" | "rejected"> & { readonly safeTxHash: Hex },
): readonly SafeSignature[] {
  if (BigInt(confirmations.length) >= threshold) return confirmations.slice(0, Number(threshold));
  const confirmedBy = confirmations.map(({ signer }) => signer);
  const missing = owners.filter((owner) => !confirmedBy.includes(owner));
  throw new SafeConfirmationsError({ safeTxHash, threshold, confirmedBy, missing, rejected });
}

/** The Safe's nonce is read again: another transaction may have been executed meanwhile. */
async function requireTurn(client: ChainClient, { safe, chainId }: SafeAccount, { nonce }: SafeTx): Promise<void> {
  const { nonce: next } = await readSafe(client, { safe, chainId });
  if (nonce === next) return;
  const used = {
    problem: "is used: the Safe has executed a transaction with it",
    nextStep: "Find out what it has executed, then propose the plan again.",
  };
  const early = {
    problem: `is not next: the Safe first executes nonce ${next}`,
    nextStep: "Execute or reject what is queued before it, or propose the plan with that nonce.",
  };
  throw new SafeNonceError({ safe, nonce, next, ...(nonce < next ? used : early) });
}

/** What the codes of a Safe mean to its users. */
const safeCodes: Readonly<Record<string, string>> = {
  GS010: "the gas does not suffice for the calls",
  GS013: "one of its calls reverts",
  GS020: "the signatures are too few",
  GS021: "a contract's signature is malformed",
  GS022: "a contract's signature is malformed",
  GS023: "a contract's signature is malformed",
  GS024: "a contract does not accept its signature",
  GS025: "an owner has not approved the hash",
  GS026: "a signature is not of an owner, or not for this transaction",
};

async function simulate(client: ChainClient, call: Parameters<typeof simulateCall>[1]): Promise<void> {
  try {
    await simulateCall(client, call);
  } catch (error) {
    const reason = error instanceof ContractRevertedError ? `${error.context.reason}` : "";
    const [code = ""] = /GS\d{3}/.exec(reason) ?? [];
    const words = safeCodes[code];
    if (words === undefined) throw error;
    throw new ContractRevertedError(
      { contract: call.to, functionName, reason: `${words} (${code})` },
      { cause: error },
    );
  }
}

/** @throws ReceiptMismatchError unless the Safe's own event says that this transaction succeeded, with each call's event */
function requireSuccess(
  receipt: TransactionReceipt,
  { safe, safeTxHash, calls }: { readonly safe: Hex; readonly safeTxHash: Hex; readonly calls: readonly OwnerCall[] },
): void {
  const executions = receipt.logs.flatMap(({ address, topics, data }) => {
    const execution = isAddressEqual(address, safe) ? decodeSafeExecution(topics, data) : undefined;
    return execution === undefined ? [] : [execution];
  });
  if (!executions.some((one) => one.isSuccessful && one.safeTxHash === safeTxHash)) {
    throw new ReceiptMismatchError({
      transactionHash: receipt.transactionHash,
      eventName: "ExecutionSuccess",
      emitter: safe,
      expected: safeTxHash,
      found: executions.map((one) => `Execution${one.isSuccessful ? "Success" : "Failure"}(${one.safeTxHash})`),
    });
  }
  proveCalls(receipt, calls);
}
