import { type Account, type Address, type Hex, isAddressEqual } from "viem";
import { signTypedData } from "viem/actions";
import type { ChainClient } from "../chain/client.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import { hashSafeTx, type SafeTx, type SafeTypedData, safeTypedData } from "../core/safe.ts";
import { type SafeSignature, toSafeSignature } from "../core/safe-signing.ts";
import { NotSafeOwnerError } from "../errors/index.ts";
import type { SafeAccount } from "./safe-account.ts";

/** Who signs EIP-712 typed data: a key, a node's account, or a hardware wallet. */
export interface TypedDataSigner {
  readonly address: Address;
  signTypedData(typedData: SafeTypedData): Promise<Hex>;
}

/** A signer that signs with a key in this process, or asks the node that holds the key. */
export function signerOfAccount(client: ChainClient, account: Account): TypedDataSigner {
  return {
    address: account.address,
    signTypedData: (typedData) =>
      withRpcErrors(client, "asking the node for a signature", () => signTypedData(client, { account, ...typedData })),
  };
}

/** @throws NotSafeOwnerError */
export function requireSafeOwner({ safe, owners }: SafeAccount, signer: Address): void {
  if (!owners.some((owner) => isAddressEqual(owner, signer))) throw new NotSafeOwnerError({ safe, signer, owners });
}

/**
 * Signs a Safe transaction as EIP-712 typed data. The signature must be the signer's and for this transaction: a node or
 * a wallet could have signed something else.
 *
 * @throws InvalidArgumentError if it is not, and what the signer throws
 */
export async function signSafeTransaction(
  signer: TypedDataSigner,
  { account, safeTx }: { readonly account: SafeAccount; readonly safeTx: SafeTx },
): Promise<SafeSignature> {
  const signature = await signer.signTypedData(safeTypedData(safeTx, account));
  return toSafeSignature({ signature, safeTxHash: hashSafeTx(safeTx, account), signer: signer.address });
}
