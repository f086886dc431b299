import type { AppId, ComposeHash, Hex, TransactionHash } from "../core/ids.ts";
import type { EntryOf, JournalEntry, PaymentStep } from "./journal-entry.ts";
import { nextPaymentStatus, nextUpdateStatus, type PaymentStatus, type UpdateStatus } from "./state.ts";

/** One call an app's contract must see: which value to allow, on which chain. */
export interface PaymentIntent {
  readonly chainId: number;
  readonly appId: AppId;
  readonly step: PaymentStep;
  /** The device id or compose hash. */
  readonly value: Hex;
}

/** A transaction on record for an intent. At most one at a time can stand for it. */
export interface PaymentRecord {
  readonly status: PaymentStatus;
  readonly prepared: EntryOf<"prepared">;
  /** Known from signing on, or from broadcasting on where a remote wallet signs. */
  readonly transactionHash: TransactionHash | undefined;
  /** Where it was last seen mined. */
  readonly mined: EntryOf<"mined"> | undefined;
}

export interface UpdateRecord {
  readonly id: string;
  readonly status: UpdateStatus;
  readonly subject: EntryOf<"patched"> | EntryOf<"accepted">;
  readonly correlationId: string | undefined;
}

/** What the lines of a journal amount to. */
export interface JournalState {
  /** In order of their first line. */
  readonly updates: ReadonlyMap<string, UpdateRecord>;
  readonly payments: ReadonlyMap<string, PaymentRecord>;
}

export const emptyJournalState: JournalState = { updates: new Map(), payments: new Map() };

/** The state after one more line, or `undefined` if that line cannot follow the ones before it. */
export function advance(state: JournalState, entry: JournalEntry): JournalState | undefined {
  return "step" in entry ? advancePayment(state, entry) : advanceUpdate(state, entry);
}

function advanceUpdate(state: JournalState, entry: Exclude<JournalEntry, PaymentIntent>): JournalState | undefined {
  const known = state.updates.get(entry.update);
  const status = nextUpdateStatus(known?.status, entry.type);
  const subject = "composeHash" in entry ? entry : known?.subject;
  if (status === undefined || subject === undefined) return undefined;
  if (known !== undefined && !isSameKey(known.subject, subject)) return undefined;
  const correlationId = ("correlationId" in entry ? entry.correlationId : undefined) ?? known?.correlationId;
  const record: UpdateRecord = { id: entry.update, status, subject, correlationId };
  return { ...state, updates: new Map(state.updates).set(record.id, record) };
}

function advancePayment(state: JournalState, entry: Extract<JournalEntry, PaymentIntent>): JournalState | undefined {
  const key = paymentKey(entry);
  const known = state.payments.get(key);
  const status = nextPaymentStatus(known?.status, entry.type);
  const prepared = entry.type === "prepared" ? entry : known?.prepared;
  if (status === undefined || prepared === undefined) return undefined;
  const transactionHash = entry.transactionHash ?? undefined;
  // Signed bytes have one hash; a line that names another belongs to no transaction on record.
  if (known?.transactionHash !== undefined && transactionHash !== known.transactionHash) return undefined;

  const payments = new Map(state.payments);
  if (status === "none") payments.delete(key);
  else {
    const mined = entry.type === "mined" ? entry : known?.mined;
    payments.set(key, { status, prepared, transactionHash: transactionHash ?? known?.transactionHash, mined });
  }
  return { ...state, payments };
}

export function findPayment(state: JournalState, intent: PaymentIntent): PaymentRecord | undefined {
  return state.payments.get(paymentKey(intent));
}

/** The latest update of a CVM, whatever became of it. */
export function findLatestUpdate(
  state: JournalState,
  { appId, cvm }: { readonly appId: AppId; readonly cvm: string },
): UpdateRecord | undefined {
  return [...state.updates.values()].findLast(({ subject }) => subject.appId === appId && subject.cvm === cvm);
}

export interface UpdateKey {
  readonly appId: AppId;
  readonly cvm: string;
  readonly chainId: number | null;
  readonly composeHash: ComposeHash;
}

/** The update with this key that was begun and has not ended, if there is one. */
export function findOpenUpdate(state: JournalState, key: UpdateKey): UpdateRecord | undefined {
  return [...state.updates.values()].findLast(
    ({ status, subject }) => status !== "completed" && status !== "failed" && isSameKey(subject, key),
  );
}

/** The lowest nonce of a signer that no transaction known to be mined has used. */
export function lowestFreeNonce(state: JournalState, chainId: number, from: Hex): number {
  const used = [...state.payments.values()]
    .filter(({ status, prepared }) => status === "mined" && prepared.chainId === chainId && prepared.from === from)
    .map(({ prepared }) => prepared.nonce);
  return Math.max(-1, ...used) + 1;
}

function paymentKey({ chainId, appId, step, value }: PaymentIntent): string {
  return `${chainId} ${appId} ${step} ${value}`;
}

function isSameKey(one: UpdateKey, other: UpdateKey): boolean {
  return (
    one.appId === other.appId &&
    one.cvm === other.cvm &&
    one.chainId === other.chainId &&
    one.composeHash === other.composeHash
  );
}
