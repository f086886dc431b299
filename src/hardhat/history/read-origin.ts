import type { Address } from "viem";
import { getBlock } from "viem/actions";
import type { ChainClient } from "../../chain/client.ts";
import { duringRpc } from "../../chain/rpc-errors.ts";
import { readSenders } from "../../chain/transactions/receipt.ts";
import type { TransactionHash } from "../../core/ids.ts";
import type { ChangeOrigin } from "../../history/policy.ts";

export interface Origin {
  readonly blockNumber: bigint;
  readonly transactionHash: TransactionHash;
  /** Of the block, ISO 8601. */
  readonly time: string;
  /**
   * Who made the change, where the contract recorded it; else who sent the transaction, perhaps for a Safe. Null if the
   * node no longer knows it.
   */
  readonly by: Address | null;
  readonly isRecorded: boolean;
}

/** When a change was made, and by whom, asking the node for what its event does not say. @throws RpcUnavailableError */
export async function readOrigin(client: ChainClient, change: ChangeOrigin): Promise<Origin> {
  const { blockNumber, transactionHash, timestamp, actor } = change;
  const readTime = () => duringRpc("reading when", () => getBlock(client, { blockNumber }));
  const readSender = () => readSenders(client, { transactionHashes: [transactionHash] });
  const [seconds, by] = await Promise.all([
    timestamp ?? readTime().then((block) => block.timestamp),
    actor ?? readSender().then((senders) => senders.get(transactionHash) ?? null),
  ]);
  const time = new Date(Number(seconds) * 1000).toISOString();
  return { blockNumber, transactionHash, time, by, isRecorded: actor !== undefined };
}
