import type { TransactionHash } from "../core/ids.ts";
import type { ChainClient } from "./chain-client.ts";
import type { PreparedTransaction } from "./prepared-transaction.ts";
import { duringRpc } from "./translate-chain-error.ts";

/**
 * Whether the node has the transaction, mined or waiting.
 *
 * @throws RpcUnavailableError
 */
export async function readIsKnown(client: ChainClient, transactionHash: TransactionHash): Promise<boolean> {
  const transaction = await duringRpc("looking for the transaction", () =>
    client.request({ method: "eth_getTransactionByHash", params: [transactionHash] }),
  );
  return transaction?.hash?.toLowerCase() === transactionHash;
}

/**
 * Whether the node has the transaction that the record names, and it is the recorded call. A record that came from
 * somebody else may name any transaction, such as an old one with the same event.
 *
 * @throws RpcUnavailableError
 */
export async function readIsRecorded(
  client: ChainClient,
  { from, nonce, to, data, transactionHash }: PreparedTransaction,
): Promise<boolean> {
  if (transactionHash === undefined) return false;
  const found = await duringRpc("looking for the transaction", () =>
    client.request({ method: "eth_getTransactionByHash", params: [transactionHash] }),
  );
  return (
    found?.hash?.toLowerCase() === transactionHash.toLowerCase() &&
    Number(found.nonce) === nonce &&
    [found.from, found.to, found.input].join().toLowerCase() === [from, to, data].join().toLowerCase()
  );
}
