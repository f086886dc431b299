import { type ComposeHash, parseAppId, parseComposeHash, parseTransactionHash } from "../../../src/core/ids.ts";
import type { Addition, AllowedHash, AllowlistUse, CvmReference, KeepRules } from "../../../src/prune/allowlist-use.ts";

/** The block of the facts, and its time in seconds. */
export const pinned = { number: 1_000n, hash: `0x${"b1".repeat(32)}`, timestamp: 1_800_000_000n } as const;

/** The hash that is `number`, repeated over all of its bytes. */
export function hashNumber(number: number): ComposeHash {
  return parseComposeHash(number.toString(16).padStart(64, "0"));
}

/** An addition in this block; two seconds pass from block to block. */
export function addedIn(blockNumber: number, logIndex = 0): Addition {
  return {
    blockNumber: BigInt(blockNumber),
    logIndex,
    timestamp: pinned.timestamp - 2n * (pinned.number - BigInt(blockNumber)),
    transactionHash: parseTransactionHash("7a".repeat(32)),
    by: undefined,
  };
}

/** Hash `number`, added in block `number`. */
export function allowedHash(number: number): AllowedHash {
  return { composeHash: hashNumber(number), added: addedIn(number) };
}

export function cvm(name: string, status = "running"): CvmReference {
  return { id: `cvm_${name}`, name, status };
}

export function allowlistUse(changes: Partial<AllowlistUse> = {}): AllowlistUse {
  return {
    chainId: 8453,
    appId: parseAppId("a0".repeat(20)),
    pinned,
    owner: `0x${"0e".repeat(20)}`,
    allowed: [],
    running: [],
    movingTo: [],
    prepared: [],
    queued: [],
    unknowns: [],
    ...changes,
  };
}

/** Keeps only hashes in use. */
export function keepRulesWith(changes: Partial<KeepRules> = {}): KeepRules {
  return {
    keep: 0,
    olderThanSeconds: undefined,
    pins: [],
    queued: [],
    acceptedUnknowns: [],
    mayEmptyList: false,
    ...changes,
  };
}
