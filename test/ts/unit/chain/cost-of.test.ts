import { expect } from "chai";
import { formatTransactionReceipt, type RpcTransactionReceipt, zeroAddress, zeroHash } from "viem";
import { chainConfig } from "viem/op-stack";
import { costOf } from "../../../../src/chain/transactions/price.ts";

const wire: RpcTransactionReceipt = {
  transactionHash: zeroHash,
  transactionIndex: "0x0",
  blockHash: zeroHash,
  blockNumber: "0x1",
  from: zeroAddress,
  to: zeroAddress,
  contractAddress: null,
  cumulativeGasUsed: "0x186a0",
  gasUsed: "0x186a0", // 100,000
  effectiveGasPrice: "0x7",
  logs: [],
  logsBloom: "0x",
  status: "0x1",
  type: "0x2",
};
const isthmus = { l1Fee: "0x10", operatorFeeScalar: "0x12d687", operatorFeeConstant: "0x5" } as const;
const ofGas = 700_000n;
const ofIsthmus = ofGas + 16n + 123_456n + 5n;

describe("costOf", () => {
  for (const [what, fields, cost] of [
    ["on Ethereum", {}, ofGas],
    ["with null for missing fees", { l1Fee: null, operatorFeeScalar: null }, ofGas],
    ["before Isthmus", { l1Fee: "0x10" }, ofGas + 16n],
    ["of Isthmus, with the operator fee per million gas, rounded down", isthmus, ofIsthmus],
    [
      "of Jovian, with the operator fee per gas",
      { ...isthmus, daFootprintGasScalar: "0x190" },
      ofGas + 16n + 100_000n * 1_234_567n * 100n + 5n,
    ],
    ["of a node with later fields as null", { ...isthmus, daFootprintGasScalar: null }, ofIsthmus],
    ["with fees that are not numbers", { l1Fee: "1 ETH", operatorFeeScalar: {}, operatorFeeConstant: -1n }, ofGas],
    ["with fees of more than 256 bits", { l1Fee: `0x${"f".repeat(65)}` }, ofGas],
    ["without gas", { gasUsed: null, effectiveGasPrice: undefined }, 0n],
  ] as const) {
    const receipt = { ...wire, ...fields } as RpcTransactionReceipt;
    it(`reads a receipt ${what}`, () => {
      expect(costOf(receipt)).to.equal(cost);
    });
    it(`reads a receipt ${what}, as viem formats it`, () => {
      expect(costOf(formatTransactionReceipt(receipt))).to.equal(cost);
    });
  }

  it("reads a receipt that viem's OP Stack formatter has formatted", () => {
    const receipt = { ...wire, ...isthmus, l1GasPrice: null, l1GasUsed: null, l1FeeScalar: null };
    expect(costOf(chainConfig.formatters.transactionReceipt.format(receipt))).to.equal(ofIsthmus);
  });
});
