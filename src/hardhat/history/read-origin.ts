import { type Address, checksumAddress } from "viem";
import { getBlock, getTransaction } from "viem/actions";
import type { ChainClient } from "../../chain/chain-client.ts";
import { duringRpc } from "../../chain/translate-chain-error.ts";
import type { TransactionHash } from "../../core/ids.ts";
import type { ChangeOrigin } from "../../core/policy/policy-change.ts";

export interface Origin {
  readonly blockNumber: bigint;
  readonly transactionHash: TransactionHash;
  /** Of the block, ISO 8601. */
  readonly time: string;
  /** Who made the change, where the contract recorded it; else who sent the transaction, perhaps for a Safe. */
  readonly by: Address;
  readonly isRecorded: boolean;
}

/** When a change was made, and by whom, asking the node for what its event does not say. @throws RpcUnavailableError */
export async function readOrigin(client: ChainClient, change: ChangeOrigin): Promise<Origin> {
  const { blockNumber, transactionHash, timestamp, actor } = change;
  const [seconds, by] = await duringRpc("reading when and by whom", () =>
    Promise.all([
      timestamp ?? getBlock(client, { blockNumber }).then((block) => block.timestamp),
      actor ?? getTransaction(client, { hash: transactionHash }).then(({ from }) => checksumAddress(from)),
    ]),
  );
  const time = new Date(Number(seconds) * 1000).toISOString();
  return { blockNumber, transactionHash, time, by, isRecorded: actor !== undefined };
}
