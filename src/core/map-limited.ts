export interface MapLimitedOptions {
  /** How many run at once. */
  readonly limit: number;
  readonly signal?: AbortSignal | undefined;
}

/** `items.map(work)`, a few at a time and in order. The first failure ends it, once what had begun has ended too. */
export async function mapLimited<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
  { limit, signal }: MapLimitedOptions,
): Promise<Result[]> {
  const results = new Array<Result>(items.length);
  const queue = items.entries();
  let isOver = false;
  const worker = async () => {
    for (const [index, item] of queue) {
      if (isOver) return;
      signal?.throwIfAborted();
      results[index] = await work(item);
    }
  };
  const stopping = async () =>
    worker().catch((error: unknown) => {
      isOver = true;
      throw error;
    });
  const ends = await Promise.allSettled(Array.from({ length: Math.min(limit, items.length) }, stopping));
  const failed = ends.find((end) => end.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  return results;
}
