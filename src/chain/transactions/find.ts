import {
  keccak256,
  parseTransaction,
  recoverTransactionAddress,
  type Signature,
  serializeTransaction,
  type Transaction,
  type TransactionSerializable,
  type TransactionSerialized,
} from "viem";
import { getBlock, getBlockNumber, getTransaction, getTransactionCount } from "viem/actions";
import { recoverAuthorizationAddress } from "viem/utils";
import { type Hex, parseTransactionHash, type TransactionHash } from "../../core/ids.ts";
import type { NonceTaker } from "../../errors/index.ts";
import type { ChainClient } from "../client.ts";
import { withRpcErrors } from "../rpc-errors.ts";
import { highestReplacementTip, highestTip } from "./fees.ts";
import type { PreparedTransaction } from "./prepare.ts";

export interface FindTransactionParameters {
  readonly chainId: number;
  readonly from: Hex;
  readonly nonce: number;
}

export interface FoundTransaction {
  readonly transactionHash: TransactionHash;
  /**
   * Whether the sender's key signed exactly this, for the chain and the nonce. Without that no record may be given up for
   * it. That it was mined is the endpoint's word in any case.
   */
  readonly isProven: boolean;
  /** Lower case. Null if the transaction creates a contract. */
  readonly to: Hex | null;
  /** Lower case. */
  readonly data: Hex;
}

/**
 * Finds the mined transaction that used this nonce of a sender. Bisects the blocks for the one in which the sender's
 * nonce count passed it. The transaction is one with this nonce, or one of the sender's that carries an authorisation
 * (EIP-7702) with this nonce. Returns undefined if it cannot be found: the endpoint has no old states, or another
 * account sent the authorisation.
 */
export async function findTransaction(
  client: ChainClient,
  { chainId, from, nonce }: FindTransactionParameters,
): Promise<FoundTransaction | undefined> {
  const isUsedAt = async (blockNumber: bigint) =>
    (await getTransactionCount(client, { address: from, blockNumber })) > nonce;
  try {
    const head = await getBlockNumber(client, { cacheTime: 0 });
    if (!(await isUsedAt(head))) return undefined;
    const { low, high } = await bounds(head, isUsedAt);
    const blockNumber = await bisect(low, high, isUsedAt);
    const { transactions } = await getBlock(client, { blockNumber, includeTransactions: true });
    const own = transactions.filter((transaction) => isSameHex(transaction.from, from));
    const found = own.find((one) => one.nonce === nonce) ?? own.find((one) => isAuthorisedWith(one, nonce));
    if (found === undefined) return undefined;
    return {
      transactionHash: parseTransactionHash(found.hash),
      isProven: await isSigned(found, { chainId, from, nonce }),
      to: found.to === null ? null : lowerCase(found.to),
      data: lowerCase(found.input),
    };
  } catch {
    return undefined;
  }
}

/** `same`: a mined transaction with the recorded target and calldata. */
export type NonceTakerOrSame = NonceTaker | { readonly kind: "same"; readonly transactionHash: TransactionHash };

/**
 * Finds the transaction that uses the nonce of a recorded one. `same`: a mined one with the recorded target and
 * calldata; it is the recorded one or a replacement that a wallet sped up. Drop a record only because of mined
 * transactions: a node that does not know a transaction may be behind or may have forgotten it.
 *
 * @throws RpcUnavailableError
 */
export async function findNonceTaker(
  client: ChainClient,
  { chainId, from, nonce, to, data }: PreparedTransaction,
): Promise<NonceTakerOrSame> {
  const found = await findTransaction(client, { chainId, from, nonce });
  if (found !== undefined) {
    const { transactionHash, isProven } = found;
    const isSame = found.to === to.toLowerCase() && found.data === data.toLowerCase();
    if (isSame) return { kind: "same", transactionHash };
    return isProven ? { kind: "mined", transactionHash } : { kind: "notFound" };
  }
  const mined = await withRpcErrors(client, "reading the nonce", () =>
    getTransactionCount(client, { address: from, blockTag: "latest" }),
  );
  return { kind: mined > nonce ? "notFound" : "waiting" };
}

