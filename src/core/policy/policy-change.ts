import type { Address } from "viem";
import type { ComposeHash, DeviceId, Hex, TransactionHash } from "../ids.ts";

/** Where a change stands in the chain. */
export interface ChangeOrigin {
  readonly blockNumber: bigint;
  readonly blockHash: Hex;
  /** Position of the event among all events of its block. */
  readonly logIndex: number;
  readonly transactionHash: TransactionHash;
  /** Seconds since 1970. Undefined until somebody asked for it, where the node does not send it with the event. */
  readonly timestamp?: bigint | undefined;
  /** Who changed it, as the contract recorded it. Undefined for contracts without PolicyChanged. */
  readonly actor?: Address | undefined;
}

/** What one event of an app says. */
export type PolicyChangeContent =
  | { readonly kind: "composeHashAdded" | "composeHashRemoved"; readonly composeHash: ComposeHash }
  | { readonly kind: "deviceAdded" | "deviceRemoved"; readonly deviceId: DeviceId }
  | { readonly kind: "allowAnyDeviceSet" | "requireTcbUpToDateSet"; readonly enabled: boolean }
  | { readonly kind: "upgradesDisabled" }
  | { readonly kind: "upgraded"; readonly implementation: Address }
  | { readonly kind: "ownershipTransferStarted" | "ownershipTransferred"; readonly from: Address; readonly to: Address }
  /** Version 1 ends an app's creation; a higher one is a re-initialisation after an upgrade. */
  | { readonly kind: "initialized"; readonly version: bigint }
  /** A PolicyChanged that no event of the kinds above stands beside: a contract we do not know, or a false one. */
  | {
      readonly kind: "otherPolicyChanged";
      /** keccak256 of the policy's label. */
      readonly policy: Hex;
      readonly value: Hex;
      readonly enabled: boolean;
    };

/** One event of an app, of those that change or explain its policy. */
export type PolicyChange = PolicyChangeContent & ChangeOrigin;

export type PolicyChangeKind = PolicyChange["kind"];

/** Order in which changes took effect: by block, then by position in it. For `toSorted`. */
export function compareChanges(
  one: Pick<ChangeOrigin, "blockNumber" | "logIndex">,
  other: Pick<ChangeOrigin, "blockNumber" | "logIndex">,
): number {
  if (one.blockNumber !== other.blockNumber) return one.blockNumber < other.blockNumber ? -1 : 1;
  return one.logIndex - other.logIndex;
}
