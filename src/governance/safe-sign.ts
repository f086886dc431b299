import { type Account, type Address, getTypesForEIP712Domain, type Hex, isAddressEqual, isHex } from "viem";
import { signTypedData } from "viem/actions";
import type { ChainClient } from "../chain/client.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import { hashSafeTx, type SafeTx, type SafeTypedData, safeTypedData } from "../core/safe.ts";
import { type SafeSignature, toSafeSignature } from "../core/safe-signing.ts";
import { InvalidArgumentError, NotSafeOwnerError } from "../errors/index.ts";
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

/** Sends one JSON-RPC request to a wallet. */
export type WalletRequest = (request: { readonly method: string; readonly params: unknown[] }) => Promise<unknown>;

/** A signer that asks a wallet, such as a Ledger, for the signature. The wallet shows the typed data or its hashes. */
export function signerOfWallet(address: Address, request: WalletRequest): TypedDataSigner {
  return {
    address,
    signTypedData: async (typedData) => {
      const signature = await request({ method: "eth_signTypedData_v4", params: [address, toWalletJson(typedData)] });
      if (isHex(signature)) return signature;
      throw new InvalidArgumentError("The wallet's answer is no signature.", { nextStep: "Try again." });
    },
  };
}

/** Wallets also need the type of the domain, and take large numbers as decimal strings. */
function toWalletJson({ domain, types, primaryType, message }: SafeTypedData): string {
  const EIP712Domain = getTypesForEIP712Domain({ domain });
  return JSON.stringify({ types: { EIP712Domain, ...types }, domain, primaryType, message }, (_, value: unknown) =>
    typeof value === "bigint" ? `${value}` : value,
  );
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
