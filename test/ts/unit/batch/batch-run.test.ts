import { expect } from "chai";
import { createClient, custom, type TransactionReceipt } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { BatchRun } from "../../../../src/batch/run.ts";
import { memoryBatchJournal } from "../../../../src/chain/transactions/journal.ts";
import { parseAppId } from "../../../../src/core/ids.ts";
import { removeComposeHashCall } from "../../../../src/core/owner-calls.ts";
import { BatchStoppedError } from "../../../../src/errors/index.ts";
import { hashNumber } from "../../../support/prune/allowlist-use.ts";

const appId = parseAppId("a0".repeat(20));
const [one, two, three, four] = [1, 2, 3, 4].map((number) =>
  removeComposeHashCall({ appId, composeHash: hashNumber(number) }),
) as [Call, Call, Call, Call];
type Call = ReturnType<typeof removeComposeHashCall>;

function open(...calls: Call[]): BatchRun {
  const settings = {
    client: createClient({ transport: custom({ request: async () => null }) }),
    account: privateKeyToAccount(`0x${"1e".repeat(32)}`),
    chainId: 8453,
    journal: memoryBatchJournal(),
    beforeSend: undefined,
    confirmUnsigned: undefined,
    onEvent: undefined,
    signal: undefined,
    window: 16,
    gasCeiling: 1n,
    confirmations: undefined,
    timeoutMs: undefined,
    pollIntervalMs: undefined,
  };
  return new BatchRun(settings, calls);
}

/** As much of a receipt as a run looks at. */
function receipt(fields: Partial<TransactionReceipt> & { readonly l1Fee?: string | null } = {}): TransactionReceipt {
  const transactionHash = `0x${"7a".repeat(32)}` as const;
  const receipt = {
    transactionHash,
    blockNumber: 5n,
    gasUsed: 100n,
    effectiveGasPrice: 7n,
    status: "success",
    ...fields,
  };
  return receipt as TransactionReceipt; // the rest is not looked at
}
const mined = { calls: [], isFromRecord: false } as const;

describe("BatchRun", () => {
  it("has left what no transaction carries: neither what waits nor what failed is sent again", () => {
    const run = open(one, two, three, four);
    run.mark([one], "pending");
    run.mark([two], "failed");
    run.mark([three], "done");
    expect(run.left).to.deep.equal([four]);
    run.mark([one], "notSent");
    expect(run.left).to.deep.equal([one, four]);
  });

  it("minds the calls of a recorded transaction that are its own, and no others", () => {
    const run = open(one, two);
    run.mark([three, one], "done");
    expect(run.left).to.deep.equal([two]);
    expect(run.result("none", "").calls).to.have.lengthOf(2);
  });

  it("counts what a rollup charges for the data, where it says so", () => {
    const run = open(one);
    run.mined(receipt({ l1Fee: "0x10" }), { ...mined, nextNonce: 1 });
    run.mined(receipt({ l1Fee: null }), { ...mined, nextNonce: 2 });
    run.mined(receipt(), { ...mined, nextNonce: 3 });
    expect(run.result("none", "")).to.include({ gasUsed: 300n, costWei: 3n * 700n + 16n });
  });

  it("takes no nonce a second time, though receipts come in another order", () => {
    const run = open(one);
    run.mined(receipt(), { ...mined, nextNonce: 9 });
    run.mined(receipt(), { ...mined, nextNonce: 8 });
    expect(run.minimumNonce).to.equal(9);
  });

  it("gives the cause itself while nothing was sent, and how far it came from then on", () => {
    const cause = new Error("no");
    const run = open(one, two);
    expect(run.stopped(cause, "none", "")).to.equal(cause);
    // The executor alone was deployed: paid for, and no call is under way.
    run.mined(receipt(), { ...mined, nextNonce: 1 });
    expect(run.stopped(cause, "7702", ""))
      .to.be.instanceOf(BatchStoppedError)
      .with.property("cause", cause);
    const other = open(one, two);
    other.mark([one], "pending");
    expect(other.stopped(cause, "none", "")).to.be.instanceOf(BatchStoppedError);
  });
});
