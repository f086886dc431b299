import type { AllowedHash } from "./prune-facts.ts";

/** By when each was added last. One without a date may be the newest of all, so it comes first. */
export function newestFirst(allowed: readonly AllowedHash[]): readonly AllowedHash[] {
  return [...allowed].sort((one, other) => compare(other, one));
}

function compare({ added: one }: AllowedHash, { added: other }: AllowedHash): number {
  if (one === undefined || other === undefined) return Number(one === undefined) - Number(other === undefined);
  if (one.blockNumber !== other.blockNumber) return one.blockNumber < other.blockNumber ? -1 : 1;
  return one.logIndex - other.logIndex;
}
