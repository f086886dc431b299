import { expect } from "chai";
import { parseComposeHash } from "../../../../src/core/ids.ts";
import { findCreationInLogs, type Start } from "../../../../src/history/creation.ts";
import { decodePolicyChanges } from "../../../../src/history/policy.ts";
import { policyLog } from "../../../support/history/policy-logs.ts";

const hash = parseComposeHash("11".repeat(32));
const creation = policyLog("Initialized", [1n], { blockNumber: 40n });
const upgrade = policyLog("Initialized", [2n], { blockNumber: 60n });
const addition = policyLog("ComposeHashAdded", [hash], { blockNumber: 50n });

/** The creation that the logs from `fromBlock` on show. */
function find(start: Partial<Start>, fromBlock: bigint, ...logs: (typeof creation)[]): bigint | undefined {
  const blocks = logs.map(({ blockNumber }) => blockNumber).sort((one, other) => Number(one - other));
  const content = { ...decodePolicyChanges(logs), covered: [], firstBlockWithLogs: blocks[0] };
  return findCreationInLogs({ block: 50n, isFirst: false, isGiven: false, ...start }, fromBlock, content);
}

describe("findCreationInLogs", () => {
  it("accepts that there was no code before only with a log in the block of the creation", () => {
    expect(find({ isFirst: true }, 50n, addition)).to.equal(50n);
    expect(find({ isFirst: true }, 50n)).to.equal(undefined);
    expect(find({ isFirst: true, block: 45n }, 45n, addition)).to.equal(undefined);
    expect(find({ isFirst: false }, 50n, addition)).to.equal(undefined);
  });

  it("accepts a given first block when it is before the creation", () => {
    expect(find({ isFirst: true, isGiven: true, block: 30n }, 30n, addition)).to.equal(50n);
    expect(find({ isFirst: true, isGiven: true, block: 30n }, 30n)).to.equal(30n);
    expect(find({ isFirst: false, isGiven: true, block: 50n }, 50n, addition)).to.equal(undefined);
  });

  it("accepts no block other than the one that was asked about", () => {
    expect(find({ isFirst: true, isGiven: true }, 45n, addition)).to.equal(undefined);
  });

  it("finds the creation in its last event, and in no later initialisation", () => {
    expect(find({}, 20n, creation, addition)).to.equal(40n);
    expect(find({}, 20n, addition, upgrade)).to.equal(undefined);
  });

  it("needs no other evidence when the range starts with block 0", () => {
    expect(find({}, 0n, addition)).to.equal(50n);
    expect(find({}, 0n)).to.equal(0n);
    expect(find({}, 1n, addition)).to.equal(undefined);
  });
});
