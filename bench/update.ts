import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient, custom, type EIP1193RequestFn } from "viem";
import { base } from "viem/chains";
import { openLedger } from "../src/chain/transactions/ledger.ts";
import { createCloudClient } from "../src/cloud/create-client.ts";
import { updateCvm } from "../src/update/update-cvm.ts";
import { launchCvm } from "../src/world/cvms.ts";
import { startWorld } from "../src/world/start-world.ts";
import type { BenchReport } from "./report.ts";
import { Stopwatch } from "./stopwatch.ts";

const updates = 30;
const dockerCompose = (version: number) => `services:\n  app:\n    image: registry.example/app:${version}\n`;

/** Wall time of one whole update, ledger on disk, and what it is spent on. The CVM itself boots in no time. */
export async function benchUpdate(): Promise<BenchReport> {
  const world = await startWorld({ cvms: false, cloud: { rolloverMs: 0 } });
  const scratch = await mkdtemp(join(tmpdir(), "dstack-bench-"));
  const ledger = openLedger(join(scratch, "ledger.sqlite"));
  try {
    const owner = world.owner.address;
    const { appId } = await launchCvm({
      cloud: world.cloudClient,
      chain: world.ownerClient,
      owner,
      name: "bench-app",
      dockerCompose: dockerCompose(0),
    });
    const samples = [];
    for (let version = 1; version <= updates; version += 1) {
      const chainTime = new Stopwatch();
      const cloudTime = new Stopwatch();
      const request = world.ownerClient.request as EIP1193RequestFn;
      const chain = createClient({
        account: world.owner,
        chain: base,
        transport: custom({ request: (call) => chainTime.time(() => request(call)) }, { retryCount: 0 }),
      });
      const cloud = createCloudClient({
        apiKey: world.apiKey,
        baseUrl: world.cloud.baseUrl,
        fetch: (input, init) => cloudTime.time(() => fetch(input, init)),
      });
      const start = performance.now();
      const { outcome } = await updateCvm({
        cloud,
        chain,
        ledger,
        cvm: "bench-app",
        appId,
        dockerCompose: dockerCompose(version),
        environment: [{ key: "VERSION", value: `${version}` }],
        kms: world.contracts.kms,
        pollChainMs: 1,
        pollCloudMs: 1,
      });
      const wallMs = performance.now() - start;
      if (outcome !== "updated") throw new Error(`The update ended as ${outcome}.`);
      samples.push({ wallMs, chainMs: chainTime.totalMs, cloudMs: cloudTime.totalMs });
    }
    samples.sort((one, other) => one.wallMs - other.wallMs);
    return {
      title: `One whole update (${updates} runs, chain and cloud in the same process)`,
      rows: [describe("median", samples[Math.floor(updates / 2)]), describe("slowest", samples.at(-1))],
      note: "chain: waiting for JSON-RPC; cloud: waiting for HTTP; ours: everything else, database writes and poll pauses included",
    };
  } finally {
    ledger.close();
    await world.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

interface Sample {
  readonly wallMs: number;
  readonly chainMs: number;
  readonly cloudMs: number;
}

function describe(run: string, { wallMs, chainMs, cloudMs }: Sample = { wallMs: Number.NaN, chainMs: 0, cloudMs: 0 }) {
  const share = (ms: number) => `${Math.round((100 * ms) / wallMs)} %`;
  return {
    run,
    "wall ms": wallMs.toFixed(1),
    chain: share(chainMs),
    cloud: share(cloudMs),
    ours: share(wallMs - chainMs - cloudMs),
  };
}
