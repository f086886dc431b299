import { poll } from "../../core/retry.ts";
import { NonceTakenError, ReceiptTimeoutError, RpcUnavailableError } from "../../errors/index.ts";
import { systemClock } from "../retry.ts";
import { isPoolLimit } from "./broadcast.ts";
import type { Ended, FollowContext } from "./follow-context.ts";
import { type LedgerTransaction, lastAttempt } from "./ledger-records.ts";
import { readOutcome, sendAgain } from "./outcome.ts";

/** Nodes drop transactions that wait long. The same bytes are sent again after this many polls. */
const pollsBetweenBroadcasts = 10;
/** Timers may end so much too early. */
const timerErrorMs = 2;
/** So many failures in a row end the wait. One may come from a server behind a load balancer that is late. */
const mostFailures = 3;

export interface FollowOptions {
  /** Whether the endpoint has just taken it. Otherwise it is sent again first, unless it is mined. */
  readonly isJustSent?: boolean | undefined;
}

/**
 * Waits until a recorded transaction is mined, or another one has used its nonce, and records that. Sends signed bytes
 * again while they may have been lost. "Not found" is never an end: the endpoint may be behind.
 *
 * @throws ReceiptTimeoutError, NonceTakenError, TransactionUnderpricedError, UnsignedRecordError, InsufficientFundsError,
 * RpcUnavailableError, LedgerError
 */
export async function followTransaction(
  context: FollowContext,
  { id }: Pick<LedgerTransaction, "id">,
  { isJustSent = false }: FollowOptions = {},
): Promise<Ended> {
  const { ledger, settings } = context;
  const { timeoutMs, pollIntervalMs: everyMs, signal } = settings;
  const start = systemClock.now();
  let polls = isJustSent ? 1 : 0;
  /** How often in a row the endpoint refused the bytes, or did not show what had used the nonce. */
  let failures = 0;
  let sends: "bytes" | "request" | undefined;
  /** Of the last look that sent something or looked for what has used the nonce. */
  let lastFault: unknown;
  const look = async (): Promise<Ended | undefined> => {
    sends = undefined;
    const isLast = systemClock.now() - start >= timeoutMs - timerErrorMs;
    const isDue = polls++ % pollsBetweenBroadcasts === 0 || isLast || failures > 0;
    const transaction = ledger.transaction(id);
    const outcome = await readOutcome(context, transaction, { isDue });
    if (typeof outcome === "object") return outcome;
    if (isDue) {
      sends = lastAttempt(transaction).rawTransaction === undefined ? "request" : "bytes";
      await sendIfFree(context, transaction, outcome);
      lastFault = undefined;
    }
    failures = 0;
    return undefined;
  };
  const mayPass = (error: unknown): boolean => {
    lastFault = error;
    // A node or a wallet may have received the request, so a failure does not repeat it.
    if (sends === "request" || !isPassing(error)) return false;
    return sends === undefined || !isCounted(error) || ++failures < mostFailures;
  };
  const onTimeout = (waitedMs: number) => timeoutError(ledger.transaction(id), waitedMs, lastFault);
  return poll({ clock: systemClock, signal }, { everyMs, timeoutMs, mayPass, onTimeout }, look);
}

/**
 * Looks whether a transaction has ended. If not, sends it again.
 *
 * @throws NonceTakenError if its nonce is used and the endpoint does not show by which transaction
 * @throws what followTransaction throws
 */
export async function nudge(context: FollowContext, transaction: LedgerTransaction): Promise<Ended | undefined> {
  const outcome = await readOutcome(context, transaction, { isDue: true });
  if (typeof outcome === "object") return outcome;
  await sendIfFree(context, transaction, outcome);
  return undefined;
}

async function sendIfFree(
  context: FollowContext,
  transaction: LedgerTransaction,
  outcome: "nonceUsed" | undefined,
): Promise<void> {
  const { from, nonce } = transaction;
  const { transactionHash } = lastAttempt(transaction);
  if (outcome === "nonceUsed") throw new NonceTakenError(from, nonce, transactionHash, { kind: "notFound" });
  await sendAgain(context, transaction);
}

/**
 * Whether a later look may find something else: the endpoint is down or behind, or another transaction with this nonce
 * waits to be mined.
 */
export function isPassing(error: unknown): boolean {
  return error instanceof RpcUnavailableError || (error instanceof NonceTakenError && error.taker?.kind !== "mined");
}

function isCounted(error: unknown): boolean {
  const isRefusal = error instanceof RpcUnavailableError && error.context.said !== undefined && !isPoolLimit(error);
  return isRefusal || isNotFound(error);
}

function isNotFound(error: unknown): error is NonceTakenError {
  return error instanceof NonceTakenError && error.taker?.kind === "notFound";
}

function timeoutError({ from, nonce, attempts }: LedgerTransaction, waitedMs: number, fault: unknown): Error {
  const hash = attempts.at(-1)?.transactionHash;
  if (fault instanceof RpcUnavailableError || isNotFound(fault)) return fault;
  const isWaiting = hash === undefined || fault instanceof NonceTakenError;
  return isWaiting
    ? new NonceTakenError(from, nonce, hash, { kind: "waiting" })
    : new ReceiptTimeoutError(hash, waitedMs);
}
