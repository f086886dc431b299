import { type Account, type Address, type Chain, type Client, isAddress, type Transport } from "viem";
import { getChainId } from "viem/actions";
import { parseFixedHex } from "../core/ids.ts";
import { InvalidArgumentError, InvalidHexError, RpcUnavailableError, WrongChainError } from "../errors/index.ts";
import { duringRpc } from "./rpc-errors.ts";

/**
 * The chain the endpoint really serves, which must be the expected one and the one the client was made for.
 *
 * @throws WrongChainError, RpcUnavailableError
 */
export async function requireChain(client: ChainClient, expected?: number): Promise<number> {
  const doing = "reading the chain id";
  const actual = await duringRpc(client, doing, () => getChainId(client));
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

/** Any viem client. A public client reads; one with an account, or an `account` parameter, can also pay. */
export type ChainClient = Client<Transport, Chain | undefined, Account | undefined>;

/**
 * A lower-case address. One in mixed case must have its EIP-55 checksum right: a typo in an owner's address cannot
 * be taken back.
 *
 * @throws InvalidHexError
 */
export function parseAddress(what: string, raw: string): Address {
  const address = parseFixedHex(what, raw, 20);
  const hasChecksum = raw !== raw.toLowerCase() && isAddress(raw, { strict: false });
  if (hasChecksum && !isAddress(raw)) throw new InvalidHexError(`${what}, with its checksum,`, raw, 20);
  return address;
}
