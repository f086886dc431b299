import type { Address } from "viem";
import type { ChainClient } from "../chain/chain-client.ts";
import { readCode } from "../chain/read-code.ts";

/** Code of an account that delegates (EIP-7702): this prefix and the contract's address. */
const prefix = "0xef0100";

export interface ReadDelegationParameters {
  readonly address: Address;
}

/** `contract`: code of its own, so no key signs for it. `to` is lower case. */
export type ReadDelegationReturnType =
  | { readonly kind: "none" }
  | { readonly kind: "delegated"; readonly to: Address }
  | { readonly kind: "contract" };

/**
 * What an account delegates to by EIP-7702.
 *
 * @throws RpcUnavailableError
 */
export async function readDelegation(
  client: ChainClient,
  { address }: ReadDelegationParameters,
): Promise<ReadDelegationReturnType> {
  const code = (await readCode(client, { address })).toLowerCase();
  if (code === "0x") return { kind: "none" };
  const isDelegation = code.startsWith(prefix) && code.length === prefix.length + 40;
  return isDelegation ? { kind: "delegated", to: `0x${code.slice(prefix.length)}` } : { kind: "contract" };
}
