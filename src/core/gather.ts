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
