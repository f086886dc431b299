import { join } from "node:path";
import { expect } from "chai";
import { type Ledger, memoryLedger, openLedger } from "../../../../src/chain/transactions/ledger.ts";
import { lastAttempt } from "../../../../src/chain/transactions/ledger-records.ts";
import { parseAppId } from "../../../../src/core/ids.ts";
import { addComposeHashCall, type OwnerCall, removeComposeHashCall } from "../../../../src/core/owner-calls.ts";
import { gone, putRecord, signer, signRecord } from "../../../support/ledger/signed-record.ts";
import { hashNumber } from "../../../support/prune/allowlist-use.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

const appId = parseAppId("a0".repeat(20));
const [one, two, three] = [1, 2, 3].map((number) => addComposeHashCall({ appId, composeHash: hashNumber(number) })) as [
  OwnerCall,
  OwnerCall,
  OwnerCall,
];
const signOne = (call: OwnerCall, nonce: number) => signRecord({ calls: [call], to: call.to, data: call.data, nonce });

async function put(ledger: Ledger, call: OwnerCall, nonce: number) {
  return putRecord(ledger, await signOne(call, nonce), { calls: [call] });
}

describe("a ledger", () => {
  const directory = useTemporaryDirectory();
  const asked = { chain: "8453", signer: signer.address, floorReadAt: 0, count: 1, isDevelopment: false };

  it("gives each nonce once: open and ended ones are skipped, and gaps are filled first", async () => {
    const ledger = memoryLedger();
    expect(ledger.nextNonce({ ...asked, floor: 5 })).to.equal(5);
    await put(ledger, one, 5);
    await put(ledger, two, 7);
    expect(ledger.nextNonce({ ...asked, floor: 5 })).to.equal(6);
    expect(ledger.nextNonce({ ...asked, floor: 5, count: 2 }), "an authorisation needs two in a row").to.equal(8);
    const third = await put(ledger, three, 6);
    ledger.setState(third.id, "taken", { transactionHash: lastAttempt(third).transactionHash ?? ("0x" as never) });
    expect(ledger.nextNonce({ ...asked, floor: 5 })).to.equal(8);
    ledger.setState(third.id, "refused");
    expect(ledger.nextNonce({ ...asked, floor: 5 }), "what was never sent holds no nonce").to.equal(6);
  });

  it("gives the nonces of a development chain that was reset again", async () => {
    const ledger = memoryLedger();
    const first = await put(ledger, one, 5);
    ledger.setState(first.id, "mined", { transactionHash: `0x${"7a".repeat(32)}` as never, blockNumber: 9n });
    const later = Date.now() + 1_000;
    expect(ledger.nextNonce({ ...asked, floor: 5, floorReadAt: later, isDevelopment: true })).to.equal(5);
    expect(ledger.nextNonce({ ...asked, floor: 5, floorReadAt: later })).to.equal(6);
    expect(ledger.nextNonce({ ...asked, floor: 5, floorReadAt: 0, isDevelopment: true })).to.equal(6);
  });

  it("records no second transaction for a nonce, or for a call that is open or was mined meanwhile", async () => {
    const ledger = memoryLedger();
    const first = await put(ledger, one, 5);
    const record = async (call: OwnerCall, nonce: number, since = Date.now()) =>
      ledger.record({
        key: { chain: "8453", signer: signer.address, purpose: { kind: "update", cvm: "a" }, calls: [call] },
        prepared: await signOne(call, nonce),
        ...{ calls: [call], authorizes: false, owner: gone, since, floor: 5, floorReadAt: 0, isDevelopment: false },
      });
    expect((await record(two, 5)).kind).to.equal("nonceUsed");
    expect(await record(one, 6)).to.deep.include({ kind: "covered" });
    const since = Date.now();
    ledger.setState(first.id, "mined", { transactionHash: `0x${"7a".repeat(32)}` as never, blockNumber: 9n });
    expect(await record(one, 6, since)).to.deep.include({ kind: "covered" });
    expect((await record(one, 6, Date.now() + 1_000)).kind, "a later command means it anew").to.equal("recorded");
  });

  it("recognises the same command only by its purpose, calls, signer and chain", async () => {
    const ledger = memoryLedger();
    await put(ledger, one, 5);
    const key = { chain: "8453", signer: signer.address, purpose: { kind: "batch" }, calls: [one] } as const;
    const batch = ledger.findBatch(key);
    expect(batch?.calls.map(({ description }) => description)).to.deep.equal([one.description]);
    for (const other of [
      { ...key, chain: "8453 0xab" },
      { ...key, signer: appId },
      { ...key, purpose: { kind: "prune" } as const },
      { ...key, purpose: { kind: "batch", cvm: "a" } as const },
      { ...key, calls: [one, two] },
      { ...key, calls: [removeComposeHashCall({ appId, composeHash: hashNumber(1) })] },
    ])
      expect(ledger.findBatch(other)).to.equal(undefined);
    ledger.endBatch(batch?.id ?? 0);
    expect(ledger.findBatch(key)).to.equal(undefined);
  });

  it("keeps everything after a restart, and finds it by call, signer, nonce and state", async () => {
    const path = join(directory.path, "ledger.sqlite");
    {
      using ledger = openLedger(path);
      await put(ledger, one, 5);
      await put(ledger, two, 6);
      ledger.writeNote("update", "a", { status: "confirming" });
    }
    using ledger = openLedger(path);
    expect(ledger.transactions({ calls: [two] }).map(({ nonce }) => nonce)).to.deep.equal([6]);
    expect(ledger.transactions({ signer: signer.address, nonce: 5 })).to.have.length(1);
    expect(ledger.transactions({ states: ["mined"] })).to.deep.equal([]);
    expect(ledger.transactions({ limit: 1 }).map(({ nonce }) => nonce)).to.deep.equal([6]);
    expect(ledger.transactions({ chain: "1" })).to.deep.equal([]);
    expect([...ledger.readNotes("update")]).to.deep.equal([["a", { status: "confirming" }]]);
    expect(ledger.batches().map(({ purpose }) => purpose.kind)).to.deep.equal(["batch", "batch"]);
  });
});
