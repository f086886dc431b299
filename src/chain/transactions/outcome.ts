import type { TransactionReceipt } from "viem";
import { getTransactionCount } from "viem/actions";
import { parseTransactionHash } from "../../core/ids.ts";
import {
  InvalidArgumentError,
  LedgerError,
  NonceTakenError,
  RpcUnavailableError,
  TransactionUnderpricedError,
  UnsignedRecordError,
} from "../../errors/index.ts";
import { withRpcErrors } from "../rpc-errors.ts";
import { broadcastRecorded, readIsRecorded } from "./broadcast.ts";
import { readBaseFee } from "./fees.ts";
import { findForeignSignature, findNonceTaker, judgeNonceTaker, type NonceTakerOrSame } from "./find.ts";
import type { Ended, FollowContext } from "./follow-context.ts";
import { type LedgerTransaction, lastAttempt, preparedOf, type TransactionAttempt } from "./ledger-records.ts";
import type { PreparedTransaction } from "./prepare.ts";
import { isAtWork } from "./process-owner.ts";
import { proofOf, readReceipt } from "./receipt.ts";

export interface ReadOutcomeOptions {
  /** Whether to look also for another transaction with the nonce, if there is no receipt. */
  readonly isDue: boolean;
}

/**
 * Looks once at how a transaction ended, and records an end that it finds. `nonceUsed`: the nonce is used, and the
 * endpoint does not show by which transaction. Undefined: still open.
 *
 * @throws RpcUnavailableError, LedgerError, InvalidArgumentError if the caller named a transaction with another nonce
 */
export async function readOutcome(
  context: FollowContext,
  transaction: LedgerTransaction,
  { isDue }: ReadOutcomeOptions,
): Promise<Ended | "nonceUsed" | undefined> {
  const { client, ledger } = context;
  if (transaction.state !== "open") return readEnded(context, transaction);
  for (const attempt of transaction.attempts.toReversed()) {
    const receipt = await readReceiptOf(context, transaction, attempt);
    if (receipt !== undefined) return recordEnd(context, transaction, receipt, attempt.kind);
  }
  if (!isDue || (await readCount(context, transaction, "latest")) <= transaction.nonce) return undefined;
  const taker = await findTaker(context, transaction);
  if (taker.kind === "same") {
    const receipt = await readReceipt(client, taker.transactionHash);
    return receipt && recordEnd(context, transaction, receipt, "call");
  }
  if (taker.kind !== "mined") return "nonceUsed";
  const by = parseTransactionHash(taker.transactionHash);
  const ended = ledger.setState(transaction.id, "taken", { transactionHash: by });
  context.settings.onEvent?.({ kind: "taken", transaction: ended, by });
  return { transaction: ended, receipt: undefined };
}

/** A transaction that another run has ended. Its receipt is read again: what is on record is not taken as proof. */
async function readEnded({ client }: FollowContext, transaction: LedgerTransaction): Promise<Ended | undefined> {
  const { proof } = transaction;
  if (proof?.blockNumber === undefined) return { transaction, receipt: undefined };
  const receipt = await readReceipt(client, proof.transactionHash);
  return receipt && { transaction, receipt };
}

async function readReceiptOf(
  { client }: FollowContext,
  transaction: LedgerTransaction,
  attempt: TransactionAttempt,
): Promise<TransactionReceipt | undefined> {
  const { transactionHash, rawTransaction } = attempt;
  if (transactionHash === undefined) return undefined;
  const receipt = await readReceipt(client, transactionHash);
  if (receipt === undefined || rawTransaction !== undefined) return receipt;
  // A node or a wallet may return the hash of any transaction, such as an old one with the same event.
  return (await readIsRecorded(client, preparedOf(transaction, attempt))) ? receipt : undefined;
}

/** Records how the receipt of one of its attempts ends a transaction, unless that is on record. */
export function recordEnd(
  { ledger }: FollowContext,
  transaction: LedgerTransaction,
  receipt: TransactionReceipt,
  kind: TransactionAttempt["kind"],
): Ended {
  const state = kind === "cancel" ? "cancelled" : receipt.status === "success" ? "mined" : "reverted";
  const isKnown = transaction.state === state && transaction.proof?.blockNumber === receipt.blockNumber;
  return { transaction: isKnown ? transaction : ledger.setState(transaction.id, state, proofOf(receipt)), receipt };
}

async function findTaker(context: FollowContext, transaction: LedgerTransaction): Promise<NonceTakerOrSame> {
  const { client, settings } = context;
  const [first] = transaction.attempts;
  const recorded = preparedOf(transaction, first);
  const taker = await findNonceTaker(client, recorded);
  const named = settings.transactionHash;
  if (taker.kind !== "notFound" || named === undefined) return taker;
  const judged = await judgeNonceTaker(client, recorded, named);
  if (judged !== undefined) return judged;
  throw new InvalidArgumentError(
    `Transaction ${named} is not the one that used nonce ${transaction.nonce} of ${transaction.from}.`,
    { nextStep: "Look in a block explorer which transaction has this nonce." },
  );
}

