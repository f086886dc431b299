import { expect } from "chai";
import fc from "fast-check";
import {
  type JournalEntry,
  nextPaymentStatus,
  nextUpdateStatus,
  type PaymentStatus,
  type UpdateStatus,
} from "../../../../src/update/journal-state.ts";

type EntryType = JournalEntry["type"];

const updateEntries: readonly EntryType[] = ["patched", "accepted", "confirming", "confirmed", "completed", "failed"];
const paymentEntries: readonly EntryType[] = ["prepared", "broadcast", "mined", "discarded"];
const entries = [...updateEntries, ...paymentEntries];

/** Follows a sequence until one entry cannot follow; that one is left out. */
function walk<Status>(
  sequence: readonly EntryType[],
  next: (status: Status, entry: EntryType) => Status | undefined,
  start: Status,
) {
  const taken: EntryType[] = [];
  let status = start;
  for (const entry of sequence) {
    const following = next(status, entry);
    if (following === undefined) continue;
    taken.push(entry);
    status = following;
  }
  return { taken, status };
}

const nextUpdate = (status: UpdateStatus | undefined, entry: EntryType) => nextUpdateStatus(status, entry);
const nextPayment = (status: PaymentStatus | "none", entry: EntryType) =>
  nextPaymentStatus(status === "none" ? undefined : status, entry);

describe("update status", () => {
  it("goes from patched to completed", () => {
    const sequence: EntryType[] = ["patched", "confirming", "confirmed", "completed"];
    expect(walk(sequence, nextUpdate, undefined)).to.deep.equal({ taken: sequence, status: "completed" });
  });

  it("is confirmed at once where no hash has to be registered", () => {
    expect(nextUpdateStatus(undefined, "accepted")).to.equal("confirmed");
  });

  it("has no transition after its end, and none by a payment", () => {
    for (const entry of entries) {
      expect(nextUpdateStatus("completed", entry), entry).to.equal(undefined);
      expect(nextUpdateStatus("failed", entry), entry).to.equal(undefined);
    }
    for (const entry of paymentEntries) expect(nextUpdateStatus("patched", entry), entry).to.equal(undefined);
  });

  it("never completes without a confirmation", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...entries)), (sequence) => {
        const { taken, status } = walk(sequence, nextUpdate, undefined);
        if (status !== "completed" && status !== "failed") return;
        expect(taken.slice(0, -1)).to.satisfy(
          (before: EntryType[]) => before.includes("confirmed") || before.includes("accepted"),
        );
      }),
    );
  });
});

describe("payment status", () => {
  it("allows a second transaction only after the first was discarded", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...paymentEntries)), (sequence) => {
        const { taken } = walk(sequence, nextPayment, "none");
        const opened = taken.filter((entry) => entry === "prepared" || entry === "discarded");
        expect(opened).to.deep.equal(opened.map((_, index) => (index % 2 === 0 ? "prepared" : "discarded")));
      }),
    );
  });

  it("begins with the recorded transaction", () => {
    for (const entry of ["broadcast", "mined", "discarded"] as const) {
      expect(nextPaymentStatus(undefined, entry), entry).to.equal(undefined);
    }
  });

  it("becomes pending again when a reorganisation drops the transaction", () => {
    expect(nextPaymentStatus("mined", "broadcast")).to.equal("broadcast");
  });
});