/**
 * Judges the transaction that the caller names as the one that used a recorded nonce. Undefined if it is not mined, or
 * did not use this nonce.
 */
export async function judgeNonceTaker(
  client: ChainClient,
  { chainId, from, nonce, to, data }: PreparedTransaction,
  transactionHash: TransactionHash,
): Promise<NonceTakerOrSame | undefined> {
  const found = await getTransaction(client, { hash: transactionHash }).catch(() => undefined);
  if (found?.blockNumber == null || found.hash.toLowerCase() !== transactionHash) return undefined;
  if (!(await isSigned(found, { chainId, from, nonce }))) return undefined;
  const isSame = found.to?.toLowerCase() === to.toLowerCase() && found.input.toLowerCase() === data.toLowerCase();
  return isSame ? { kind: "same", transactionHash } : { kind: "mined", transactionHash };
}

/**
 * Returns block numbers between which the block lies. Goes back from the newest block in steps that double: recent
 * blocks are the most likely, and full nodes keep only their states.
 */
async function bounds(
  head: bigint,
  isUsedAt: (block: bigint) => Promise<boolean>,
): Promise<{ readonly low: bigint; readonly high: bigint }> {
  let high = head;
  for (let step = 1n; high > 0n; step *= 2n) {
    const low = high > step ? high - step : 0n;
    if (!(await isUsedAt(low))) return { low, high };
    high = low;
  }
  return { low: 0n, high };
}

/**
 * Returns the lowest block for which `holds` is true. It must be true for `high` and for every block after the first.
 */
async function bisect(low: bigint, high: bigint, holds: (block: bigint) => Promise<boolean>): Promise<bigint> {
  if (low >= high) return high;
  const middle = (low + high) / 2n;
  return (await holds(middle)) ? bisect(low, middle, holds) : bisect(middle + 1n, high, holds);
}

/**
 * Whether the sender's key signed a transaction as the endpoint shows it, and it uses the nonce on this chain. An endpoint
 * can change any field of an answer: without this check a recorded transaction would be given up, and another one paid,
 * on its word alone. False as well for what no key signed, such as the transactions of an impersonated account.
 */
