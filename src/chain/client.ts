import { type Account, type Address, type Chain, type Client, isAddress, type Transport } from "viem";
import { getChainId } from "viem/actions";
import { parseFixedHex } from "../core/ids.ts";
import { InvalidArgumentError, InvalidHexError, RpcUnavailableError, WrongChainError } from "../errors/index.ts";
import { withRpcErrors } from "./rpc-errors.ts";

/**
 * Reads the endpoint's chain id. Throws unless it equals `expected` and the chain of the client, if they are set.
 *
 * @throws WrongChainError, RpcUnavailableError
 */
export async function requireChain(client: ChainClient, expected?: number): Promise<number> {
  const doing = "reading the chain id";
  const actual = await withRpcErrors(client, doing, () => getChainId(client));
  for (const wanted of [expected, client.chain?.id])
    if (wanted !== undefined && wanted !== actual) throw new WrongChainError(wanted, actual);
  // An authorisation (EIP-7702) for chain 0 is valid on every chain.
  if (Number.isSafeInteger(actual) && actual > 0) return actual;
  throw new RpcUnavailableError(doing, { said: `${actual} is not a chain id` });
}

/**
 * Like `requireChain`, for use before signing. The endpoint's answer alone is not enough here: a local key signs only
 * for a chain that the caller named or created the client for.
 *
 * @throws InvalidArgumentError, WrongChainError, RpcUnavailableError
 */
export async function requireSigningChain(
  client: ChainClient,
  { account, chainId }: { readonly account: Account; readonly chainId: number | undefined },
): Promise<number> {
  if (account.type === "local" && chainId === undefined && client.chain === undefined) {
    throw new InvalidArgumentError("Only the RPC endpoint says which chain the signature would be for.", {
      nextStep: "Pass chainId, or a client that was created for a chain.",
    });
  }
  return requireChain(client, chainId);
}

/**
 * Any viem client. A public client can read. A client with an account, or a call with an `account` parameter, can also
 * send transactions.
 */
export type ChainClient = Client<Transport, Chain | undefined, Account | undefined>;

/**
 * Parses an address and returns it in lower case. A mixed-case address must have a valid EIP-55 checksum, because a
 * wrong owner cannot be corrected later.
 *
 * @throws InvalidHexError
 */
export function parseAddress(what: string, raw: string): Address {
  const address = parseFixedHex(what, raw, 20);
  const hasChecksum = raw !== raw.toLowerCase() && isAddress(raw, { strict: false });
  if (hasChecksum && !isAddress(raw)) throw new InvalidHexError(what, raw, 20, { isChecksum: true });
  return address;
}
