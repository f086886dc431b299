import { expect } from "chai";
import { parseEther, parseGwei } from "viem";
import type { Price, PriceEstimate } from "../../../../src/core/price.ts";
import type { TableRows } from "../../../../src/output/output.ts";
import { formatEth, formatFee, showPrice } from "../../../../src/output/price.ts";

describe("amounts in words", () => {
  for (const [wei, fee, eth] of [
    [0n, "0 ETH", "0 ETH"],
    [1n, "0.000000001 gwei", "0.000000000000000001 ETH"],
    [1_234n, "0.00000123 gwei", "0.00000000000000123 ETH"],
    [parseGwei("4.6861"), "4.69 gwei", "0.00000000469 ETH"],
    // Zeros before the point are digits of the amount.
    [parseGwei("100"), "100 gwei", "0.0000001 ETH"],
    [parseGwei("999.9"), "1000 gwei", "0.000001 ETH"],
    [parseEther("0.000107499"), "0.000107 ETH", "0.000107 ETH"],
    [parseEther("100"), "100 ETH", "100 ETH"],
    [parseEther("123456"), "123000 ETH", "123000 ETH"],
    [2n ** 256n, `${"116".padEnd(60, "0")} ETH`, `${"116".padEnd(60, "0")} ETH`],
  ] as const) {
    it(`${wei} wei are ${fee}`, () => {
      expect([formatFee(wei), formatEth(wei)]).to.deep.equal([fee, eth]);
    });
  }
});

describe("showPrice", () => {
  const price = (gas: bigint, feePerGas: bigint): Price => {
    const fees = { executionFee: gas * feePerGas, l1Fee: parseGwei("4.6861"), operatorFee: 0n };
    return { gas, feePerGas, ...fees, total: fees.executionFee + fees.l1Fee };
  };

  function print(estimate: PriceEstimate) {
    const tables: TableRows[] = [];
    const lines: string[] = [];
    const none = () => {};
    const line = (text = "") => void lines.push(text);
    showPrice({ title: none, step: none, detail: none, line, table: (rows) => tables.push(rows) }, estimate);
    return { tables, lines };
  }

  it("shows the expected and the highest price, and the total in ETH", () => {
    const expected = price(54_978n, parseGwei("0.005"));
    const most = price(250_000n, parseGwei("0.01"));
    expect(print({ transactions: 1, baseFeePerGas: 1n, expected, most }).tables).to.deep.equal([
      {
        head: ["price", "expected", "at most"],
        rows: [
          ["gas", "54,978", "250,000"],
          ["fee per gas", "0.005 gwei", "0.01 gwei"],
          ["execution", "275 gwei", "0.0000025 ETH"],
          ["L1 data fee", "4.69 gwei", "4.69 gwei"],
          ["operator fee", "0 ETH", "0 ETH"],
          ["total", "0.00000028 ETH", "0.0000025 ETH"],
        ],
      },
    ]);
  });

  it("names the number of transactions if there are several", () => {
    const one = price(1n, 1n);
    const { tables } = print({ transactions: 3, baseFeePerGas: 1n, expected: one, most: one });
    expect(tables[0]?.head[0]).to.equal("price of 3 transactions");
  });

  it("says that a fee below the base fee has to wait, with both numbers", () => {
    const one = price(1n, parseGwei("0.2"));
    const linesAt = (baseFee: string) =>
      print({ transactions: 1, baseFeePerGas: parseGwei(baseFee), expected: one, most: one }).lines;
    expect(linesAt("0.2")).to.deep.equal([]);
    expect(linesAt("0.25")).to.deep.equal([
      "The fee of at most 0.2 gwei per gas is below the base fee, 0.25 gwei: no block takes this until it falls.",
    ]);
  });
});
