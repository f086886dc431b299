import type { Chain, TransactionReceipt } from "viem";
import { explorerLink } from "./explorer-link.ts";
import { formatFee, formatGas } from "./format.ts";

/** What a rollup's receipt adds: the fee for publishing the transaction, in wei, as hex or already parsed. */
type Receipt = Pick<TransactionReceipt, "transactionHash" | "blockNumber" | "gasUsed" | "effectiveGasPrice"> & {
  readonly l1Fee?: unknown;
};

/** Transaction, block, gas and what it cost in all, with a link where the chain has an explorer. */
export function describeReceipt(receipt: Receipt, chain?: Pick<Chain, "blockExplorers">): string {
  const { transactionHash, blockNumber, gasUsed } = receipt;
  const link = explorerLink(chain, "tx", transactionHash);
  const facts = `${transactionHash}, block ${blockNumber}, ${formatGas(gasUsed)}, ${formatFee(feeOf(receipt))}`;
  return link === undefined ? facts : `${facts}\n    ${link}`;
}

/** Gas and data fee together, in wei. */
export function feeOf({ gasUsed, effectiveGasPrice, l1Fee }: Receipt): bigint {
  const dataFee = typeof l1Fee === "bigint" || (typeof l1Fee === "string" && l1Fee !== "") ? BigInt(l1Fee) : 0n;
  return gasUsed * effectiveGasPrice + dataFee;
}
