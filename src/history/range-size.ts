const mostBlocks = 100_000n;
/** Full-size ranges that pass before a wider one is tried again: limits by result count differ along the chain. */
const patience = 100;

/**
 * How many blocks to ask for at once: doubles until the endpoint refuses, then closes in on the widest range it
 * takes. Starts at what the public endpoints of Base allow.
 */
export class RangeSize {
  #blocks: bigint;
  /** The widest range that passed since the last refusal of it. */
  #passed = 0n;
  /** The narrowest range that was refused. */
  #refused = mostBlocks + 1n;
  #passedAtThisSize = 0;
  #isProbing = false;

  constructor(first = 2_000n) {
    this.#blocks = first;
  }

  /** How many of `available` blocks to ask for next. Only one request at a time asks for more than has passed. */
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
    if (this.#passedAtThisSize >= patience) this.#refused = minimum(this.#refused * 2n, mostBlocks + 1n);
    const room = this.#refused - 1n - this.#blocks;
    if (room <= this.#blocks / 8n) return;
    this.#passedAtThisSize = 0;
    this.#blocks = minimum(this.#blocks * 2n, this.#blocks + (room + 1n) / 2n);
  }

  /** @param next how many blocks to try instead, which is fewer than were refused */
  refused(blocks: bigint, next: bigint): void {
    if (blocks > this.#passed) this.#isProbing = false;
    if (blocks < this.#refused) this.#refused = blocks;
    if (this.#passed >= blocks) this.#passed = 0n;
    this.#passedAtThisSize = 0;
    const candidate = this.#passed > next ? this.#passed : next;
    // Several ranges of one size are in flight: their refusals are one piece of news, not a reason to halve again.
    if (candidate < this.#blocks) this.#blocks = candidate;
  }

  /** The endpoint has named its limit: there is no use in trying wider ranges soon. */
  limited(blocks: bigint): void {
    this.#refused = minimum(this.#refused, blocks + 1n);
    this.#blocks = minimum(this.#blocks, blocks);
  }
}

function minimum(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}
