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

/**
 * `fetch` that hands a redirect back as the answer. Following it would send the request again, with the API key in its
 * headers and the transaction in its body, to an address that the endpoint chose. The body of a redirect is dropped, so
 * that it cannot pass for an answer.
 */
export const fetchWithoutRedirects: typeof fetch = async (input, init) => {
  const response = await fetch(input, { ...init, redirect: "manual" });
  if (!isRedirect(response.status)) return response;
  await response.body?.cancel();
  const location = response.headers.get("location");
  return new Response(null, {
    status: response.status,
    statusText: response.statusText,
    headers: location === null ? {} : { location },
  });
};

/** What to tell of an HTTP error that is a redirect, with no more of its target than the origin; else undefined. */
export function describeRedirect(error: object): string | undefined {
  const { status, headers, url } = error as { status?: unknown; headers?: unknown; url?: unknown };
  if (typeof status !== "number" || !isRedirect(status)) return undefined;
  const location = headers instanceof Headers ? headers.get("location") : null;
  const base = typeof url === "string" ? url : undefined;
  const target = location === null ? null : URL.parse(location, base);
  const where = target?.host ? ` to ${target.protocol}//${target.host}` : "";
  return `HTTP ${status}, a redirect${where}, which is not followed`;
}

function isRedirect(status: number): boolean {
  return status >= 300 && status < 400;
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
