import type { AppId, ComposeHash, Hex, TransactionHash } from "../core/ids.ts";
import { withoutPrefix } from "../core/ids.ts";
import { InvalidArgumentError, UnusableFileError } from "../errors/index.ts";
import { readBoundedText } from "../files/read-bounded.ts";

/** All known facts that a prune decides on. The facts from the chain are those at `pinned`. */
export interface AllowlistUse {
  readonly chainId: number;
  readonly appId: AppId;
  readonly pinned: PinnedBlock;
  readonly owner: Hex;
  /** Every hash the contract allows, in any order. */
  readonly allowed: readonly AllowedHash[];
  /** Hashes that CVMs, replicas and instances boot, running or stopped. */
  readonly running: readonly HashUse[];
  /** Hashes that running operations move CVMs to. */
  readonly movingTo: readonly HashUse[];
  /** Hashes that valid prepare tokens and open registrations wait for. */
  readonly prepared: readonly PreparedHash[];
  /** Calls that wait in the Safe or the timelock that owns the app. */
  readonly queued: readonly QueuedCall[];
  /** Facts that could not be read. */
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
  /** The last time it was added. Undefined for a hash that the contract allows without any known event. */
  readonly added: Addition | undefined;
}

export interface Addition {
  readonly blockNumber: bigint;
  readonly logIndex: number;
  /** Seconds since the epoch. */
  readonly timestamp: bigint;
  readonly transactionHash: TransactionHash;
  /** The caller, if the contract's events or the transaction name it. */
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
  /** As the cloud returns it: ISO 8601. */
  readonly expiresAt: string;
}

/** Names of unknown facts, by which the caller accepts them. */
export const unknownKinds = [
  "history",
  "events",
  "proof",
  "running-hashes",
  "prepare-tokens",
  "other-machines",
  "queue",
] as const;

export type UnknownKind = (typeof unknownKinds)[number];

export interface UnknownFact {
  readonly kind: UnknownKind;
  /** One sentence: what is not known, and why. */
  readonly problem: string;
}

/** What the operator wants to keep, besides everything in use. */
export interface KeepRules {
  /** How many of the newest hashes stay, in use or not. */
  readonly keep: number;
  /** Hashes added less than this many seconds before the pinned block stay. Undefined: age does not matter. */
  readonly olderThanSeconds: number | undefined;
  readonly pins: readonly Pin[];
  /** Calls that are queued in a Safe or a timelock and that the operator named. */
  readonly queued: readonly QueuedCall[];
  /** Kinds of unknown facts that the caller accepts. */
  readonly acceptedUnknowns: readonly UnknownKind[];
  /** Whether the list may become empty; otherwise the newest hash stays. */
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
  /** Every allowed hash that it mentions. */
  readonly composeHashes: readonly ComposeHash[];
}

export const defaultKeep = 3;

/** A call that waits for signatures or for its time, as text that contains its hex digits. */
export interface QueuedDocument {
  /** The file, or the first digits of the value. */
  readonly source: string;
  readonly text: string;
}

/**
 * Reads a queued call: calldata or a compose hash as hex, or a file that holds calldata as hex, such as a
 * Transaction Builder file or a timelock's operation.
 *
 * @throws InvalidArgumentError if it cannot name any hash
 */
export async function readQueued(raw: string): Promise<QueuedDocument> {
  if (/^0x[0-9a-f]+$/i.test(raw))
    return requireMention({ source: raw.length > 20 ? `${raw.slice(0, 18)}…` : raw, text: raw });
  const text = await readBoundedText(raw).catch((cause: unknown) => {
    const why = cause instanceof UnusableFileError ? `: ${cause.context.problem}` : "";
    throw new InvalidArgumentError(`The queued call ${raw} cannot be read${why}.`, {
      nextStep: "Give a file, or calldata or a compose hash as 0x….",
      cause,
    });
  });
  return requireMention({ source: raw, text });
}

function requireMention(document: QueuedDocument): QueuedDocument {
  if (canMention(document.text)) return document;
  throw new InvalidArgumentError(`${document.source} contains no 32-byte hash.`, {
    nextStep: "Give the call: a Transaction Builder file, calldata, or the compose hash that the call adds or removes.",
  });
}

/**
 * The hashes whose digits occur anywhere in a text: a Transaction Builder file, calldata, a timelock's operation. Calls
 * can be nested in many ways (MultiSend inside a timelock inside a Safe), but the 64 digits of a hash always stay
 * together.
 */
export function findMentions(text: string, hashes: readonly ComposeHash[]): readonly ComposeHash[] {
  const digits = text.toLowerCase();
  return hashes.filter((hash) => digits.includes(withoutPrefix(hash)));
}

/** Whether a text can name a hash. If not, the user probably gave the wrong text. */
export function canMention(text: string): boolean {
  return /[0-9a-f]{64}/i.test(text);
}