function readCount(
  { client }: FollowContext,
  { from }: Pick<LedgerTransaction, "from">,
  blockTag: "latest" | "pending",
): Promise<number> {
  return withRpcErrors(client, "reading the nonce", () => getTransactionCount(client, { address: from, blockTag }));
}

/**
 * Sends a recorded transaction again whose nonce is free. Sends signed bytes unchanged. Requests a signature of a node or
 * a wallet again only if the process of the first request is gone and the caller confirms it.
 *
 * @throws UnsignedRecordError, TransactionUnderpricedError, InsufficientFundsError, NonceTakenError, RpcUnavailableError,
 * LedgerError if another key has signed the bytes
 */
export async function sendAgain(context: FollowContext, transaction: LedgerTransaction): Promise<void> {
  const { rawTransaction } = lastAttempt(transaction);
  if (rawTransaction === undefined) {
    await requestAgain(context, transaction);
    return lookAtBaseFee(context, context.ledger.transaction(transaction.id));
  }
  await clearTheWay(context, transaction);
  try {
    await sendBytes(context, transaction);
  } catch (error) {
    if (!(error instanceof TransactionUnderpricedError)) throw error;
    const baseFeePerGas = error.details.baseFeePerGas ?? error.details.maxFeePerGas;
    if (!(await reportUnderpriced(context, transaction, baseFeePerGas))) throw error;
    return;
  }
  await lookAtBaseFee(context, transaction);
}

async function sendBytes(context: FollowContext, transaction: LedgerTransaction): Promise<void> {
  const problem = await findForeignSignature({ ...lastAttempt(transaction), from: transaction.from });
  if (problem !== undefined)
    throw new LedgerError(context.ledger.path, "damaged", { detail: `of record ${transaction.id}, ${problem}` });
  await broadcastRecorded(context, transaction);
}

/**
 * Sends what processes that are gone have signed for lower nonces: otherwise this one waits for ever. Not the removals
 * of a prune, which must be checked first, and nothing of a damaged record.
 */
export async function clearTheWay(context: FollowContext, { chain, from, nonce }: LedgerTransaction): Promise<void> {
  const open = context.ledger.transactions({ chain, signer: from, states: ["open"], onDamaged: () => {} });
  for (const other of open) {
    const isInTheWay = other.nonce < nonce && other.purpose.kind !== "prune" && !isAtWork(other.owner);
    if (!isInTheWay || lastAttempt(other).rawTransaction === undefined) continue;
    await sendBytes(context, other).catch((error: unknown) => {
      if (!(error instanceof NonceTakenError || error instanceof RpcUnavailableError)) throw error;
    });
  }
}

/** If the price of what the node has is below the base fee, it is not mined until that falls. */
async function lookAtBaseFee(context: FollowContext, transaction: LedgerTransaction): Promise<void> {
  const { transactionHash, maxFeePerGas } = lastAttempt(transaction);
  if (transactionHash === undefined) return;
  const baseFeePerGas = await readBaseFee(context.client);
  if (baseFeePerGas > maxFeePerGas) await reportUnderpriced(context, transaction, baseFeePerGas);
}

/** Returns whether the caller has replaced the transaction. */
async function reportUnderpriced(
  { settings }: FollowContext,
  transaction: LedgerTransaction,
  baseFeePerGas: bigint,
): Promise<boolean> {
  settings.onEvent?.({ kind: "underpriced", transaction, baseFeePerGas });
  return (await settings.onUnderpriced?.(transaction, baseFeePerGas)) ?? false;
}

/** Sends a transaction again that a node or a wallet signs. */
async function requestAgain(context: FollowContext, transaction: LedgerTransaction): Promise<void> {
  const { client, ledger, owner, account, settings } = context;
  const attempt = lastAttempt(transaction);
  const prepared: PreparedTransaction = preparedOf(transaction, attempt);
  const isMine = transaction.owner.run === owner.run;
  if (attempt.transactionHash !== undefined && (isMine || (await readIsRecorded(client, prepared)))) return;
  if (!isMine && isAtWork(transaction.owner)) return settings.onEvent?.({ kind: "waitingForOwner", transaction });
  // It waits in the node's pool, under a hash that its process did not live to record.
  if ((await readCount(context, transaction, "pending")) > transaction.nonce) return;
  const isKeyHere = account.type === "local";
  if (isKeyHere || settings.confirmUnsigned === undefined) throw new UnsignedRecordError({ ...prepared, isKeyHere });
  const isCall = attempt.kind === "call";
  await settings.confirmUnsigned(isCall ? transaction : { ...transaction, ...prepared, calls: [] });
  ledger.setOwner(transaction.id, owner);
  await broadcastRecorded(context, transaction);
}
