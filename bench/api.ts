import type { ServedWorld } from "./api/serve.ts";
import { serveWorld } from "./api/serve-world.ts";
import { createUpdater } from "./api/two-phase-update.ts";
import { type Load, underLoad } from "./api/under-load.ts";
import type { BenchReport } from "./report.ts";

const clientCounts = [1, 16, 64];

/** Measures the mock cloud under load, compared with a baseline on the same machine: a bare server, a bare transaction. */
export async function benchApi(): Promise<BenchReport> {
  const { world, stop } = await serveWorld(Math.max(...clientCounts));
  try {
    const updaters = world.cvms.map((_, index) => createUpdater(world, index));
    const reads = {
      work: () => get(`${world.cloudUrl}/cvms/${world.cvms[0]?.id}`, world),
      baseline: () => get(world.bareUrl, world),
    };
    const updates = {
      work: (client: number) => updaters[client]?.update() ?? Promise.reject(new RangeError()),
      baseline: (client: number) => updaters[client]?.register() ?? Promise.reject(new RangeError()),
    };
    const operations = [
      { operation: "GET cvm", works: reads, perTurn: 1_000 },
      { operation: "two-phase update", works: updates, perTurn: 100 },
    ];
    const rows = [];
    for (const { operation, works, perTurn } of operations) {
      await underLoad(works, { clients: 4, perTurn }); // warms both sides up
      for (const clients of clientCounts)
        rows.push(describe(operation, clients, await underLoad(works, { clients, perTurn })));
    }
    for (const updater of updaters) await updater.check();
    return {
      title: "The mock cloud under load (in its own process; each client is an owner with a CVM)",
      rows,
      note: "baseline: for GET, the same body from a bare Fastify server; for the update, only its addComposeHash and receipt",
    };
  } finally {
    stop();
  }
}

async function get(url: string, { apiKeys }: ServedWorld): Promise<void> {
  const response = await fetch(url, { headers: { "X-API-Key": apiKeys[0] ?? "" } });
  await response.arrayBuffer();
  if (response.status !== 200) throw new Error(`GET ${url} answered ${response.status}.`);
}

function describe(
  operation: string,
  clients: number,
  { load, baseline }: { readonly load: Load; readonly baseline: Load },
) {
  return {
    operation,
    clients,
    "per s": load.perSecond.toFixed(load.perSecond < 100 ? 1 : 0),
    "p50 ms": load.p50Ms.toFixed(1),
    "p99 ms": load.p99Ms.toFixed(1),
    "of the baseline's rate": `${((100 * load.perSecond) / baseline.perSecond).toFixed(0)} %`,
  };
}
