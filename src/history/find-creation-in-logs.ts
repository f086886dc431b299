import type { FoundCreation } from "./find-creation-block.ts";
import type { ScopeContent } from "./store/history-scope.ts";

/** Where reading began. */
export interface Start extends FoundCreation {
  /** Somebody named the block; it is before the creation, not the creation's own. */
  readonly isGiven: boolean;
}

/**
 * The block of an app's creation, if what was read from `fromBlock` on shows that there is nothing before it. An
 * endpoint's word that there was no code earlier counts only with a log in the very block the code appeared in: one
 * that has dropped old state may answer "no code" for it.
 */
export function findCreationInLogs(
  start: Start,
  fromBlock: bigint,
  { firstBlockWithLogs, changes }: ScopeContent,
): bigint | undefined {
  const isShownByCode =
    start.isFirst && start.block === fromBlock && (start.isGiven || firstBlockWithLogs === fromBlock);
  const isShownByEvent = changes.some((change) => change.kind === "initialized" && change.version === 1n);
  const isWholeChain = fromBlock === 0n;
  return isShownByCode || isShownByEvent || isWholeChain ? (firstBlockWithLogs ?? fromBlock) : undefined;
}
