export type Work = (client: number) => Promise<unknown>;

export interface Load {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU time for one work. */
  readonly cpuMs: number;
}

export interface LoadSettings {
  readonly clients: number;
  /** Works of a turn, over all clients. */
  readonly perTurn: number;
  /** CPU time that clients and servers have used so far. */
  readonly readCpuMs: () => Promise<number>;
}

const turns = 4;
/** Works of each client at least, so that the end of a turn, when some clients are done, weighs little. */
const leastEach = 4;

/**
 * Measures two works with `clients` parallel clients each, in turns, so that what else the machine does affects both.
 * Each client starts again when its work is done.
 */
export async function underLoad(
  works: { readonly work: Work; readonly baseline: Work },
  settings: LoadSettings,
): Promise<{ readonly load: Load; readonly baseline: Load }> {
  const load = new Recorder();
  const baseline = new Recorder();
  for (let turn = 0; turn < turns; turn += 1) {
    await baseline.record(works.baseline, settings);
    await load.record(works.work, settings);
  }
  return { load: load.describe(), baseline: baseline.describe() };
}

class Recorder {
  readonly #latencies: number[] = [];
  #elapsedMs = 0;
  #cpuMs = 0;

  async record(work: Work, { clients, perTurn, readCpuMs }: LoadSettings): Promise<void> {
    const each = leastEach + Math.ceil(perTurn / clients);
    const cpuMs = await readCpuMs();
    const start = performance.now();
    const busy = async (client: number) => {
      for (let count = 0; count < each; count += 1) {
        const begun = performance.now();
        await work(client);
        this.#latencies.push(performance.now() - begun);
      }
    };
    await Promise.all(Array.from({ length: clients }, (_, client) => busy(client)));
    this.#elapsedMs += performance.now() - start;
    this.#cpuMs += (await readCpuMs()) - cpuMs;
  }

  describe(): Load {
    const sorted = this.#latencies.toSorted((one, other) => one - other);
    const quantile = (share: number) =>
      sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
    return {
      perSecond: (1000 * sorted.length) / this.#elapsedMs,
      p50Ms: quantile(0.5),
      p99Ms: quantile(0.99),
      cpuMs: this.#cpuMs / sorted.length,
    };
  }
}
