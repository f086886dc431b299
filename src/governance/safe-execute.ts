import { type Abi, parseAbi, type TransactionReceipt } from "viem";
import type { ChainClient } from "../chain/client.ts";
import type { PricedTransaction } from "../chain/transactions/price.ts";
import { openSender, type Sender } from "../chain/transactions/sender.ts";
import type { SenderParameters, SentTransaction } from "../chain/transactions/sender-parameters.ts";
import { readGas, simulateCall } from "../chain/transactions/simulate.ts";
import { decodeEvents } from "../core/events.ts";
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

export interface ExecuteSafeTransactionParameters extends SenderParameters {
  /** The Safe, as the chain describes it. */
  readonly safeAccount: SafeAccount;
  readonly safeTx: SafeTx;
  /** The calls that the transaction must make. */
  readonly calls: readonly OwnerCall[];
  /** Checked: see `checkConfirmations`. */
  readonly confirmations: readonly SafeSignature[];
  readonly rejected?: readonly RejectedConfirmation[] | undefined;
  /** Called before something is signed. It is not called for what an earlier run has sent. */
  readonly onReady?: ((transaction: PricedTransaction) => Promise<void>) | undefined;
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
 * Executes a Safe transaction. Any account can pay for it. The ledger records it by its Safe transaction hash, so
 * another run, also with other signatures, completes the recorded one and never pays for a second.
 *
 * @throws UnplannedSafeTransactionError, SafeConfirmationsError, SafeNonceError, ContractRevertedError before anything
 * is signed
 * @throws ReceiptMismatchError if the receipt does not show each planned change, and what the sender throws
 */
export async function executeSafeTransaction(
  client: ChainClient,
  parameters: ExecuteSafeTransactionParameters,
): Promise<ExecutedSafeTransaction> {
  const { safeAccount, safeTx, calls, confirmations, rejected, onReady, ...sending } = parameters;
  const { safe } = safeAccount;
  const safeTxHash = hashSafeTx(safeTx, safeAccount);
  const objections = objectionsToSafeTx(safeTx, { safe, calls });
  if (objections.length > 0) throw new UnplannedSafeTransactionError(safeTxHash, objections);
  using sender = await openSender(
    client,
    { ...sending, chainId: safeAccount.chainId },
    {
      ...{ purpose: { kind: "safe", safeTxHash }, calls, title: functionName },
      prove: (receipt, { purpose, calls }) =>
        requireExecution(receipt, { safe, safeTxHash: purpose.safeTxHash ?? safeTxHash, calls }),
    },
  );
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
    nextStep: "Find out which with `dstack safe verify`, then propose the plan again.",
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

const executionAbi = parseAbi(["event ExecutionSuccess(bytes32 indexed txHash, uint256 payment)"]);
/** Before version 1.4.0, the hash was not indexed. */
const earlierAbi = parseAbi(["event ExecutionSuccess(bytes32 txHash, uint256 payment)"]);

/** @throws ReceiptMismatchError */
function requireExecution(
  receipt: TransactionReceipt,
  { safe, safeTxHash, calls }: { readonly safe: Hex; readonly safeTxHash: Hex; readonly calls: readonly OwnerCall[] },
): void {
  const events = [executionAbi, earlierAbi].flatMap((abi) => decodeEvents(abi, receipt, safe));
  if (!events.some(({ args }) => args.txHash === safeTxHash)) {
    throw new ReceiptMismatchError({
      transactionHash: receipt.transactionHash,
      eventName: "ExecutionSuccess",
      emitter: safe,
      expected: safeTxHash,
      found: events.map(({ args }) => `ExecutionSuccess(${args.txHash})`),
    });
  }
  proveCalls(receipt, calls);
}
