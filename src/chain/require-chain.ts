import { getChainId } from "viem/actions";
import { WrongChainError } from "../errors/index.ts";
import type { ChainClient } from "./chain-client.ts";
import { duringRpc } from "./translate-chain-error.ts";

/**
 * The chain the endpoint really serves, which must be the expected one and the one the client was made for.
 *
 * @throws WrongChainError, RpcUnavailableError
 */
export async function requireChain(client: ChainClient, expected?: number): Promise<number> {
  const actual = await duringRpc("reading the chain id", () => getChainId(client));
  for (const wanted of [expected, client.chain?.id])
    if (wanted !== undefined && wanted !== actual) throw new WrongChainError(wanted, actual);
  return actual;
}
