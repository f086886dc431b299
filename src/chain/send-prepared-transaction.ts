import { getTransactionCount } from "viem/actions";
import type { TransactionHash } from "../core/ids.ts";
import { NonceTakenError } from "../errors/index.ts";
import { broadcastTransaction } from "./broadcast-transaction.ts";
import type { ChainClient } from "./chain-client.ts";
import type { PreparedTransaction } from "./prepared-transaction.ts";
import { readIsKnown } from "./read-is-known.ts";
import { requireChain } from "./require-chain.ts";
import { duringRpc } from "./translate-chain-error.ts";

/**
 * Sends a recorded transaction once more, after a crash or a lost answer. Signed bytes go out as they are, and their
 * hash is returned also if they are known or mined already. Without bytes (the key is with the node or a wallet) the
 * recorded hash is looked for first, and the call goes out again only if its nonce is still free.
 *
 * @throws WrongChainError, InsufficientFundsError, RpcUnavailableError
 * @throws NonceTakenError if another transaction of the signer has the nonce, or may be the recorded one with a hash
 * nobody wrote down
 */
export async function sendPreparedTransaction(
  client: ChainClient,
  prepared: PreparedTransaction,
): Promise<TransactionHash> {
  await requireChain(client, prepared.chainId);
  if (prepared.rawTransaction === undefined) {
    const { from, nonce, transactionHash } = prepared;
    if (transactionHash !== undefined && (await readIsKnown(client, transactionHash))) return transactionHash;
    const next = await duringRpc("reading the nonce", () =>
      getTransactionCount(client, { address: from, blockTag: "pending" }),
    );
    if (next > nonce) throw new NonceTakenError(from, nonce, transactionHash);
  }
  return broadcastTransaction(client, prepared);
}
