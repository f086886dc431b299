import type { Hex, Transaction } from "viem";
import { getBlock, getBlockNumber, getTransactionCount } from "viem/actions";
import { parseTransactionHash, type TransactionHash } from "../core/ids.ts";
import type { NonceTaker } from "../errors/index.ts";
import type { ChainClient } from "./chain-client.ts";
import type { PreparedTransaction } from "./prepared-transaction.ts";
import { duringRpc } from "./translate-chain-error.ts";

export interface FindTransactionParameters {
  readonly from: Hex;
  readonly nonce: number;
  /** Where to look first; older blocks only if the nonce was used up there already. By default back from the head. */
  readonly fromBlock?: bigint | undefined;
}

export interface FoundTransaction {
  readonly transactionHash: TransactionHash;
  /** Lower case; null for one that creates a contract. */
  readonly to: Hex | null;
  /** Lower case. */
  readonly data: Hex;
  /** 1 for the newest block. */
  readonly confirmations: bigint;
}

/**
 * The mined transaction that used this nonce of a sender, by bisecting the blocks for the one in which the sender's
 * count passed it: the sender's own, or one with the sender's authorisation (EIP-7702). Returns nothing where that
 * cannot be told: an endpoint without old states, somebody else's transaction with the authorisation.
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
    const { low, high } = await bounds(head, fromBlock, isUsedAt);
    const blockNumber = await bisect(low, high, isUsedAt);
    const { transactions } = await getBlock(client, { blockNumber, includeTransactions: true });
    const own = transactions.filter((transaction) => isSameHex(transaction.from, from));
    const found = own.find((one) => one.nonce === nonce) ?? own.find((one) => isAuthorisedWith(one, nonce));
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

/**
 * What has the nonce of a recorded transaction. `same`: a mined one with the recorded target and calldata, be it the
 * recorded one or one that a wallet has sped up. Only the chain's history is a reason to give up a record: a node that
 * does not know a transaction may be behind or have forgotten it.
 *
 * @throws RpcUnavailableError
 */
export async function findNonceTaker(
  client: ChainClient,
  { from, nonce, to, data }: PreparedTransaction,
): Promise<NonceTaker | { readonly kind: "same"; readonly transactionHash: TransactionHash }> {
  const found = await findTransaction(client, { from, nonce });
  if (found !== undefined) {
    const isSame = found.to === to.toLowerCase() && found.data === data.toLowerCase();
    return { kind: isSame ? "same" : "mined", transactionHash: found.transactionHash };
  }
  const mined = await duringRpc("reading the nonce", () =>
    getTransactionCount(client, { address: from, blockTag: "latest" }),
  );
  return { kind: mined > nonce ? "notFound" : "waiting" };
}

/** Where the block lies. Steps back from the head double: recent blocks are the likeliest, and full nodes have no others. */
async function bounds(
  head: bigint,
  fromBlock: bigint | undefined,
  isUsedAt: (block: bigint) => Promise<boolean>,
): Promise<{ readonly low: bigint; readonly high: bigint }> {
  if (fromBlock !== undefined && fromBlock <= head && !(await isUsedAt(fromBlock)))
    return { low: fromBlock, high: head };
  let high = fromBlock === undefined || fromBlock > head ? head : fromBlock;
  for (let step = 1n; high > 0n; step *= 2n) {
    const low = high > step ? high - step : 0n;
    if (!(await isUsedAt(low))) return { low, high };
    high = low;
  }
  return { low: 0n, high };
}

/** The lowest block for which `holds`, which holds for `high` and every block after the first. */
async function bisect(low: bigint, high: bigint, holds: (block: bigint) => Promise<boolean>): Promise<bigint> {
  if (low >= high) return high;
  const middle = (low + high) / 2n;
  return (await holds(middle)) ? bisect(low, middle, holds) : bisect(middle + 1n, high, holds);
}

function isAuthorisedWith(transaction: Transaction, nonce: number): boolean {
  return transaction.authorizationList?.some((authorization) => authorization.nonce === nonce) ?? false;
}

function isSameHex(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function lowerCase(hex: Hex): Hex {
  return `0x${hex.slice(2).toLowerCase()}`;
}