async function isSigned(
  transaction: Transaction,
  { chainId, from, nonce }: Pick<FindTransactionParameters, "chainId" | "from" | "nonce">,
): Promise<boolean> {
  try {
    const { input: data, r, s, v, yParity } = transaction;
    // The two types that viem has of a transaction differ in optional fields alone.
    const fields = { ...transaction, data } as TransactionSerializable;
    const serializedTransaction = serializeTransaction(fields, { r, s, v, yParity } as Signature);
    const signed = parse(serializedTransaction);
    const isByKey = isSameHex(await recoverTransactionAddress({ serializedTransaction }), from);
    if (!isByKey || signed?.chainId !== chainId || keccak256(serializedTransaction) !== transaction.hash) return false;
    if ((signed.nonce ?? 0) === nonce) return true;
    for (const authorization of signed.type === "eip7702" ? signed.authorizationList : []) {
      const isForNonce = authorization.nonce === nonce && [0, chainId].includes(authorization.chainId);
      if (isForNonce && isSameHex(await recoverAuthorizationAddress({ authorization }), from)) return true;
    }
    return false;
  } catch {
    return false;
  }
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

export interface FindContradictionOptions {
  /**
   * Contracts to which the transaction may delegate its sender's account (EIP-7702). Undefined if it must not delegate.
   */
  readonly delegate?: readonly Hex[] | undefined;
  /** Highest gas limit that a node or a wallet is asked to sign for. */
  readonly gasCeiling?: bigint | undefined;
  /** Whether it replaces an earlier transaction of its nonce. Nodes then ask for a higher tip than the earlier one's. */
  readonly isReplacement?: boolean | undefined;
}

/**
 * Checks a record of a transaction. Returns the first claim that is not true, as the end of a sentence; undefined if
 * the record is consistent. The signed bytes must be this call at this nonce, must have this hash, and must authorise
 * only `delegate`. Does not check signatures, which takes milliseconds; see `findForeignSignature`.
 */
export function findContradiction(
  prepared: Omit<PreparedTransaction, "functionName">,
  { delegate, gasCeiling, isReplacement = false }: FindContradictionOptions = {},
): string | undefined {
  const { rawTransaction, transactionHash } = prepared;
  if (prepared.maxPriorityFeePerGas > prepared.maxFeePerGas) return "its tip is above its highest price";
  if (rawTransaction === undefined) {
    // Signed bytes may have any tip: the signer's key agreed to it, and the cap held when it did.
    if (prepared.maxPriorityFeePerGas > (isReplacement ? highestReplacementTip : highestTip))
      return "its tip is above what this package ever lets a node or a wallet pay";
    if (gasCeiling !== undefined && prepared.gas > gasCeiling)
      return "its gas limit is above what such a call ever gets";
    return delegate === undefined ? undefined : "it delegates the account, and its signed bytes are missing";
  }
  if (transactionHash !== undefined && keccak256(rawTransaction) !== transactionHash.toLowerCase())
    return "its hash is not that of its signed bytes";
  const signed = parse(rawTransaction);
  if (signed?.type !== "eip1559" && signed?.type !== "eip7702") return "its signed bytes are no such transaction";
  const differing = fields.find((name) => normal(signed[name]) !== normal(prepared[name]));
  if (differing !== undefined) return `its signed bytes have another ${words[differing]}`;
  if ((signed.value ?? 0n) !== 0n) return "its signed bytes also send ether";
  if ((signed.accessList ?? []).length > 0) return "its signed bytes have an access list";

  const authorizations = signed.type === "eip7702" ? signed.authorizationList : [];
  if (delegate === undefined)
    return authorizations.length > 0 || signed.type === "eip7702" ? "its signed bytes delegate an account" : undefined;
  const [authorization] = authorizations;
  if (authorizations.length !== 1 || authorization === undefined) return "its signed bytes do not delegate the account";
  const { address, chainId, nonce } = authorization;
  if (!delegate.some((each) => isSameHex(each, address))) return `its signed bytes delegate the account to ${address}`;
  return chainId === prepared.chainId && nonce === prepared.nonce + 1
    ? undefined
    : "its authorisation is for another chain or nonce";
}

/** Like `findContradiction`, for signatures: the sender's key must have made all of them. */
export async function findForeignSignature({
  from,
  rawTransaction,
}: Pick<PreparedTransaction, "from" | "rawTransaction">): Promise<string | undefined> {
  if (rawTransaction === undefined) return undefined;
  const signed = parse(rawTransaction);
  const isSender = (address: Hex) => isSameHex(address, from);
  try {
    const serializedTransaction = rawTransaction as TransactionSerialized; // was parsed as one
    if (!isSender(await recoverTransactionAddress({ serializedTransaction }))) return "another key signed it";
    const authorizations = signed?.type === "eip7702" ? signed.authorizationList : [];
    for (const authorization of authorizations)
      if (!isSender(await recoverAuthorizationAddress({ authorization })))
        return "another key signed its authorisation";
    return undefined;
  } catch {
    return "its signature is none";
  }
}

const fields = ["chainId", "nonce", "to", "data", "gas", "maxFeePerGas", "maxPriorityFeePerGas"] as const;
const words: Readonly<Record<(typeof fields)[number], string>> = {
  chainId: "chain",
  nonce: "nonce",
  to: "target",
  data: "calldata",
  gas: "gas limit",
  maxFeePerGas: "price",
  maxPriorityFeePerGas: "tip",
};

/** Normalises a field: a parsed transaction leaves out values that are zero or empty. */
function normal(value: string | number | bigint | null | undefined): string {
  return `${value ?? 0}`.toLowerCase().replace(/^0x$/, "0");
}

function parse(rawTransaction: Hex) {
  try {
    return parseTransaction(rawTransaction as TransactionSerialized); // throws if it is not a transaction
  } catch {
    return undefined;
  }
}
