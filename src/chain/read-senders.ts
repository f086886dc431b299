import { type Address, getAddress, isHex } from "viem";
import type { TransactionHash } from "../core/ids.ts";
import { mapLimited } from "../core/map-limited.ts";
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
  const readSender = async (hash: TransactionHash): Promise<[TransactionHash, Address][]> => {
    const transaction = await duringRpc("reading who sent a transaction", () =>
      client.request({ method: "eth_getTransactionByHash", params: [hash] }),
    );
    return isHex(transaction?.from) ? [[hash, getAddress(transaction.from)]] : [];
  };
  const found = await mapLimited([...new Set(transactionHashes)], readSender, { limit: requestsAtOnce });
  return new Map(found.flat());
}
