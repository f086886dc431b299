import { join } from "node:path";
import { expect } from "chai";
import {
  type BatchEntry,
  batchJournalLineSchema,
  ContradictionError,
  fromPreparedLine,
  memoryBatchJournal,
  nonceAfter,
  openBatchJournal,
  type PreparedLine,
  toPreparedLine,
} from "../../../../src/chain/transactions/journal.ts";
import { encodeExecute } from "../../../../src/core/batch-executor.ts";
import { type Hex, parseAppId, parseTransactionHash } from "../../../../src/core/ids.ts";
import { addComposeHashCall, removeComposeHashCall } from "../../../../src/core/owner-calls.ts";
import { executor, signEntry } from "../../../support/journal/signed-entry.ts";
import { hashNumber } from "../../../support/prune/allowlist-use.ts";
import { rejection } from "../../../support/rejection.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

const appId = parseAppId("a0".repeat(20));
const from: Hex = `0x${"Ab".repeat(20)}`;
const other: Hex = `0x${"cd".repeat(20)}`;
const hash = parseTransactionHash("7a".repeat(32));
const calls = [
  addComposeHashCall({ appId, composeHash: hashNumber(2) }),
  removeComposeHashCall({ appId, composeHash: hashNumber(1) }),
];

const unsigned = { rawTransaction: undefined, transactionHash: undefined };

function entry(changes: Partial<BatchEntry["transaction"]> = {}, authorizes = false): BatchEntry {
  const transaction = {
    chainId: 8453,
    from,
    to: from,
    data: encodeExecute(calls),
    nonce: 5,
    gas: 100_000n,
    maxFeePerGas: 10n ** 20n,
    maxPriorityFeePerGas: 1n,
    functionName: "a batch of 2 calls",
    rawTransaction: "0x02abcd",
    transactionHash: hash,
    ...changes,
  } as const;
  return { transaction, calls, authorizes };
}

describe("the entries of a batch journal", () => {
  it("are one per nonce of an account on a chain", async () => {
    const journal = memoryBatchJournal();
    await journal.prepared(entry());
    for (const same of [entry(), entry({ from: `0x${"aB".repeat(20)}`, data: "0x12" })])
      expect(await rejection(journal.prepared(same))).to.be.instanceOf(Error);
    for (const another of [entry({ nonce: 6 }), entry({ chainId: 1 }), entry({ from: other })])
      await journal.prepared(another);
    expect(journal.open).to.have.length(4);
    await journal.ended(entry({ from: `0x${"aB".repeat(20)}` }), "mined");
    expect(journal.open.map(({ transaction: { chainId, from, nonce } }) => [chainId, from, nonce])).to.deep.equal([
      [8453, from, 6],
      [1, from, 5],
      [8453, other, 5],
    ]);
  });

  it("learn their hash, and end, only while they are open", async () => {
    const journal = memoryBatchJournal();
    const isUnsigned = entry(unsigned);
    expect(await rejection(journal.sent(isUnsigned, hash))).to.be.instanceOf(Error);
    expect(await rejection(journal.ended(isUnsigned, "mined"))).to.be.instanceOf(Error);
    await journal.prepared(isUnsigned);
    await journal.sent(isUnsigned, hash);
    expect(journal.open[0]?.transaction.transactionHash).to.equal(hash);
  });

  it("leave free the nonce after the transaction's, and after its authorisation's", () => {
    expect(nonceAfter(entry())).to.equal(6);
    expect(nonceAfter(entry({}, true))).to.equal(7);
  });
});

describe("a line of a batch journal", () => {
  const written = (of: BatchEntry) =>
    batchJournalLineSchema.parse(
      JSON.parse(JSON.stringify({ v: 1, at: "2026-11-21T00:00:00.000Z", ...toPreparedLine(of) })),
    ) as PreparedLine; // it is what was written
  const lower: Hex = `0x${from.slice(2).toLowerCase()}`;

  it("brings back everything that is needed to send the same bytes again", async () => {
    for (const signed of [await signEntry({ calls }), await signEntry({ calls, delegate: executor })])
      expect(fromPreparedLine(written(signed))).to.deep.equal(signed);
    expect(fromPreparedLine(written(entry(unsigned)))).to.deep.equal(entry({ ...unsigned, from: lower, to: lower }));
  });

  it("is none with a call that is no owner's", () => {
    const line = written(entry());
    const [first] = line.calls;
    if (first === undefined) throw new Error("there are two");
    const strange = { ...line, calls: [{ ...first, data: "0x12345678" as Hex }] };
    expect(() => fromPreparedLine(strange)).to.throw(ContradictionError);
  });
});

describe("a batch journal whose file fails", () => {
  const directory = useTemporaryDirectory();

  it("has nothing open that is not in the file, and closes nothing that the file has open", async () => {
    const journal = await openBatchJournal(join(directory.path, "batch.jsonl"));
    await journal.prepared(entry());
    await journal.close(); // nothing can be written from now on
    await rejection(journal.prepared(entry({ nonce: 6 })));
    await rejection(journal.ended(entry(), "mined"));
    expect(journal.open.map(({ transaction: { nonce } }) => nonce)).to.deep.equal([5]);
  });

  it("has its lines in the order in which they were given", async () => {
    const path = join(directory.path, "batch.jsonl");
    const journal = await openBatchJournal(path);
    const entries = Array.from({ length: 20 }, (_, nonce) => entry({ nonce, ...unsigned }));
    await Promise.all(
      entries.flatMap((each) => [
        journal.prepared(each),
        ...(each.transaction.nonce < 10 ? [journal.ended(each, "mined")] : []),
      ]),
    );
    await journal.close();
    const reopened = await openBatchJournal(path);
    expect(reopened.open.map(({ transaction: { nonce } }) => nonce)).to.deep.equal(
      Array.from({ length: 10 }, (_, index) => index + 10),
    );
    await reopened.close();
  });
});
