import type { JournalEntry } from "./journal-entry.ts";

type EntryType = JournalEntry["type"];
type Table<Status extends string> = Readonly<
  Record<"none" | Status, Readonly<Partial<Record<EntryType, "none" | Status>>>>
>;

/** How far the cloud's side of an update is. Only `completed` and `failed` end it. */
export type UpdateStatus = "patched" | "confirming" | "confirmed" | "completed" | "failed";

/** How far a transaction is. A discarded one leaves room for another. */
export type PaymentStatus = "prepared" | "broadcast" | "mined";

/** A rerun patches again, which replaces what the cloud held: hence `patched` after `patched` and `confirming`. */
const updateTable: Table<UpdateStatus> = {
  none: { patched: "patched", accepted: "confirmed" },
  patched: { patched: "patched", confirming: "confirming", accepted: "confirmed" },
  confirming: { patched: "patched", confirming: "confirming", confirmed: "confirmed", accepted: "confirmed" },
  confirmed: { completed: "completed", failed: "failed" },
  completed: {},
  failed: {},
};

/**
 * A reorganised chain can take a mined transaction back: it is then broadcast again, and mined in another block.
 * Nothing but `discarded` leads back to where a new transaction may be signed.
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

/** The status after an entry, `"none"` once another transaction may be signed, `undefined` if it cannot follow. */
export function nextPaymentStatus(
  status: PaymentStatus | undefined,
  entry: EntryType,
): PaymentStatus | "none" | undefined {
  return paymentTable[status ?? "none"][entry];
}
