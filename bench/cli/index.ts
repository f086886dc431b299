import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cli, type CliOptions, cliOf, nodeEnvironment } from "../../test/clients/harness/cli.ts";
import { startLane } from "../../test/clients/harness/lane.ts";
import { installNpmClients } from "../../test/clients/install/npm-clients.ts";
import type { BenchReport } from "../report.ts";
import { medianOf, type Usage } from "../usage.ts";
import { startWorker } from "../worker.ts";
import type { UpdaterSettings } from "./updater.ts";

const rounds = 5;
const compose = (version: number) => `services:\n  app:\n    image: registry.example/app:${version}\n`;

/**
 * Compares the update of the official CLI with `updateCvm` in its default settings: same world and CVM, alternating, each
 * until the CVM runs the new version. Each client has its own process; chain and cloud run in this process.
 */
export async function benchCli(): Promise<BenchReport> {
  const clients = await installNpmClients();
  const lane = await startLane();
  const scratch = await mkdtemp(join(tmpdir(), "dstack-bench-"));
  const { world, ownerKey } = lane;
  const cvm = await lane.createCvm("on-chain");
  const settings: UpdaterSettings = {
    cloudUrl: world.cloud.baseUrl,
    apiKey: world.apiKey,
    rpcUrl: world.chain.rpcUrl,
    ledgerPath: join(scratch, "ledger.sqlite"),
    cvm: cvm.id,
  };
  const updater = await startWorker<string, Usage>(new URL("updater.ts", import.meta.url), settings);
  try {
    const cli = cliOf(clients, lane);
    const run = (args: readonly string[], options?: CliOptions) =>
      measureCli(cli, join(scratch, "usage"), args, options);
    const chain = ["--private-key", ownerKey, "--rpc-url", world.chain.rpcUrl];
    const deploy = ["deploy", "--cvm-id", cvm.id, "-c", "docker-compose.yml", "--wait", ...chain];
    const ours: Usage[] = [];
    const started: Usage[] = [];
    const deployed: Usage[] = [];
    await updater.ask(compose(0));
    for (let round = 1; round <= rounds; round += 1) {
      started.push(await run(["--version"]));
      deployed.push(await run(deploy, { files: { "docker-compose.yml": compose(2 * round) } }));
      ours.push(await updater.ask(compose(2 * round + 1)));
    }
    const [update, start, whole] = [medianOf(ours), medianOf(started), medianOf(deployed)];
    const row = (what: string, { wallMs, cpuMs, requests }: Usage) => ({
      what,
      "wall ms": wallMs.toFixed(0),
      "CPU ms": cpuMs.toFixed(0),
      requests,
      "wall : updateCvm": `${(wallMs / update.wallMs).toFixed(1)} x`,
    });
    return {
      title: `One update: phala deploy --cvm-id --wait beside updateCvm (median of ${rounds}, same world and CVM)`,
      rows: [
        row("updateCvm, default settings, ledger on disk", update),
        row("phala deploy", whole),
        row("phala deploy less phala --version", {
          wallMs: whole.wallMs - start.wallMs,
          cpuMs: whole.cpuMs - start.cpuMs,
          requests: whole.requests - start.requests,
        }),
      ],
      note: "waits are part of the wall time; the CVM boots in 20 ms; CPU and requests are the client's",
    };
  } finally {
    updater.stop();
    await lane.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

async function measureCli(
  cli: Cli,
  usageFile: string,
  args: readonly string[],
  options: CliOptions = {},
): Promise<Usage> {
  const { NODE_OPTIONS = "" } = nodeEnvironment();
  const preload = new URL("../usage.mjs", import.meta.url).href;
  const env = { USAGE: usageFile, NODE_OPTIONS: `${NODE_OPTIONS} --import=${preload}` };
  const start = performance.now();
  await cli.succeed(args, { ...options, env });
  const wallMs = performance.now() - start;
  return { wallMs, ...(JSON.parse(await readFile(usageFile, "utf8")) as Omit<Usage, "wallMs">) }; // what usage.mjs writes
}
