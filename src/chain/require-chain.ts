import type { Account } from "viem";
import { getChainId } from "viem/actions";
import { InvalidArgumentError, RpcUnavailableError, WrongChainError } from "../errors/index.ts";
import type { ChainClient } from "./chain-client.ts";
import { duringRpc } from "./translate-chain-error.ts";

/**
 * The chain the endpoint really serves, which must be the expected one and the one the client was made for.
 *
 * @throws WrongChainError, RpcUnavailableError
 */
export async function requireChain(client: ChainClient, expected?: number): Promise<number> {
  const doing = "reading the chain id";
  const actual = await duringRpc(doing, () => getChainId(client));
  for (const wanted of [expected, client.chain?.id])
    if (wanted !== undefined && wanted !== actual) throw new WrongChainError(wanted, actual);
  // An authorisation (EIP-7702) for chain 0 holds on every chain.
  if (Number.isSafeInteger(actual) && actual > 0) return actual;
  throw new RpcUnavailableError(doing, { said: `${actual} is no chain id` });
}

/**
 * The same before a signature, which needs more than the endpoint's word: a key that is here signs for a chain that the
 * caller named or made the client for.
 *
 * @throws InvalidArgumentError, WrongChainError, RpcUnavailableError
 */
export async function requireSigningChain(
  client: ChainClient,
  { account, chainId }: { readonly account: Account; readonly chainId: number | undefined },
): Promise<number> {
  if (account.type === "local" && chainId === undefined && client.chain === undefined) {
    throw new InvalidArgumentError("Only the RPC endpoint says which chain the signature would be for.", {
      nextStep: "Pass chainId, or a client that was made for a chain.",
    });
  }
  return requireChain(client, chainId);
}
