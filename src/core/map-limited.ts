export interface MapLimitedOptions {
  /** Maximum number of items that run at the same time. */
  readonly limit: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs `work` for every item, at most `limit` at a time, and returns the results in the order of the items. After the
 * first failure no new item starts. The promise rejects when the running items have ended.
 */
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

/**
 * Starts work on each item in turn, with at most `window` pieces of work at a time. After the first error it starts no
 * more, waits for what was started, and throws that error.
 */
export async function gather<Item>(
  items: readonly Item[],
  start: (item: Item, add: (work: Promise<void>) => void) => Promise<void>,
  window = Number.POSITIVE_INFINITY,
): Promise<void> {
  const underWay = new Set<Promise<void>>();
  const faults: unknown[] = [];
  const fail = (error: unknown) => void faults.push(error);
  const add = (work: Promise<void>) => {
    const end = work.catch(fail).finally(() => underWay.delete(end));
    underWay.add(end);
  };
  for (const item of items) {
    if (underWay.size >= window) await Promise.race(underWay);
    if (faults.length > 0) break;
    await start(item, add).catch(fail);
  }
  await Promise.all(underWay);
  if (faults.length > 0) throw faults[0];
}
