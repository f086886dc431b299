import { expect } from "chai";
import { parseAppId, parseComposeHash, parseTransactionHash } from "../../../../src/core/ids.ts";
import { memoryJournal } from "../../../../src/update/journal.ts";
import {
  findLatestUpdate,
  findOpenUpdate,
  findPayment,
  lowestFreeNonce,
  type PaymentIntent,
} from "../../../../src/update/journal-state.ts";
import {
  appId,
  composeHash,
  newEntries,
  transactionHash,
  update,
  wholeUpdate,
} from "../../../support/update/entries.ts";

const intent: PaymentIntent = { chainId: 8453, appId, step: "addComposeHash", value: composeHash };
const key = { appId, cvm: "cvm-one", chainId: 8453, composeHash };

async function journalOf(entries: Parameters<ReturnType<typeof memoryJournal>["append"]>[0][]) {
  const journal = memoryJournal();
  for (const entry of entries) await journal.append(entry);
  return journal;
}

describe("the state of a journal", () => {
  it("knows a transaction from the moment it is prepared, for every update of the app", async () => {
    const { state } = await journalOf([newEntries.patched, newEntries.prepared]);
    expect(findPayment(state, intent)).to.include({ status: "prepared", transactionHash });
    expect(findPayment(state, { ...intent, chainId: 1 })).to.equal(undefined);
    expect(findPayment(state, { ...intent, appId: parseAppId("a2".repeat(20)) })).to.equal(undefined);
    expect(findPayment(state, { ...intent, value: parseComposeHash("c3".repeat(32)) })).to.equal(undefined);
    expect(findPayment(state, { ...intent, step: "addDevice" })).to.equal(undefined);
  });

  it("forgets a discarded transaction", async () => {
    const { state } = await journalOf([newEntries.patched, newEntries.prepared, newEntries.discarded]);
    expect(findPayment(state, intent)).to.equal(undefined);
  });

  it("finds an update that was left open, and not one that has ended", async () => {
    const open = await journalOf(wholeUpdate.slice(0, -1));
    expect(findOpenUpdate(open.state, key)?.id).to.equal(update);
    expect(findOpenUpdate(open.state, { ...key, cvm: "cvm-two" })).to.equal(undefined);
    const ended = await journalOf([...wholeUpdate]);
    expect(findOpenUpdate(ended.state, key)).to.equal(undefined);
    expect(findLatestUpdate(ended.state, key)).to.include({ status: "completed", correlationId: "corr-1" });
  });

  it("counts nonces from the mined transactions of a signer on one chain", async () => {
    const { from } = newEntries.prepared;
    const waiting = await journalOf(wholeUpdate.slice(0, 3));
    expect(lowestFreeNonce(waiting.state, 8453, from)).to.equal(0);
    const mined = await journalOf(wholeUpdate.slice(0, 4));
    expect(lowestFreeNonce(mined.state, 8453, from)).to.equal(8);
    expect(lowestFreeNonce(mined.state, 1, from)).to.equal(0);
    expect(lowestFreeNonce(mined.state, 8453, `0x${"0e".repeat(20)}`)).to.equal(0);
  });

  it("refuses a second transaction while one stands, before anything is written", async () => {
    const journal = await journalOf([newEntries.patched, newEntries.prepared]);
    const second = { ...newEntries.prepared, nonce: 8, transactionHash: parseTransactionHash("71".repeat(32)) };
    await expectRejection(journal.append(second));
    expect(journal.entries()).to.have.length(2);
    expect(findPayment(journal.state, intent)).to.include({ transactionHash });
  });

  it("refuses a line about a transaction other than the recorded one", async () => {
    const journal = await journalOf([newEntries.patched, newEntries.prepared]);
    const other = parseTransactionHash("71".repeat(32));
    await expectRejection(journal.append({ ...newEntries.broadcast, transactionHash: other }));
    await expectRejection(journal.append({ ...newEntries.mined, transactionHash: other }));
  });

  it("refuses to turn one update into another", async () => {
    const journal = await journalOf([newEntries.patched]);
    await expectRejection(journal.append({ ...newEntries.patched, composeHash: parseComposeHash("c3".repeat(32)) }));
    await expectRejection(journal.append({ ...newEntries.confirming, update: "ffffffffffffffff" }));
  });
});

async function expectRejection(promise: Promise<unknown>): Promise<void> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).to.be.an("error");
}
