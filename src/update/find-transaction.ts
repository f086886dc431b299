import { getBlock, getBlockNumber, getTransactionCount } from "viem/actions";
import type { ChainClient } from "../chain/chain-client.ts";
import type { Hex } from "../core/hex.ts";
import { parseTransactionHash } from "../core/ids.ts";
import type { FoundTransaction } from "./ports.ts";

export interface FindTransactionParameters {
  readonly from: Hex;
  readonly nonce: number;
  /** Where to look first; older blocks only if the nonce was used up there already. */
  readonly fromBlock: bigint;
}

/**
 * The mined transaction of a sender with this nonce, by bisecting the blocks for the one in which the sender's count
 * passed it. Returns nothing where that cannot be told: an endpoint without old states, a nonce used by an EIP-7702
 * authorisation instead of a transaction.
 */
export async function findTransaction(
  client: ChainClient,
  { from, nonce, fromBlock }: FindTransactionParameters,
): Promise<FoundTransaction | undefined> {
  const isUsedAt = async (blockNumber: bigint) =>
    (await getTransactionCount(client, { address: from, blockNumber })) > nonce;
  try {
    const head = await getBlockNumber(client, { cacheTime: 0 });
    if (!(await isUsedAt(head))) return undefined;
    const isEarlier = fromBlock > head || (await isUsedAt(fromBlock));
    const blockNumber = await bisect(isEarlier ? 0n : fromBlock, isEarlier ? min(fromBlock, head) : head, isUsedAt);
    const { transactions } = await getBlock(client, { blockNumber, includeTransactions: true });
    const found = transactions.find((transaction) => isSameHex(transaction.from, from) && transaction.nonce === nonce);
    if (found === undefined) return undefined;
    return {
      transactionHash: parseTransactionHash(found.hash),
      to: found.to === null ? null : lowerCase(found.to),
      data: lowerCase(found.input),
      confirmations: head - blockNumber + 1n,
    };
  } catch {
    return undefined;
  }
}

/** The lowest block for which `holds`, which holds for `high` and every block after the first. */
async function bisect(low: bigint, high: bigint, holds: (block: bigint) => Promise<boolean>): Promise<bigint> {
  if (low >= high) return high;
  const middle = (low + high) / 2n;
  return (await holds(middle)) ? bisect(low, middle, holds) : bisect(middle + 1n, high, holds);
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function isSameHex(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function lowerCase(hex: Hex): Hex {
  return `0x${hex.slice(2).toLowerCase()}`;
}
