import { formatEther, formatGwei } from "viem";
import type { Price, PriceEstimate } from "../core/price.ts";
import { formatCount } from "./format.ts";
import type { Output } from "./output.ts";

export function formatGas(gas: bigint): string {
  return `${gas.toLocaleString("en-US")} gas`;
}

/** Fees on an L2 are tiny. Below a millionth of an ETH they are shown in gwei. */
export function formatFee(wei: bigint): string {
  return 0n < wei && wei < 10n ** 12n ? `${formatGwei(toThreeDigits(wei))} gwei` : formatEth(wei);
}

/** An amount in ETH, however small. */
export function formatEth(wei: bigint): string {
  return `${formatEther(toThreeDigits(wei))} ETH`;
}

/** The amount, rounded to its first three digits. An endpoint can name one that is too large for a `number`. */
function toThreeDigits(amount: bigint): bigint {
  const unit = 10n ** BigInt(Math.max(0, `${amount}`.length - 3));
  return ((amount + unit / 2n) / unit) * unit;
}

interface MinedTransaction {
  readonly gasUsed: bigint;
  readonly costWei: bigint;
}

/**
 * The result of a task: "Removed 2 compose hashes in 1 transaction (63,492 gas, 0.000124 ETH):", and below it the
 * hashes.
 *
 * @param transactions none if an earlier run has done it
 */
export function formatResult(
  what: string,
  transactions: readonly MinedTransaction[],
  values: readonly string[] = [],
): string {
  const gas = transactions.reduce((sum, { gasUsed }) => sum + gasUsed, 0n);
  const cost = transactions.reduce((sum, { costWei }) => sum + costWei, 0n);
  const count = formatCount(transactions.length, "transaction", "transactions");
  const how = transactions.length === 0 ? "before this run" : `in ${count} (${formatGas(gas)}, ${formatFee(cost)})`;
  return `${what} ${how}${values.length === 0 ? "." : ":"}${values.map((value) => `\n  ${value}`).join("")}`;
}

const rows: readonly (readonly [label: string, cell: (price: Price) => string])[] = [
  ["gas", ({ gas }) => gas.toLocaleString("en-US")],
  ["fee per gas", ({ feePerGas }) => formatFee(feePerGas)],
  ["execution", ({ executionFee }) => formatFee(executionFee)],
  ["L1 data fee", ({ l1Fee }) => formatFee(l1Fee)],
  ["operator fee", ({ operatorFee }) => formatFee(operatorFee)],
  ["total", ({ total }) => formatEth(total)],
];

/** Shows what transactions will cost, before the user agrees to them. */
export function showPrice(output: Output, { transactions, baseFeePerGas, expected, most }: PriceEstimate): void {
  const what = transactions === 1 ? "price" : `price of ${transactions} transactions`;
  output.table({
    head: [what, "expected", "at most"],
    rows: rows.map(([label, cell]) => [label, cell(expected), cell(most)]),
  });
  if (most.feePerGas >= baseFeePerGas) return;
  const [fee, base] = [formatGwei(most.feePerGas), formatGwei(baseFeePerGas)];
  output.line(
    `The fee of at most ${fee} gwei per gas is below the base fee, ${base} gwei: no block takes this until it falls.`,
  );
}
