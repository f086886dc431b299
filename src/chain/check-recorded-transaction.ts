import { keccak256, parseTransaction, recoverTransactionAddress, type TransactionSerialized } from "viem";
import { recoverAuthorizationAddress } from "viem/utils";
import type { Hex } from "../core/ids.ts";
import type { PreparedTransaction } from "./prepared-transaction.ts";
import { highestTip } from "./read-fees.ts";

export interface FindContradictionOptions {
  /** To whom the transaction delegates its sender's account (EIP-7702); undefined if to no one. */
  readonly delegate?: readonly Hex[] | undefined;
  /** Most gas that a node or a wallet is asked to sign for. */
  readonly gasCeiling?: bigint | undefined;
}

/**
 * What a record of a transaction claims and does not hold, as the end of a sentence; undefined if all of it agrees: the
 * signed bytes are this call at this nonce, they have this hash, and they authorise nothing but `delegate`. Signatures
 * are not looked at: that takes milliseconds, see `findForeignSignature`.
 *
 */
export function findContradiction(
  prepared: Omit<PreparedTransaction, "functionName">,
  { delegate, gasCeiling }: FindContradictionOptions = {},
): string | undefined {
  const { rawTransaction, transactionHash } = prepared;
  if (prepared.maxPriorityFeePerGas > prepared.maxFeePerGas) return "its tip is above its highest price";
  if (prepared.maxPriorityFeePerGas > highestTip) return "its tip is above what this package ever pays";
  if (rawTransaction === undefined) {
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
  if ((signed.value ?? 0n) !== 0n) return "its signed bytes pay somebody";
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

/** As `findContradiction`, of the signatures: the sender's key must have made all of them. */
export async function findForeignSignature({
  from,
  rawTransaction,
}: Pick<PreparedTransaction, "from" | "rawTransaction">): Promise<string | undefined> {
  if (rawTransaction === undefined) return undefined;
  const signed = parse(rawTransaction);
  const isSender = (address: Hex) => isSameHex(address, from);
  try {
    const serializedTransaction = rawTransaction as TransactionSerialized; // parsed as one
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

/** What is zero or empty is left out of a parsed transaction. */
function normal(value: string | number | bigint | null | undefined): string {
  return `${value ?? 0}`.toLowerCase().replace(/^0x$/, "0");
}

function isSameHex(one: Hex, other: Hex): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

function parse(rawTransaction: Hex) {
  try {
    return parseTransaction(rawTransaction as TransactionSerialized); // throws if it is none
  } catch {
    return undefined;
  }
}
