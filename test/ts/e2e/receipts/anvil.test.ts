import { createClient, http } from "viem";
import { playReceiptCase, type ReceiptWorld, receiptCases, startReceiptWorld } from "../../../../src/testing/index.ts";
import { type Anvil, startAnvil } from "../../../support/chain/anvil.ts";
import { expectRightVerdicts } from "../../../support/receipts/judges.ts";

describe("receipts that lie, on Foundry's node", () => {
  let anvil: Anvil;
  let world: ReceiptWorld;

  before(async () => {
    anvil = await startAnvil(8453);
    world = await startReceiptWorld(createClient({ transport: http(anvil.rpcUrl) }));
  });
  after(() => anvil.stop());

  for (const receiptCase of receiptCases)
    it(`gives the right verdicts for ${receiptCase.id}`, () =>
      playReceiptCase(world, receiptCase, expectRightVerdicts));
});
