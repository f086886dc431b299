/** 100,000 logs in a million blocks: 50,000 changes of 10,000 hashes, each with its PolicyChanged. */
export const settings = { head: 1_001_000, every: 20, hashes: 10_000 };
/** Blocks until the second run. */
export const growth = 2_000;
/** The limit of the public endpoints of Base. */
export const mostBlocks = 2_000;
/** The latency of every answer. */
export const latencyMs = 20;
