import { gather } from "../../core/map-limited.ts";
import { isSameCall, type OwnerCall, proveCalls } from "../../core/owner-calls.ts";
import {
  DelegationUnsupportedError,
  ImplausibleAnswerError,
  NonceBlockedError,
  NonceTakenError,
  TransactionRevertedError,
  TransactionUnderpricedError,
} from "../../errors/index.ts";
import type { ChainClient } from "../client.ts";
import { broadcastRecorded, isUnknownType, isUserRejection } from "./broadcast.ts";
import { highestTipFor, type ReadFeesReturnType, readFees } from "./fees.ts";
import { requireMined, waitForFinality } from "./finality.ts";
import { followTransaction, isPassing, nudge } from "./follow.ts";
import { type Ended, type FollowContext, openContext } from "./follow-context.ts";
import type { RecordOutcome } from "./ledger.ts";
import { type BatchKey, type LedgerTransaction, lastAttempt, nonceAfter } from "./ledger-records.ts";
import { clearTheWay, readOutcome } from "./outcome.ts";
import { readNextNonce, signTransaction } from "./prepare.ts";
import { requireFunds } from "./price.ts";
import { isAtWork } from "./process-owner.ts";
import { findRecorded, type Recorded } from "./recorded.ts";
import type { SenderIntention, SenderParameters, SenderRun, SentTransaction } from "./sender-parameters.ts";
import type { TransactionIntent } from "./simulate.ts";

/** Another program with the same key can take a nonce. After this many lost nonces, the run stops competing with it. */
const mostLostNonces = 3;

/** @throws SignerRequiredError, InvalidHexError, WrongChainError, UnsignedRecordError, RpcUnavailableError, LedgerError */
export async function openSender(
  client: ChainClient,
  parameters: SenderParameters,
  intention: SenderIntention,
): Promise<Sender> {
  const since = Date.now();
  const context = await openContext(client, parameters, intention.title);
  const sender = new Sender(context, { parameters, intention, since });
  try {
    sender.readRecorded(); // throws for a record that must not be believed, before anything is done
    return sender;
  } catch (error) {
    sender.close();
    throw error;
  }
}

/**
 * The only way in which transactions of a user are signed, recorded, sent and seen to their end. Call `resume`, then
 * `send` any number of times, then `finish` and `complete`, and `close` in any case.
 */
export class Sender implements Disposable {
  readonly context: FollowContext;
  readonly key: BatchKey;
  /** The next nonce when the user was asked. A later answer must not exceed it by much. */
  knownNonce: number | undefined;
  /** Gas still available of the limit for all transactions together. */
  gasLeft: bigint | undefined;
  readonly #run: SenderRun;
  readonly #sent = new Map<number, SentTransaction>();
  /** Lowest nonce of the next transaction: an endpoint behind a load balancer may return an old count. */
  #minimumNonce = 0;

  constructor(context: FollowContext, run: SenderRun) {
    const { identity, account } = context;
    const { purpose, calls } = run.intention;
    this.context = context;
    this.key = { purpose, calls, chain: identity.chain, signer: account.address };
    this.#run = run;
  }

