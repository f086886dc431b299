import type { Address } from "viem";
import type { AppId, ComposeHash, DeviceId, Hex } from "../core/ids.ts";
import type { BlockRange } from "./block-ranges.ts";
import type { InitialFlags, PolicyChange } from "./policy.ts";

/** All changes of an app's policy up to one block. */
export interface History {
  readonly chainId: number;
  readonly appId: AppId;
  /** The block in which the app appeared, as far as known. Reading started there. */
  readonly createdInBlock: bigint;
  /** The last block of this history. */
  readonly pinned: PinnedBlock;
  /** In the order in which they took effect. */
  readonly changes: readonly PolicyChange[];
  /** Flags that the app's creation set without an event, as far as known. For `allowedAt`. */
  readonly initialFlags: InitialFlags;
  /** Number of the app's logs that are not DstackApp events. */
  readonly unknownLogs: number;
  /**
   * The blocks whose events an index delivered. Absent if the chain's endpoint delivered every event. The state that
   * follows from an index's events can be proven, the events cannot.
   */
  readonly indexed?: IndexedEvents | undefined;
  /** Never remove anything on the basis of an incomplete history. */
  readonly completeness: Completeness;
}

export interface IndexedEvents {
  /** Hosts of the indexes. */
  readonly indexes: readonly string[];
  readonly ranges: readonly BlockRange[];
  /** The block whose state is proven to be the one that follows from the events. Undefined if nothing is proven. */
  readonly provenAt: PinnedBlock | undefined;
}

export interface PinnedBlock {
  readonly number: bigint;
  readonly hash: Hex;
  /** Seconds since 1970. */
  readonly timestamp: bigint;
}

/**
 * Complete means: every log from the app's creation to the pinned block was read, and replaying the logs gives the
 * state that the contract returns at that block. State that no log names is not covered; `proveAllowlist` covers it.
 */
export type Completeness =
  | { readonly isComplete: true }
  | { readonly isComplete: false; readonly reasons: readonly IncompletenessReason[] };

export type IncompletenessReason = { readonly message: string } & (
  | { readonly kind: "blocksNotRead"; readonly fromBlock: bigint; readonly toBlock: bigint }
  /** The endpoint could not show whether the app existed before the first block that was read. */
  | { readonly kind: "creationUnproven"; readonly fromBlock: bigint }
  | {
      /** Compared for every hash that an event names; tasks also compare those that CVMs and the configuration need. */
      readonly kind: "composeHashDiffers";
      readonly composeHash: ComposeHash;
      readonly byEvents: boolean;
      readonly onChain: boolean;
    }
  | {
      readonly kind: "deviceDiffers";
      readonly deviceId: DeviceId;
      readonly byEvents: boolean;
      readonly onChain: boolean;
    }
  | {
      readonly kind: "flagDiffers";
      readonly flag: keyof InitialFlags;
      readonly byEvents: boolean;
      readonly onChain: boolean;
    }
  | {
      readonly kind: "addressDiffers";
      readonly what: "owner" | "pendingOwner" | "implementation";
      readonly byEvents: Address | undefined;
      readonly onChain: Address | undefined;
    }
  /** An index delivered events, and no proof of the state shows that none is missing. */
  | { readonly kind: "stateUnproven" }
  /** The endpoint does not serve the state of the pinned block, so the events were not compared with it. */
  | { readonly kind: "notVerified" }
  /** The chain replaced the pinned block repeatedly while it was read. */
  | { readonly kind: "chainKeepsChanging" }
  /** The endpoint served no logs, so no event was read. */
  | { readonly kind: "eventsNotRead" }
);
