import { expect } from "chai";
import { network } from "hardhat";
import { playReceiptCase, type ReceiptWorld, receiptCases, startReceiptWorld } from "../../../../src/testing/index.ts";
import { expectRightVerdicts } from "../../../support/receipts/judges.ts";

describe("receipts that lie", () => {
  let world: ReceiptWorld;

  before(async () => {
    // The simulated OP stack chain cannot read transactions of type 4; this one has Base's id and reads them.
    world = await startReceiptWorld(await network.create({ network: "default", override: { chainId: 8453 } }));
  });

  it("are at least 50 cases, each with an id of its own", () => {
    expect(receiptCases.length).to.be.at.least(50);
    expect(new Set(receiptCases.map(({ id }) => id)).size).to.equal(receiptCases.length);
  });

  for (const receiptCase of receiptCases)
    it(`${receiptCase.id}: ${receiptCase.story}`, () => playReceiptCase(world, receiptCase, expectRightVerdicts));
});