  /** What the ledger holds for this command. */
  readRecorded(): Recorded {
    const { type } = this.context.account;
    return findRecorded(this.context.ledger, this.key, { type, since: this.#run.since });
  }

  /**
   * The nonce that the next transaction would have. Nothing reserves it.
   *
   * @throws ImplausibleAnswerError, RpcUnavailableError
   */
  async readNextNonce(): Promise<number> {
    const counted = await this.#readCount();
    return this.#nextNonce(counted, 1);
  }

  /** What this run sent and took up, in the order of their nonces. */
  get sent(): readonly SentTransaction[] {
    return [...this.#sent.values()].toSorted((one, other) => one.transaction.nonce - other.transaction.nonce);
  }

  /**
   * Takes up what the ledger holds for this command, and looks how it ended. Sends nothing.
   *
   * @throws RpcUnavailableError, LedgerError
   */
  async look(): Promise<void> {
    const { own } = this.readRecorded();
    for (const transaction of own)
      if (!this.#sent.has(transaction.id)) this.#note({ transaction, receipt: undefined }, true);
    for (const transaction of own.filter(({ state }) => state === "open")) {
      const outcome = await readOutcome(this.context, transaction, { isDue: true });
      if (typeof outcome !== "object") continue;
      this.#note({ transaction: outcome.transaction, receipt: undefined }, true);
      requireNotLost(outcome);
    }
  }

  /**
   * Sees to their end what earlier runs left: first transactions of other commands, whose nonces are lower, then the
   * open ones of this command. Takes up the mined ones of an unfinished run of the same command.
   *
   * @throws NonceTakenError if another transaction used the nonce of a transaction that a node or a wallet signs
   * @throws what followTransaction throws
   */
  async resume(): Promise<void> {
    const { ledger } = this.context;
    const { own, others } = this.readRecorded();
    const next = others.length === 0 ? 0 : await this.readNextNonce();
    // Behind a gap, which a wrong count left, it is not mined before this command's transactions fill the gap.
    for (const other of others) if (other.nonce < next) await this.#clear(other);
    for (const transaction of own)
      if (!this.#sent.has(transaction.id)) this.#note({ transaction, receipt: undefined }, true);
    const open = own.filter(({ state }) => state === "open").toSorted((one, other) => one.nonce - other.nonce);
    await gather(open, async (transaction, add) => {
      const ended = isAtWork(transaction.owner) ? undefined : await this.#sendAgain(transaction);
      const current = this.#note({ transaction: ledger.transaction(transaction.id), receipt: undefined }, true);
      this.context.settings.onEvent?.({ kind: "sent", transaction: current, isFromRecord: true });
      add(this.#resumeOne(current, ended));
    });
  }

  /** Sends it again unless it has ended. An endpoint that does not take it now may do so later. */
  async #sendAgain(transaction: LedgerTransaction): Promise<Ended | undefined> {
    try {
      if (this.#mustBeChecked(transaction)) return await this.#requireEnded(transaction);
      const ended = await nudge(this.context, transaction);
      this.#note({ transaction, receipt: undefined }, true, { isSent: true });
      return ended;
    } catch (error) {
      if (!isPassing(error) || lastAttempt(transaction).rawTransaction === undefined) throw error;
      return undefined;
    }
  }

  /** A prune's transaction that removes more than this command asks for. Only a prune knows what is still needed. */
  #mustBeChecked({ purpose, calls }: LedgerTransaction): boolean {
    const isAsked = (call: OwnerCall) => this.key.calls.some((one) => isSameCall(one, call));
    return purpose.kind === "prune" && this.key.purpose.kind !== "prune" && !calls.every(isAsked);
  }

  async #requireEnded(transaction: LedgerTransaction): Promise<Ended> {
    const outcome = await readOutcome(this.context, transaction, { isDue: true });
    if (typeof outcome === "object") return outcome;
    throw new NonceBlockedError(transaction);
  }

  /** Sees another command's transaction to its end. One whose nonce is used is in no one's way. */
  async #clear(other: LedgerTransaction): Promise<void> {
    try {
      const ended = (await nudge(this.context, other)) ?? (await followTransaction(this.context, other, justSent));
      this.#minimumNonce = Math.max(this.#minimumNonce, nonceAfter(ended.transaction));
    } catch (error) {
      if (!(error instanceof NonceTakenError && error.taker?.kind === "notFound")) throw error;
    }
  }

  async #resumeOne(transaction: LedgerTransaction, ended: Ended | undefined): Promise<void> {
    const end = ended ?? (await followTransaction(this.context, transaction, justSent));
    this.#conclude(end, true);
    requireNotLost(end);
  }

  /**
   * Signs, records and sends transactions with consecutive nonces, several pending at a time, and waits until each is
   * mined and proven. The first error stops the sending; pending transactions are still waited for.
   *
   * @throws ImplausibleAnswerError, InsufficientFundsError, NonceBlockedError, NonceTakenError, TransactionRevertedError,
   * ReceiptTimeoutError, ReceiptMismatchError, DelegationUnsupportedError, TransactionCancelledError,
   * TransactionUnderpricedError, RpcUnavailableError, LedgerError
   */
  async send(intents: readonly TransactionIntent[]): Promise<void> {
    const { window = 16, signal } = this.#run.parameters;
    let terms = await this.#readTerms();
    await this.#requireAffordable(intents, terms.fees);
    let left = window;
    await gather(
      intents,
      async (intent, add) => {
        signal?.throwIfAborted();
        if (left-- === 0) [terms, left] = [await this.#readTerms(), window - 1];
        const sent = await this.#sendOne(intent, terms);
        const carried = this.#carry(intent, sent);
        add(carried);
        // The node has no room for more until this one is mined.
        if (sent.refusal !== undefined) await carried;
      },
      window,
    );
  }

  /**
   * Signs, records and sends one transaction, and does not wait for it. If an open record has the same call, sends that
   * again instead.
   *
   * @param nonce the lowest that the transaction may have. @default the next one, as the endpoint counts it
   * @throws what send throws before it waits
   */
  async post(intent: TransactionIntent, nonce?: number): Promise<LedgerTransaction> {
    for (;;) {
      const terms = await this.#readTerms(nonce);
      await this.#requireAffordable([intent], terms.fees);
      const { transaction, isFromRecord, refusal } = await this.#sendOne(intent, terms);
      if (refusal !== undefined) throw refusal;
      await clearTheWay(this.context, transaction);
      const ended = isFromRecord ? await nudge(this.context, transaction) : undefined;
      if (ended === undefined) return this.context.ledger.transaction(transaction.id);
      if (this.#conclude(ended, true).state !== "taken") return requireMined(ended).transaction;
      requireNotLost(ended);
    }
  }

  /**
   * Waits once for all transactions that were sent or taken up, until they reach the stage `until`.
   *
   * @throws what waitForFinality throws, ReceiptMismatchError
   */
  async finish(): Promise<void> {
    const mined = this.sent.filter(({ transaction }) => transaction.state === "mined");
    const final = await waitForFinality(this.context, mined, this.#run.parameters).catch((error: unknown) => {
      for (const one of mined) this.#noteChange(one);
      throw error;
    });
    for (const one of final) {
      const { receipt, isFromRecord = false } = this.#sent.get(one.transaction.id) ?? {};
      // After a reorganisation, another block holds it, and the receipt may show something else.
      if (receipt?.blockHash !== one.receipt.blockHash) this.#conclude(one, isFromRecord);
      else this.#note(one, isFromRecord, { isProven: true });
    }
  }

  /** A reorganisation may have ended a mined transaction in another way. */
  #noteChange({ transaction, isFromRecord }: SentTransaction): void {
    const current = this.context.ledger.transaction(transaction.id);
    if (current.state !== "mined") this.#note({ transaction: current, receipt: undefined }, isFromRecord);
  }

  /** Records that the command has done all that it intended. After this, the same command begins anew. */
  complete(): void {
    const { ledger } = this.context;
    const batch = ledger.findBatch(this.key);
    if (batch !== undefined) ledger.endBatch(batch.id);
  }

  close(): void {
    this.context[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #readTerms(nonce?: number): Promise<Terms> {
    const [counted, fees] = await Promise.all([
      nonce === undefined ? this.#readCount() : { floor: nonce, floorReadAt: Date.now() },
      readFees(this.context.client, this.#run.parameters),
    ]);
    return { ...counted, fees };
  }

  async #readCount(): Promise<Omit<Terms, "fees">> {
    const { client, account } = this.context;
    const floorReadAt = Date.now();
    const known = this.knownNonce === undefined ? undefined : Math.max(this.knownNonce, this.#minimumNonce);
    const next = await readNextNonce(client, { address: account.address, known });
    return { floor: Math.max(next, this.#minimumNonce), floorReadAt };
  }

  #nextNonce(counted: Omit<Terms, "fees">, count: number): number {
    const { ledger, identity, account } = this.context;
    return ledger.nextNonce({ ...identity, ...counted, signer: account.address, count });
  }

  async #requireAffordable(intents: readonly TransactionIntent[], fees: ReadFeesReturnType): Promise<void> {
    const { client, account } = this.context;
    const limit = intents.reduce((gas, intent) => gas + intent.gas, 0n);
    const most = this.gasLeft ?? limit;
    if (limit > most)
      throw new ImplausibleAnswerError({ what: "the gas of the batch's next transactions", answer: limit, most });
    if (this.gasLeft !== undefined) this.gasLeft -= limit;
    const transactions = intents.map(({ to, data, gas, authorize }) => ({
      ...{ to, data, gasLimit: gas, authorizes: authorize !== undefined },
    }));
    await requireFunds(client, { address: account.address, transactions, fees });
  }

  /** Signs, records and sends one transaction, or finds the one of another run that carries its calls. */
  async #sendOne(intent: TransactionIntent, terms: Terms): Promise<OneSent> {
    const { ledger, settings } = this.context;
    const recorded = await this.#record(intent, terms);
    if (recorded.kind === "covered") {
      if (this.gasLeft !== undefined) this.gasLeft += intent.gas; // this run has not spent it
      return { transaction: recorded.by, isFromRecord: true, refusal: undefined };
    }
    let { transaction } = recorded;
    this.#note({ transaction, receipt: undefined }, false);
    const attempt = lastAttempt(transaction);
    let refusal: unknown;
    try {
      transaction = await broadcastRecorded(this.context, transaction);
    } catch (error) {
      const isRefusal = intent.authorize !== undefined && isUnknownType(error);
      const isDeclined = attempt.rawTransaction === undefined && isUserRejection(error);
      if (isRefusal || isDeclined) {
        const refused = ledger.setState(transaction.id, "refused");
        this.#note({ transaction: refused, receipt: undefined }, false, { isSent: false });
      }
      if (isRefusal) throw new DelegationUnsupportedError("the node refuses EIP-7702 transactions", { cause: error });
      const mayPass = isPassing(error) || error instanceof TransactionUnderpricedError;
      if (attempt.rawTransaction === undefined || !mayPass) throw error;
      refusal = error;
    }
    this.#note({ transaction, receipt: undefined }, false);
    settings.onEvent?.({ kind: "sent", transaction, isFromRecord: false });
    return { transaction, isFromRecord: false, refusal };
  }

  async #record(intent: TransactionIntent, terms: Terms): Promise<Exclude<RecordOutcome, { kind: "nonceUsed" }>> {
    const { client, ledger, identity, account, owner } = this.context;
    const { calls, authorize, ...call } = intent;
    const { fees, ...counted } = terms;
    const authorizes = authorize !== undefined;
    for (;;) {
      const nonce = this.#nextNonce(counted, authorizes ? 2 : 1);
      this.#requireUnblocked(terms.floor, nonce);
      const prepared = await signTransaction(client, {
        account,
        transaction: { ...call, chainId: identity.chainId, nonce, ...fees },
        authorization: await authorize?.(nonce),
        mostTip: highestTipFor(account, this.#run.parameters),
      });
      await this.#run.parameters.beforeSend?.(prepared);
      const outcome = ledger.record({
        ...counted,
        ...{ key: this.key, prepared, calls, authorizes, owner, isDevelopment: identity.isDevelopment },
        ...{ since: this.#run.since, mayRepeat: this.#run.intention.mayRepeat },
      });
      if (outcome.kind !== "nonceUsed") return outcome;
    }
  }

  /** @throws NonceBlockedError if a removal that a prune must check has a lower nonce, and is not with the node */
  #requireUnblocked(floor: number, nonce: number): void {
    const { ledger } = this.context;
    const { chain, signer } = this.key;
    const blocking = ledger
      .transactions({ chain, signer, states: ["open"] })
      .find((one) => one.purpose.kind === "prune" && one.nonce >= floor && one.nonce < nonce && !isAtWork(one.owner));
    if (blocking !== undefined) throw new NonceBlockedError(blocking);
  }

  /** Sees one intended transaction to its end. If another program takes its nonce, signs it for the next one. */
  async #carry(intent: TransactionIntent, first: OneSent): Promise<void> {
    const lost: number[] = [];
    for (let sent = first; ; sent = await this.#sendOne(intent, await this.#readTerms())) {
      const { transaction, isFromRecord, refusal } = sent;
      const ended = await followTransaction(this.context, transaction, { isJustSent: refusal === undefined });
      const end = this.#conclude(ended, isFromRecord);
      if (end.state === "mined") return;
      if (end.state !== "taken" || lastAttempt(end).rawTransaction === undefined) requireMined(ended);
      lost.push(end.nonce);
      if (lost.length < mostLostNonces) continue;
      throw new NonceTakenError(end.from, end.nonce, lastAttempt(end).transactionHash, { kind: "lost", nonces: lost });
    }
  }

  /** @throws TransactionRevertedError, ReceiptMismatchError */
  #conclude(ended: Ended, isFromRecord: boolean): LedgerTransaction {
    const { transaction, receipt } = ended;
    this.#note(ended, isFromRecord);
    if (receipt === undefined) return transaction;
    if (transaction.state === "reverted")
      throw new TransactionRevertedError(receipt.transactionHash, transaction.functionName);
    if (transaction.state !== "mined") return transaction;
    this.context.settings.onEvent?.({ kind: "mined", transaction, receipt, isFromRecord });
    const { prove = (receipt, { calls }) => proveCalls(receipt, calls) } = this.#run.intention;
    prove(receipt, transaction);
    return this.#note(ended, isFromRecord, { isProven: true });
  }

  #note(
    { transaction, receipt }: Ended,
    isFromRecord: boolean,
    known: Partial<Pick<SentTransaction, "isProven" | "isSent">> = {},
  ): LedgerTransaction {
    const { isProven = false, isSent = !isFromRecord } = { ...this.#sent.get(transaction.id), ...known };
    this.#sent.set(transaction.id, { transaction, receipt, isFromRecord, isProven, isSent });
    if (transaction.state !== "open" && transaction.state !== "refused")
      this.#minimumNonce = Math.max(this.#minimumNonce, nonceAfter(transaction));
    return transaction;
  }
}

/** What a signature needs besides the intent: the nonces and fees that the endpoint returns. */
interface Terms {
  readonly floor: number;
  readonly floorReadAt: number;
  readonly fees: ReadFeesReturnType;
}

interface OneSent {
  readonly transaction: LedgerTransaction;
  readonly isFromRecord: boolean;
  /** Why the endpoint has not taken it, where it may do so later. */
  readonly refusal: unknown;
}

const justSent = { isJustSent: true } as const;

/**
 * Refuses to make a call again if a node or a wallet signed it and another transaction used its nonce. The user must see
 * that transaction first.
 *
 * @throws NonceTakenError
 */
function requireNotLost(ended: Ended): void {
  const { transaction } = ended;
  if (transaction.state === "taken" && lastAttempt(transaction).rawTransaction === undefined) requireMined(ended);
}
