import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openJournal } from "../src/update/journal.ts";
import { updateCvm } from "../src/update/update-cvm.ts";
import { cliOf } from "../test/clients/harness/cli.ts";
import { startLane } from "../test/clients/harness/lane.ts";
import { installNpmClients } from "../test/clients/install/npm-clients.ts";
import type { BenchReport } from "./report.ts";

const rounds = 3;
const compose = (version: number) => `services:\n  app:\n    image: registry.example/app:${version}\n`;

/** The official CLI's update beside ours: same world, same CVM, in turns, each until the CVM runs the new version. */
export async function benchCli(): Promise<BenchReport> {
  const clients = await installNpmClients();
  const lane = await startLane();
  const scratch = await mkdtemp(join(tmpdir(), "dstack-bench-"));
  const journal = await openJournal(join(scratch, "journal.jsonl"));
  try {
    const { world, ownerKey } = lane;
    const cli = cliOf(clients, lane);
    const cvm = await lane.createCvm("on-chain");
    const times = { startUp: [] as number[], cli: [] as number[], ours: [] as number[], brisk: [] as number[] };
    for (let round = 0; round < rounds; round += 1) {
      times.startUp.push(await timed(() => cli.succeed(["--version"])));
      const options = { files: { "docker-compose.yml": compose(3 * round) } };
      const chain = ["--private-key", ownerKey, "--rpc-url", world.chain.rpcUrl];
      const args = ["deploy", "--cvm-id", cvm.id, "-c", "docker-compose.yml", "--wait", ...chain];
      times.cli.push(await timed(() => cli.succeed(args, options)));
      const update = { cloud: world.cloudClient, chain: world.ownerClient, journal, cvm: cvm.id };
      times.ours.push(await timed(() => updateCvm({ ...update, dockerCompose: compose(3 * round + 1) })));
      times.brisk.push(
        await timed(() => updateCvm({ ...update, dockerCompose: compose(3 * round + 2), pollCloudMs: 50 })),
      );
    }
    const ours = median(times.ours);
    const row = (what: string, ms: number) => ({
      what,
      "median ms": ms.toFixed(0),
      "of updateCvm": `${(ms / ours).toFixed(1)} x`,
    });
    return {
      title: `phala deploy --cvm-id --wait beside updateCvm (${rounds} runs each, same world and CVM)`,
      rows: [
        row("updateCvm, journal on disk", ours),
        row("updateCvm, looking every 50 ms", median(times.brisk)),
        row("phala deploy, process included", median(times.cli)),
        row("phala deploy less phala --version", median(times.cli) - median(times.startUp)),
      ],
      note: "the pauses between looks at the CVM are part of the time: 2 s in ours by default, the CLI's own in its",
    };
  } finally {
    await journal.close();
    await lane.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
}
