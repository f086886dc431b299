import { type Account, type Address, type Hex, keccak256, type SignedAuthorization } from "viem";
import { getTransactionCount } from "viem/actions";
import { parseTransactionHash, type TransactionHash } from "../../core/ids.ts";
import { DelegationUnsupportedError, ImplausibleAnswerError } from "../../errors/index.ts";
import type { ChainClient } from "../client.ts";
import { withRpcErrors } from "../rpc-errors.ts";
import { highestTip } from "./fees.ts";

/** More than the number of pending transactions that nodes keep for one account. */
export const mostWaiting = 64;

export interface ReadNextNonceParameters {
  readonly address: Address;
  /** A nonce that is already known: the one that was shown to the user, or the one after a transaction seen mined. */
  readonly known?: number | undefined;
}

/**
 * Reads the nonce of an account's next transaction, including pending ones. Only the endpoint knows it, and a signature
 * for a nonce far ahead could be mined months later. Therefore a count is rejected if it is far above the mined count
 * or the known nonce.
 *
 * @throws ImplausibleAnswerError, RpcUnavailableError
 */
export async function readNextNonce(client: ChainClient, { address, known }: ReadNextNonceParameters): Promise<number> {
  const count = (blockTag: "latest" | "pending") => getTransactionCount(client, { address, blockTag });
  const [mined, pending] = await withRpcErrors(client, "reading the nonce", () =>
    Promise.all([count("latest"), count("pending")]),
  );
  const next = Math.max(mined, pending);
  const most = Math.min(mined, known ?? mined) + mostWaiting;
  if (known !== undefined && next <= known) return next;
  if (next > most || !Number.isSafeInteger(next)) {
    throw new ImplausibleAnswerError({ what: `the next nonce of ${address}`, answer: next, most });
  }
  return next;
}

/**
 * A transaction with every field fixed. Sending it again sends the same transaction: its nonce can be used only once.
 */
export interface PreparedTransaction {
  readonly chainId: number;
  readonly from: Address;
  readonly to: Address;
  readonly data: Hex;
  readonly nonce: number;
  /** Gas limit, in gas. */
  readonly gas: bigint;
  /** Highest price per gas, in wei. */
  readonly maxFeePerGas: bigint;
  /** Part of the price that goes to the block builder, in wei per gas. */
  readonly maxPriorityFeePerGas: bigint;
  /** Name of the call for human readers. `data` decides what it does. */
  readonly functionName: string;
  /** The signed bytes. Absent if the node or a wallet holds the signer's key. */
  readonly rawTransaction?: Hex | undefined;
  /** Hash of the signed bytes, known before they are sent. */
  readonly transactionHash?: TransactionHash | undefined;
}

export interface SignTransactionParameters {
  readonly account: Account;
  readonly transaction: Omit<PreparedTransaction, "from" | "rawTransaction" | "transactionHash">;
  /** If set, the transaction is an EIP-7702 transaction. */
  readonly authorization?: SignedAuthorization | undefined;
  /** Highest tip, in wei per gas. @default highestTip */
  readonly mostTip?: bigint | undefined;
}

/**
 * Signs a transaction whose fields are all fixed, if the key is local. Sends nothing. The transaction carries no value.
 * Refuses a tip above `mostTip`.
 *
 * @throws ImplausibleAnswerError
 */
export async function signTransaction(
  client: ChainClient,
  { account, transaction, authorization, mostTip: most = highestTip }: SignTransactionParameters,
): Promise<PreparedTransaction> {
  const { functionName, ...fields } = transaction;
  const { maxPriorityFeePerGas: answer } = fields;
  if (answer > most) throw new ImplausibleAnswerError({ what: "the tip in wei per gas", answer, most });
  const prepared = { ...transaction, from: account.address };
  if (account.type !== "local") return prepared;
  const rawTransaction = await account.signTransaction(
    authorization === undefined
      ? { ...fields, value: 0n, type: "eip1559" }
      : { ...fields, value: 0n, type: "eip7702", authorizationList: [authorization] },
    { serializer: client.chain?.serializers?.transaction },
  );
  return { ...prepared, rawTransaction, transactionHash: parseTransactionHash(keccak256(rawTransaction)) };
}

/** The account that delegates, and the chain on which it does. */
export interface DelegatingSigner {
  readonly account: Account;
  readonly chainId: number;
}

export interface SignDelegationParameters {
  /** The zero address ends a delegation. */
  readonly to: Address;
  /** Nonce of the transaction that carries the authorisation. The sender's own authorisation uses the next nonce. */
  readonly transactionNonce: number;
}

/**
 * Signs the account's delegation, valid on this chain only and for one transaction.
 *
 * @throws DelegationUnsupportedError if the key is with the node or a wallet
 */
export async function signDelegation(
  { account, chainId }: DelegatingSigner,
  { to, transactionNonce }: SignDelegationParameters,
): Promise<SignedAuthorization> {
  const sign = signerOf(account);
  if (sign === undefined)
    throw new DelegationUnsupportedError("the key that must sign the authorisation is not in this process");
  // With chain id 0, the authorisation could be replayed on every other chain.
  return sign({ address: to, chainId, nonce: transactionNonce + 1 });
}

/** Undefined for accounts that cannot sign authorisations. */
export function signerOf(account: Account) {
  return account.type === "local" ? account.signAuthorization : undefined;
}
