import type { Address } from "viem";
import { getTransactionCount } from "viem/actions";
import { ImplausibleAnswerError } from "../errors/index.ts";
import type { ChainClient } from "./chain-client.ts";
import { duringRpc } from "./translate-chain-error.ts";

/** More transactions of one account than nodes keep waiting. */
export const mostWaiting = 64;

export interface ReadNextNonceParameters {
  readonly address: Address;
  /** What is known besides: the nonce that was shown, or the one after a transaction seen mined. */
  readonly known?: number | undefined;
}

/**
 * The nonce of an account's next transaction, those that wait counted. The endpoint alone names it, and a signature for
 * a nonce far ahead is a transaction that can be mined months later. So a count is refused that runs away from the mined
 * one, or from what is known of the account.
 *
 * @throws ImplausibleAnswerError, RpcUnavailableError
 */
export async function readNextNonce(client: ChainClient, { address, known }: ReadNextNonceParameters): Promise<number> {
  const count = (blockTag: "latest" | "pending") => getTransactionCount(client, { address, blockTag });
  const [mined, pending] = await duringRpc("reading the nonce", () => Promise.all([count("latest"), count("pending")]));
  const next = Math.max(mined, pending);
  const most = Math.min(mined, known ?? mined) + mostWaiting;
  if (known !== undefined && next <= known) return next;
  if (next > most || !Number.isSafeInteger(next)) {
    throw new ImplausibleAnswerError({ what: `the next nonce of ${address}`, told: next, most });
  }
  return next;
}
