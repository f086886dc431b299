import { type Address, getAddress } from "viem";
import { type ChainClient, requireChain } from "../chain/client.ts";
import { readOwner } from "../chain/read-owner.ts";
import type { SafeDomain } from "../core/safe.ts";
import { InvalidArgumentError } from "../errors/index.ts";

/** A Safe as the chain describes it. */
export interface SafeAccount extends SafeDomain {
  readonly owners: readonly Address[];
  /** Number of owners who must sign. */
  readonly threshold: bigint;
  /** Nonce of the transaction that the Safe can execute now. */
  readonly nonce: bigint;
}

export interface ReadSafeParameters {
  readonly safe: Address;
  /** If the endpoint serves another chain, a WrongChainError is thrown. */
  readonly chainId?: number | undefined;
}

/**
 * Reads a Safe's version, owners, threshold and nonce.
 *
 * @throws InvalidArgumentError if the address is not a Safe
 * @throws WrongChainError, RpcUnavailableError
 */
export async function readSafe(client: ChainClient, parameters: ReadSafeParameters): Promise<SafeAccount> {
  const safe = getAddress(parameters.safe);
  const [chainId, owner] = await Promise.all([
    requireChain(client, parameters.chainId),
    readOwner(client, { address: safe }),
  ]);
  if (owner.kind !== "safe") {
    throw new InvalidArgumentError(`${safe} is not a Safe.`, {
      nextStep: "Nothing was signed or sent. Only a Safe's owners use these commands.",
      context: { address: safe, kind: owner.kind },
    });
  }
  const { version, owners, threshold, nonce } = owner;
  return { chainId, safe, version, owners: owners.map((address) => getAddress(address)), threshold, nonce };
}
