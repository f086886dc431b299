/** The widest range that an RPC endpoint is asked for. */
const mostBlocks = 100_000n;
/**
 * Number of full-size ranges that must pass before a wider one is tried again: limits by result count vary along the
 * chain.
 */
const emptyRepliesBeforeHalving = 100;

/**
 * How many blocks to request at once. Doubles until the endpoint refuses, then a binary search approaches the widest
 * range that it accepts. Starts at what the public endpoints of Base allow.
 */
export class RangeSize {
  readonly #most: bigint;
  #blocks: bigint;
  /** The widest range that passed since it was last refused. */
  #passed = 0n;
  /** The narrowest range that was refused. */
  #refused: bigint;
  #passedAtThisSize = 0;
  #isProbing = false;

  constructor(first = 2_000n, most = mostBlocks) {
    this.#most = most;
    this.#blocks = first;
    this.#refused = most + 1n;
  }

  /** How many of `available` blocks to request next. Only one request at a time exceeds what has passed before. */
  next(available: bigint): bigint {
    const wanted = minimum(available, this.#blocks);
    if (this.#passed === 0n || wanted <= this.#passed) return wanted;
    if (this.#isProbing) return this.#passed;
    this.#isProbing = true;
    return wanted;
  }

  passed(blocks: bigint): void {
    if (blocks > this.#passed) this.#isProbing = false;
    if (blocks > this.#passed) this.#passed = blocks;
    if (blocks < this.#blocks) return;
    this.#passedAtThisSize += 1;
    if (this.#passedAtThisSize >= emptyRepliesBeforeHalving)
      this.#refused = minimum(this.#refused * 2n, this.#most + 1n);
    const room = this.#refused - 1n - this.#blocks;
    if (room <= this.#blocks / 8n) return;
    this.#passedAtThisSize = 0;
    this.#blocks = minimum(this.#blocks * 2n, this.#blocks + (room + 1n) / 2n);
  }

  /** @param next how many blocks to try instead, fewer than were refused */
  refused(blocks: bigint, next: bigint): void {
    if (blocks > this.#passed) this.#isProbing = false;
    if (blocks < this.#refused) this.#refused = blocks;
    if (this.#passed >= blocks) this.#passed = 0n;
    this.#passedAtThisSize = 0;
    const candidate = this.#passed > next ? this.#passed : next;
    // Several ranges of one size run in parallel. Their refusals say the same thing, so do not halve again for each.
    if (candidate < this.#blocks) this.#blocks = candidate;
  }

  /** The endpoint has named its limit, so do not try wider ranges soon. */
  limited(blocks: bigint): void {
    this.#refused = minimum(this.#refused, blocks + 1n);
    this.#blocks = minimum(this.#blocks, blocks);
  }
}

function minimum(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}

/** Blocks from `fromBlock` to `toBlock`, both included. */
export interface BlockRange {
  readonly fromBlock: bigint;
  readonly toBlock: bigint;
}

/** The number of blocks in a range. */
export function lengthOf({ fromBlock, toBlock }: BlockRange): bigint {
  return toBlock - fromBlock + 1n;
}

/** The number of blocks in some ranges that do not overlap. */
export function blocksIn(ranges: readonly BlockRange[]): bigint {
  return ranges.reduce((sum, range) => sum + lengthOf(range), 0n);
}

/** The union of these ranges, as ascending ranges that do not overlap or touch. */
export function mergeRanges(ranges: readonly BlockRange[]): BlockRange[] {
  const merged: BlockRange[] = [];
  for (const range of ranges.toSorted((one, other) => (one.fromBlock < other.fromBlock ? -1 : 1))) {
    const last = merged.at(-1);
    if (last === undefined || range.fromBlock > last.toBlock + 1n) merged.push(range);
    else if (range.toBlock > last.toBlock) merged.splice(-1, 1, { fromBlock: last.fromBlock, toBlock: range.toBlock });
  }
  return merged;
}

/** The blocks of `range` that are in none of `ranges`, as ascending ranges. */
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
