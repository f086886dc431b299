export interface Load {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Runs the work with `clients` parallel clients for a fixed time. Each client starts again when its work is done. */
export async function underLoad(
  work: (client: number) => Promise<unknown>,
  { clients, forMs }: { readonly clients: number; readonly forMs: number },
): Promise<Load> {
  const latencies: number[] = [];
  const start = performance.now();
  const busy = async (client: number) => {
    while (performance.now() - start < forMs) {
      const begun = performance.now();
      await work(client);
      latencies.push(performance.now() - begun);
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, client) => busy(client)));
  const elapsedMs = performance.now() - start;
  latencies.sort((one, other) => one - other);
  const quantile = (share: number) =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN;
  return { perSecond: (1000 * latencies.length) / elapsedMs, p50Ms: quantile(0.5), p99Ms: quantile(0.99) };
}
