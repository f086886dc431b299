import { getTransactionCount } from "viem/actions";
import type { TransactionHash } from "../core/ids.ts";
import { NonceTakenError } from "../errors/index.ts";
import { broadcastTransaction } from "./broadcast-transaction.ts";
import type { ChainClient } from "./chain-client.ts";
import { findNonceTaker } from "./find-transaction.ts";
import type { PreparedTransaction } from "./prepared-transaction.ts";
import { readIsRecorded } from "./read-is-known.ts";
import { requireChain } from "./require-chain.ts";
import { duringRpc } from "./translate-chain-error.ts";

/**
 * Sends a recorded transaction once more, after a crash or a lost answer. Signed bytes go out as they are, and their
 * hash is returned also if they are known or mined already. Without bytes (the key is with the node or a wallet) the
 * call goes out again only if its nonce is still free. If it is used, the transaction that used it is looked for: one
 * with the recorded target and calldata is the recorded one, and its hash is returned.
 *
 * @throws WrongChainError, InsufficientFundsError, RpcUnavailableError
 * @throws NonceTakenError if another transaction of the signer has the nonce, or the one that has it cannot be found
 */
export async function sendPreparedTransaction(
  client: ChainClient,
  prepared: PreparedTransaction,
): Promise<TransactionHash> {
  await requireChain(client, prepared.chainId);
  if (prepared.rawTransaction === undefined) {
    const { from, nonce, transactionHash } = prepared;
    if (transactionHash !== undefined && (await readIsRecorded(client, prepared))) return transactionHash;
    const next = await duringRpc("reading the nonce", () =>
      getTransactionCount(client, { address: from, blockTag: "pending" }),
    );
    if (next > nonce) return findSent(client, prepared);
  }
  return broadcastTransaction(client, prepared);
}

/** What was signed elsewhere for a record whose nonce is taken. @throws NonceTakenError if it is another call */
async function findSent(client: ChainClient, prepared: PreparedTransaction): Promise<TransactionHash> {
  const { from, nonce, transactionHash } = prepared;
  const taker = await findNonceTaker(client, prepared);
  if (taker.kind === "same") return taker.transactionHash;
  throw new NonceTakenError(from, nonce, transactionHash, taker);
}
