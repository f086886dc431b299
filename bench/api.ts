import type { ServedWorld, ServeSettings } from "./api/serve.ts";
import { createUpdater } from "./api/two-phase-update.ts";
import { type Load, underLoad } from "./api/under-load.ts";
import type { BenchReport } from "./report.ts";
import { readUsage } from "./usage.mjs";
import { startWorker } from "./worker.ts";

const clientCounts = [1, 16, 64];

/** Measures the mock cloud under load, compared with a baseline on the same machine: a bare server, a bare transaction. */
export async function benchApi(): Promise<BenchReport> {
  const settings: ServeSettings = { owners: Math.max(...clientCounts) };
  const server = await startWorker<"cpu", number, ServedWorld>(new URL("api/serve.ts", import.meta.url), settings);
  const world = server.started;
  const readCpuMs = async () => readUsage().cpuMs + (await server.ask("cpu"));
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
      await underLoad(works, { clients: 4, perTurn, readCpuMs }); // warms both sides up
      for (const clients of clientCounts)
        rows.push(describe(operation, clients, await underLoad(works, { clients, perTurn, readCpuMs })));
    }
    for (const updater of updaters) await updater.check();
    return {
      title: "The mock cloud under load (in its own process; each client is an owner with a CVM)",
      rows,
      note: [
        "baseline: for GET, the same body from a bare Fastify server; for the update, only its addComposeHash and receipt.",
        "CPU: of the clients and the servers together, for one operation.",
      ].join("\n"),
    };
  } finally {
    server.stop();
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
    "CPU ms": load.cpuMs.toFixed(1),
    "baseline's CPU ms": baseline.cpuMs.toFixed(1),
    "baseline's CPU : CPU": `${((100 * baseline.cpuMs) / load.cpuMs).toFixed(0)} %`,
  };
}
