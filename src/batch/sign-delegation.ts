import type { Account, Address, SignedAuthorization } from "viem";
import { DelegationUnsupportedError } from "../errors/index.ts";
import type { BatchRun } from "./batch-run.ts";

export interface SignDelegationParameters {
  /** The zero address ends a delegation. */
  readonly to: Address;
  /** Of the transaction that carries it; a sender's own authorisation takes the next. */
  readonly transactionNonce: number;
}

/**
 * Signs the authorisation by which the account delegates, on this chain alone and for one transaction.
 *
 * @throws DelegationUnsupportedError if the key is with the node or a wallet
 */
export async function signDelegation(
  run: BatchRun,
  { to, transactionNonce }: SignDelegationParameters,
): Promise<SignedAuthorization> {
  const { account, chainId } = run.settings;
  const sign = signerOf(account);
  if (sign === undefined) throw new DelegationUnsupportedError("the key that must sign the authorisation is not here");
  // Chain id 0 would let it be replayed on every other chain.
  return sign({ address: to, chainId, nonce: transactionNonce + 1 });
}

/** Undefined for accounts that cannot sign authorisations. */
export function signerOf(account: Account) {
  return account.type === "local" ? account.signAuthorization : undefined;
}
