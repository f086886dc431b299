import { z } from "zod";
import type { AppId, ComposeHash, Hex, TransactionHash } from "../core/ids.ts";

/** One call to an app's contract: which value to allow, on which chain. */
export interface PaymentIntent {
  readonly chainId: number;
  readonly appId: AppId;
  readonly step: PaymentStep;
  /** The device id or compose hash. */
  readonly value: Hex;
}

/** The recorded transaction of an intent. There is at most one at a time. */
export interface PaymentRecord {
  readonly status: PaymentStatus;
  readonly prepared: EntryOf<"prepared">;
  /** Known after signing, or after broadcasting if a remote wallet signs. */
  readonly transactionHash: TransactionHash | undefined;
  /** The block in which it was last seen mined. */
  readonly mined: EntryOf<"mined"> | undefined;
}

export interface UpdateRecord {
  readonly id: string;
  readonly status: UpdateStatus;
  readonly subject: EntryOf<"patched"> | EntryOf<"accepted">;
  readonly correlationId: string | undefined;
}

/** The state that follows from the lines of a journal. */
export interface JournalState {
  /** In order of their first line. */
  readonly updates: ReadonlyMap<string, UpdateRecord>;
  readonly payments: ReadonlyMap<string, PaymentRecord>;
}

export const emptyJournalState: JournalState = { updates: new Map(), payments: new Map() };

/** The state after one more line, or `undefined` if that line cannot follow the earlier ones. */
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
  // Signed bytes have one hash. A line with another hash belongs to no recorded transaction.
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

/** The latest update of a CVM, with any status. */
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

/** The update with this key that has started and has not ended, if there is one. */
export function findOpenUpdate(state: JournalState, key: UpdateKey): UpdateRecord | undefined {
  return [...state.updates.values()].findLast(
    ({ status, subject }) => status !== "completed" && status !== "failed" && isSameKey(subject, key),
  );
}

/** The lowest nonce of a signer that no recorded mined transaction has used. */
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

type EntryType = JournalEntry["type"];
type Table<Status extends string> = Readonly<
  Record<"none" | Status, Readonly<Partial<Record<EntryType, "none" | Status>>>>
>;

/** Progress of the cloud's part of an update. Only `completed` and `failed` end it. */
export type UpdateStatus = "patched" | "confirming" | "confirmed" | "completed" | "failed";

/** Progress of a transaction. After a discarded transaction, another one may be signed. */
export type PaymentStatus = "prepared" | "broadcast" | "mined";

/**
 * A rerun patches again and replaces what the cloud held. Therefore `patched` may follow `patched` and `confirming`.
 */
const updateTable: Table<UpdateStatus> = {
  none: { patched: "patched", accepted: "confirmed" },
  patched: { patched: "patched", confirming: "confirming", accepted: "confirmed" },
  confirming: { patched: "patched", confirming: "confirming", confirmed: "confirmed", accepted: "confirmed" },
  confirmed: { completed: "completed", failed: "failed" },
  completed: {},
  failed: {},
};

/**
 * A reorganisation can remove a mined transaction from the chain. It is then broadcast again and mined in another
 * block. Only `discarded` leads back to the state in which a new transaction may be signed.
 */
const paymentTable: Table<PaymentStatus> = {
  none: { prepared: "prepared" },
  prepared: { broadcast: "broadcast", mined: "mined", discarded: "none" },
  broadcast: { broadcast: "broadcast", mined: "mined", discarded: "none" },
  mined: { broadcast: "broadcast", mined: "mined", discarded: "none" },
};

/** The status after an entry, or `undefined` if the entry cannot follow. */
export function nextUpdateStatus(status: UpdateStatus | undefined, entry: EntryType): UpdateStatus | undefined {
  const next = updateTable[status ?? "none"][entry];
  return next === "none" ? undefined : next;
}

/** The status after an entry, `"none"` if another transaction may be signed now, `undefined` if it cannot follow. */
export function nextPaymentStatus(
  status: PaymentStatus | undefined,
  entry: EntryType,
): PaymentStatus | "none" | undefined {
  return paymentTable[status ?? "none"][entry];
}

/** The two calls an update may have to pay for. */
export const paymentSteps = ["addDevice", "addComposeHash"] as const;
export type PaymentStep = (typeof paymentSteps)[number];

