import type { Address } from "viem";
import type { ChainClient } from "../../chain/client.ts";
import { readSenders } from "../../chain/transactions/receipt.ts";
import type { Hex } from "../../core/ids.ts";
import type { PolicyChange } from "../../history/policy.ts";
import { describeChange } from "../../report/format.ts";

/** One change, as every form of the output tells it. */
export interface HistoryRow {
  readonly blockNumber: bigint;
  /** Seconds since 1970. */
  readonly timestamp: bigint | undefined;
  /** The same as ISO 8601. */
  readonly time: string | null;
  readonly kind: PolicyChange["kind"];
  /** What was added, removed, switched or named. */
  readonly value: Hex | boolean | bigint | null;
  readonly description: string;
  /** As the contract recorded it. */
  readonly actor: Address | null;
  /** Who sent the transaction; looked up only where the contract recorded nobody. */
  readonly sender: Address | null;
  readonly transactionHash: Hex;
  readonly logIndex: number;
}

/** Senders cost a request each; of longer histories than this they are left out. */
const mostSenders = 1000;

/** @throws RpcUnavailableError */
export async function toRows(client: ChainClient, changes: readonly PolicyChange[]): Promise<readonly HistoryRow[]> {
  const unsigned = new Set(
    changes.flatMap(({ actor, transactionHash }) => (actor === undefined ? transactionHash : [])),
  );
  const senders = await readSenders(client, { transactionHashes: unsigned.size <= mostSenders ? unsigned : [] });
  return changes.map((change) => ({
    blockNumber: change.blockNumber,
    timestamp: change.timestamp,
    time: change.timestamp === undefined ? null : new Date(Number(change.timestamp) * 1000).toISOString(),
    kind: change.kind,
    value: subjectOf(change),
    description: describeChange(change),
    actor: change.actor ?? null,
    sender: senders.get(change.transactionHash) ?? null,
    transactionHash: change.transactionHash,
    logIndex: change.logIndex,
  }));
}

function subjectOf(change: PolicyChange): HistoryRow["value"] {
  switch (change.kind) {
    case "composeHashAdded":
    case "composeHashRemoved":
      return change.composeHash;
    case "deviceAdded":
    case "deviceRemoved":
      return change.deviceId;
    case "allowAnyDeviceSet":
    case "requireTcbUpToDateSet":
      return change.enabled;
    case "upgraded":
      return change.implementation;
    case "ownershipTransferStarted":
    case "ownershipTransferred":
      return change.to;
    case "initialized":
      return change.version;
    case "otherPolicyChanged":
      return change.value;
    case "upgradesDisabled":
      return null;
  }
}

const columns = ["blockNumber", "time", "kind", "value", "actor", "sender", "transactionHash", "logIndex"] as const;

/** Comma-separated values with a head line. No value here can hold a comma or a quote. */
export function toCsv(rows: readonly HistoryRow[]): string {
  return [columns.join(","), ...rows.map((row) => columns.map((column) => row[column] ?? "").join(","))].join("\n");
}
