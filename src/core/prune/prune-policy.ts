import type { ComposeHash } from "../ids.ts";
import type { UnknownKind } from "./prune-facts.ts";

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