function fixedHex<Value extends Hex>(bytes: number) {
  const pattern = new RegExp(`^0x[0-9a-f]{${bytes * 2}}$`);
  return z.custom<Value>((value) => typeof value === "string" && pattern.test(value), `expected ${bytes} bytes of hex`);
}

const hexData = z.custom<Hex>((value) => typeof value === "string" && /^0x([0-9a-f]{2})*$/.test(value), "expected hex");
const address = fixedHex<Hex>(20);
const transactionHash = fixedHex<TransactionHash>(32);
const wholeNumber = z.string().regex(/^\d{1,78}$/); // wei, gas and block numbers can exceed JSON's safe integers
const chainId = z.int().positive();

/** `update` identifies one run of the flow from its first PATCH to its end, across crashes and reruns. */
const line = { v: z.literal(1), at: z.iso.datetime(), update: z.string().regex(/^[0-9a-f]{16}$/) };

const subject = {
  cvm: z.string().min(1),
  appId: fixedHex<AppId>(20),
  chainId: chainId.nullable(),
  composeHash: fixedHex<ComposeHash>(32),
  previousComposeHash: fixedHex<ComposeHash>(32).nullable(),
  /** Keyed digest of the environment's values, never the values. Null if the update does not change them. */
  environment: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable(),
};

/** A payment belongs to an app and a value, not to one update. The update of another CVM may use it too. */
const payment = { chainId, appId: fixedHex<AppId>(20), step: z.enum(paymentSteps), value: fixedHex<Hex>(32) };

/** One line of the journal. An update spends money only between `prepared` and `mined`. */
export const journalEntrySchema = z.discriminatedUnion("type", [
  /** The cloud holds the update and asks for its hash to be allowed on chain. */
  z.strictObject({ ...line, type: z.literal("patched"), ...subject }),
  /** The cloud accepted the update at once. There is no hash to register. */
  z.strictObject({ ...line, type: z.literal("accepted"), ...subject, correlationId: z.string().nullable() }),

  /** Written before the signed bytes leave this machine. It contains the bytes, so that they can be sent again. */
  z.strictObject({
    ...line,
    type: z.literal("prepared"),
    ...payment,
    from: address,
    to: address,
    data: hexData,
    nonce: z.int().nonnegative(),
    gas: wholeNumber,
    maxFeePerGas: wholeNumber,
    maxPriorityFeePerGas: wholeNumber,
    /** Latest block before signing. The transaction cannot be in an earlier block. */
    head: wholeNumber,
    /** Both null if a remote wallet signs. Only the nonce then identifies the transaction. */
    rawTransaction: hexData.nullable(),
    transactionHash: transactionHash.nullable(),
  }),
  z.strictObject({ ...line, type: z.literal("broadcast"), ...payment, transactionHash }),
  /** The receipt contains the event that proves the step. */
  z.strictObject({
    ...line,
    type: z.literal("mined"),
    ...payment,
    transactionHash,
    blockNumber: wholeNumber,
    gasUsed: wholeNumber,
    costWei: wholeNumber,
  }),
  /** The recorded transaction is given up. `reason` says why a new one cannot pay twice. */
  z.strictObject({
    ...line,
    type: z.literal("discarded"),
    ...payment,
    transactionHash: transactionHash.nullable(),
    reason: z.enum(["reverted", "replaced", "undone", "abandoned"]),
    replacedBy: transactionHash.nullable(),
  }),

  z.strictObject({ ...line, type: z.literal("confirming"), transactionHash }),
  z.strictObject({ ...line, type: z.literal("confirmed"), correlationId: z.string().nullable() }),
  z.strictObject({ ...line, type: z.literal("completed") }),
  /** The CVM did not end on the new compose. */
  z.strictObject({ ...line, type: z.literal("failed"), reason: z.string() }),
]);

export type JournalEntry = z.infer<typeof journalEntrySchema>;
export type EntryOf<Type extends JournalEntry["type"]> = Extract<JournalEntry, { type: Type }>;

type WithoutStamp<Entry> = Entry extends unknown ? Omit<Entry, "v" | "at"> : never;
/** An entry as a step passes it. The journal adds the format version and the time. */
export type NewJournalEntry = WithoutStamp<JournalEntry>;
