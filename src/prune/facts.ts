import type { AppId, ComposeHash, Hex, TransactionHash } from "../core/ids.ts";

/** Everything a prune decides on, as far as it is known. All of the chain's part is true at `pinned`. */
export interface PruneFacts {
  readonly chainId: number;
  readonly appId: AppId;
  readonly pinned: PinnedBlock;
  readonly owner: Hex;
  /** Every hash the contract allows, in any order. */
  readonly allowed: readonly AllowedHash[];
  /** What CVMs, replicas and instances boot, running or stopped. */
  readonly running: readonly HashUse[];
  /** What CVMs are on their way to. */
  readonly movingTo: readonly HashUse[];
  /** What live prepare tokens and open registrations wait for. */
  readonly prepared: readonly PreparedHash[];
  /** What could not be found out. */
  readonly unknowns: readonly UnknownFact[];
}

export interface PinnedBlock {
  readonly number: bigint;
  readonly hash: Hex;
  /** Seconds since the epoch. */
  readonly timestamp: bigint;
}

export interface AllowedHash {
  readonly composeHash: ComposeHash;
  /** The last time it was added. Undefined for a hash the contract allows although no event says so. */
  readonly added: Addition | undefined;
}

export interface Addition {
  readonly blockNumber: bigint;
  readonly logIndex: number;
  /** Seconds since the epoch. */
  readonly timestamp: bigint;
  readonly transactionHash: TransactionHash;
  /** Who called, where the contract's events or the transaction say so. */
  readonly by: Hex | undefined;
}

export interface CvmReference {
  readonly id: string;
  readonly name: string;
  readonly status: string;
}

export interface HashUse {
  readonly composeHash: ComposeHash;
  readonly cvm: CvmReference;
}

export interface PreparedHash extends HashUse {
  /** As the cloud writes it: ISO 8601. */
  readonly expiresAt: string;
}

/** Names by which an operator waives what is not known. */
export const unknownKinds = ["history", "proof", "running-hashes", "prepare-tokens", "other-machines"] as const;

export type UnknownKind = (typeof unknownKinds)[number];

export interface UnknownFact {
  readonly kind: UnknownKind;
  /** One sentence: what is not known, and why. */
  readonly problem: string;
}

/** What the operator wants kept beside everything in use. */
export interface PrunePolicy {
  /** How many of the newest hashes stay, in use or not. */
  readonly keep: number;
  /** Hashes added less than this many seconds before the pinned block stay. Undefined: no hash is too young. */
  readonly olderThanSeconds: number | undefined;
  readonly pins: readonly Pin[];
  /** Calls that wait in a Safe or a timelock. */
  readonly queued: readonly QueuedCall[];
  /** Kinds of unknown facts the operator answers for. */
  readonly waived: readonly UnknownKind[];
  /** Whether the list may end up empty; otherwise the newest hash stays. */
  readonly mayEmptyList: boolean;
}

export interface Pin {
  readonly composeHash: ComposeHash;
  /** Where it was pinned: the configuration, or the command line. */
  readonly source: string;
}

export interface QueuedCall {
  /** The file, or the value itself. */
  readonly source: string;
  /** Every allowed hash that is mentioned in it. */
  readonly composeHashes: readonly ComposeHash[];
}

export const defaultKeep = 3;
