import type { Account, Address, SignedAuthorization } from "viem";
import { DelegationUnsupportedError } from "../../errors/index.ts";

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
