import { type Address, getAddress, isHex } from "viem";
import type { TransactionHash } from "../core/ids.ts";
import type { ChainClient } from "./chain-client.ts";
import { duringRpc } from "./translate-chain-error.ts";

export interface ReadSendersParameters {
  readonly transactionHashes: Iterable<TransactionHash>;
}

const requestsAtOnce = 8;

/**
 * Who sent each of these transactions; those the node no longer knows are left out. Of a change that went through a Safe
 * it is whoever paid, not who decided.
 *
 * @throws RpcUnavailableError
 */
export async function readSenders(
  client: ChainClient,
  { transactionHashes }: ReadSendersParameters,
): Promise<ReadonlyMap<TransactionHash, Address>> {
  const senders = new Map<TransactionHash, Address>();
  const waiting = new Set(transactionHashes).values();
  const work = async () => {
    for (const hash of waiting) {
      const transaction = await duringRpc("reading who sent a transaction", () =>
        client.request({ method: "eth_getTransactionByHash", params: [hash] }),
      );
      if (isHex(transaction?.from)) senders.set(hash, getAddress(transaction.from));
    }
  };
  await Promise.all(Array.from({ length: requestsAtOnce }, work));
  return senders;
}
