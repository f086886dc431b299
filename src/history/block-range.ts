/** Blocks from `fromBlock` to `toBlock`, both included. */
export interface BlockRange {
  readonly fromBlock: bigint;
  readonly toBlock: bigint;
}

/** How many blocks a range has. */
export function lengthOf({ fromBlock, toBlock }: BlockRange): bigint {
  return toBlock - fromBlock + 1n;
}

/** The blocks of any of these ranges, as ascending ranges that neither overlap nor touch. */
export function mergeRanges(ranges: readonly BlockRange[]): BlockRange[] {
  const merged: BlockRange[] = [];
  for (const range of ranges.toSorted((one, other) => (one.fromBlock < other.fromBlock ? -1 : 1))) {
    const last = merged.at(-1);
    if (last === undefined || range.fromBlock > last.toBlock + 1n) merged.push(range);
    else if (range.toBlock > last.toBlock) merged.splice(-1, 1, { fromBlock: last.fromBlock, toBlock: range.toBlock });
  }
  return merged;
}

/** The blocks of `range` that none of these ranges has, ascending. */
export function gapsIn(range: BlockRange, ranges: readonly BlockRange[]): BlockRange[] {
  const gaps: BlockRange[] = [];
  let next = range.fromBlock;
  for (const { fromBlock, toBlock } of mergeRanges(ranges)) {
    if (toBlock < next) continue;
    if (fromBlock > range.toBlock) break;
    if (fromBlock > next) gaps.push({ fromBlock: next, toBlock: fromBlock - 1n });
    next = toBlock + 1n;
  }
  if (next <= range.toBlock) gaps.push({ fromBlock: next, toBlock: range.toBlock });
  return gaps;
}
