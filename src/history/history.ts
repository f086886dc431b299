import type { Address } from "viem";
import type { AppId, ComposeHash, DeviceId, Hex } from "../core/ids.ts";
import type { InitialFlags, PolicyChange } from "./policy.ts";

/** Everything that happened to an app's policy up to one block. */
export interface History {
  readonly chainId: number;
  readonly appId: AppId;
  /** The block the app appeared in, as far as it is known; reading began there. */
  readonly createdInBlock: bigint;
  /** The block everything here belongs to. */
  readonly pinned: PinnedBlock;
  /** In the order in which they took effect. */
  readonly changes: readonly PolicyChange[];
  /** What the app's creation set without an event, as far as it is known. For `allowedAt`. */
  readonly initialFlags: InitialFlags;
  /** How many of the app's logs are no event of a DstackApp. */
  readonly unknownLogs: number;
  /** Nothing may be removed on the word of a history that is not complete. */
  readonly completeness: Completeness;
}

export interface PinnedBlock {
  readonly number: bigint;
  readonly hash: Hex;
  /** Seconds since 1970. */
  readonly timestamp: bigint;
}

/**
 * Whether every log from the app's creation to the pinned block was read, and replaying them gives the very state the
 * contract answers at that block. That leaves open only what no log tells: `proveAllowlist` closes that.
 */
export type Completeness =
  | { readonly isComplete: true }
  | { readonly isComplete: false; readonly reasons: readonly IncompletenessReason[] };

export type IncompletenessReason = { readonly message: string } & (
  | { readonly kind: "blocksNotRead"; readonly fromBlock: bigint; readonly toBlock: bigint }
  /** Nobody could tell whether the app existed before the first block that was read. */
  | { readonly kind: "creationUnproven"; readonly fromBlock: bigint }
  | {
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
  /** The endpoint does not serve the state of the pinned block, so nobody compared it. */
  | { readonly kind: "notVerified" }
  /** The chain replaced the pinned block again and again while it was read. */
  | { readonly kind: "chainKeepsChanging" }
);
