import { expect } from "chai";
import { memoryLedger } from "../../../../src/chain/transactions/ledger.ts";
import { parseAppId, parseComposeHash } from "../../../../src/core/ids.ts";
import { LedgerError } from "../../../../src/errors/index.ts";
import { connectProgress, type UpdateRecord } from "../../../../src/update/progress.ts";
import { catchError } from "../../../support/update/catch-error.ts";

const appId = parseAppId("a1".repeat(20));
const record: UpdateRecord = {
  status: "confirming",
  key: "cvm-one",
  appId,
  chainId: 8453,
  composeHash: parseComposeHash("c2".repeat(32)),
  previousComposeHash: parseComposeHash("c1".repeat(32)),
  environment: "e0".repeat(32),
  correlationId: null,
  payments: [{ step: "addComposeHash", value: parseComposeHash("c2".repeat(32)) }],
};

describe("the progress of an update in the notes of a ledger", () => {
  it("is read as it was written, for each CVM of each app", () => {
    const progress = connectProgress(memoryLedger());
    const other = { ...record, appId: parseAppId("a2".repeat(20)), status: "completed" } as const;
    progress.write({ ...record, status: "patched" });
    progress.write(record);
    progress.write(other);
    expect(progress.read(record)).to.deep.equal(record);
    expect(progress.read(other)).to.deep.equal(other);
    expect(progress.read({ appId, key: "cvm-two" })).to.equal(undefined);
  });

  const lies: Readonly<Record<string, object>> = {
    "an unknown status": { status: "paid" },
    "a hash one digit short": { composeHash: record.composeHash.slice(0, -1) },
    "a field more": { rawTransaction: "0x" },
    "a field that is missing": { environment: undefined },
    "a payment of another kind": { payments: [{ step: "transferOwnership", value: record.composeHash }] },
    "a chain that is none": { chainId: 0 },
    "another app": { appId: `0x${"a3".repeat(20)}` },
    "another CVM": { key: "cvm-two" },
  };
  for (const [name, lie] of Object.entries(lies)) {
    it(`is refused with ${name}`, async () => {
      const ledger = memoryLedger();
      ledger.writeNote("update", `${appId} ${record.key}`, { ...record, ...lie });
      const read = async () => connectProgress(ledger).read(record);
      const error = await catchError(read(), LedgerError);
      expect(error).to.include({ problem: "damaged" });
    });
  }
});
