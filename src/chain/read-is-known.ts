import type { TransactionHash } from "../core/ids.ts";
import type { ChainClient } from "./chain-client.ts";
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
