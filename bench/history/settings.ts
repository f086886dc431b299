/** The limit of the public endpoints of Base. */
export const mostBlocks = 2_000;
/** The latency of every answer. */
export const latencyMs = 20;

export interface ChainShape {
  readonly title: string;
  readonly head: number;
  /** Blocks from one change to the next. */
  readonly every: number;
  /** Different hashes, added and removed in turn. */
  readonly hashes: number;
  readonly finalityLag: number;
  /** Blocks until the second run. */
  readonly growth: number;
}

export const shapes = {
  /** 100,000 logs in a million blocks: 50,000 changes of 10,000 hashes, each with its PolicyChanged. */
  dense: { title: "dense history", head: 1_001_000, every: 20, hashes: 10_000, finalityLag: 6_001, growth: 2_000 },
  /** As many logs in a year of Base. */
  year: { title: "a year of Base", head: 158_001_000, every: 3_160, hashes: 10_000, finalityLag: 6_001, growth: 2_000 },
  /** Ten days of that year. */
  days: { title: "10 days of Base", head: 4_321_000, every: 3_160, hashes: 10_000, finalityLag: 6_001, growth: 2_000 },
} as const satisfies Readonly<Record<string, ChainShape>>;

export type ShapeName = keyof typeof shapes;
