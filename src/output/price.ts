import type { Price, PriceEstimate } from "../core/price.ts";
import { formatEth, formatFee } from "./format.ts";
import type { Output } from "./output.ts";

const rows: readonly (readonly [label: string, cell: (price: Price) => string])[] = [
  ["gas", ({ gas }) => gas.toLocaleString("en-US")],
  ["fee per gas", ({ feePerGas }) => formatFee(feePerGas)],
  ["execution", ({ executionFee }) => formatFee(executionFee)],
  ["L1 data fee", ({ l1Fee }) => formatFee(l1Fee)],
  ["operator fee", ({ operatorFee }) => formatFee(operatorFee)],
  ["total", ({ total }) => formatEth(total)],
];

/** Shows what transactions will cost, before the user agrees to them. */
export function showPrice(output: Output, { transactions, expected, most }: PriceEstimate): void {
  const what = transactions === 1 ? "price" : `price of ${transactions} transactions`;
  output.table({
    head: [what, "expected", "at most"],
    rows: rows.map(([label, cell]) => [label, cell(expected), cell(most)]),
  });
}
