import type { ServedWorld } from "./api/serve.ts";
import { serveWorld } from "./api/serve-world.ts";
import { createUpdater } from "./api/two-phase-update.ts";
import { type Load, underLoad } from "./api/under-load.ts";
import type { BenchReport } from "./report.ts";

const clientCounts = [1, 16, 64];
const forMs = 1500;

/** Measures the mock cloud under load, compared with a baseline on the same machine: a bare server, a bare transaction. */
export async function benchApi(): Promise<BenchReport> {
  const { world, stop } = await serveWorld(Math.max(...clientCounts));
  try {
    const updaters = world.cvms.map((_, index) => createUpdater(world, index));
    const read = () => get(`${world.cloudUrl}/cvms/${world.cvms[0]?.id}`, world);
    const readBare = () => get(world.bareUrl, world);
    const update = (client: number) => updaters[client]?.update() ?? Promise.reject(new RangeError());
    const register = (client: number) => updaters[client]?.register() ?? Promise.reject(new RangeError());
    await underLoad(read, { clients: 4, forMs: 500 });
    await underLoad(readBare, { clients: 4, forMs: 500 });
    await underLoad(update, { clients: 4, forMs: 500 });

    const rows = [];
    for (const clients of clientCounts) {
      const bare = await underLoad(readBare, { clients, forMs });
      rows.push(describe("GET cvm", clients, await underLoad(read, { clients, forMs }), bare));
    }
    for (const clients of clientCounts) {
      const bare = await underLoad(register, { clients, forMs });
      rows.push(describe("two-phase update", clients, await underLoad(update, { clients, forMs }), bare));
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

function describe(operation: string, clients: number, load: Load, baseline: Load) {
  return {
    operation,
    clients,
    "per s": load.perSecond.toFixed(load.perSecond < 100 ? 1 : 0),
    "p50 ms": load.p50Ms.toFixed(1),
    "p99 ms": load.p99Ms.toFixed(1),
    "of the baseline's rate": `${((100 * load.perSecond) / baseline.perSecond).toFixed(0)} %`,
  };
}
