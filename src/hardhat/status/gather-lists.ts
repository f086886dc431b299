import type { Address } from "viem";
import type { ChainClient } from "../../chain/chain-client.ts";
import { readSenders } from "../../chain/read-senders.ts";
import type { Hex } from "../../core/hex.ts";
import type { ComposeHash, DeviceId, TransactionHash } from "../../core/ids.ts";
import { allowedAt } from "../../core/policy/allowed-at.ts";
import type { PolicyChange } from "../../core/policy/policy-change.ts";
import type { History } from "../../history/history.ts";

/** When, by whom and in which transaction something was allowed. */
export interface Origin {
  readonly blockNumber: bigint;
  /** Seconds since 1970. */
  readonly timestamp: bigint | undefined;
  readonly transactionHash: TransactionHash;
  /** As the contract recorded it; of contracts that record nobody, who sent the transaction. */
  readonly by: Address | undefined;
}

export interface AllowedLists {
  readonly composeHashes: readonly ({ readonly composeHash: ComposeHash } & Origin)[];
  readonly devices: readonly ({ readonly deviceId: DeviceId } & Origin)[];
}

/** What is allowed at the end of a history, oldest first. @throws RpcUnavailableError */
export async function gatherLists(client: ChainClient, history: History): Promise<AllowedLists> {
  const { composeHashes, devices } = allowedAt(history.changes, undefined, history.initialFlags);
  const unsigned = [...composeHashes.values(), ...devices.values()].filter(({ actor }) => actor === undefined);
  const senders = await readSenders(client, { transactionHashes: unsigned.map((change) => change.transactionHash) });
  const originOf = (change: PolicyChange): Origin => ({
    blockNumber: change.blockNumber,
    timestamp: change.timestamp,
    transactionHash: change.transactionHash,
    by: change.actor ?? senders.get(change.transactionHash),
  });
  return {
    composeHashes: [...composeHashes].map(([composeHash, change]) => ({ composeHash, ...originOf(change) })),
    devices: [...devices].map(([deviceId, change]) => ({ deviceId, ...originOf(change) })),
  };
}

/** The values alone, for the linter. */
export function valuesOf(lists: AllowedLists): { composeHashes: ComposeHash[]; devices: DeviceId[] } {
  return {
    composeHashes: lists.composeHashes.map(({ composeHash }) => composeHash),
    devices: lists.devices.map(({ deviceId }) => deviceId),
  };
}

/** Hex values in one case, to compare what the cloud and the chain say. */
export function isSameValue(one: Hex | undefined, other: Hex): boolean {
  return one?.toLowerCase() === other.toLowerCase();
}
