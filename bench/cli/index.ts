import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Cli, type CliOptions, cliOf, nodeEnvironment } from "../../test/clients/harness/cli.ts";
import { startLane } from "../../test/clients/harness/lane.ts";
import { installNpmClients } from "../../test/clients/install/npm-clients.ts";
import type { BenchReport } from "../report.ts";
import type { UpdaterSettings, Usage } from "./updater.ts";

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
  const updater = await startUpdater({
    cloudUrl: world.cloud.baseUrl,
    apiKey: world.apiKey,
    rpcUrl: world.chain.rpcUrl,
    ledgerPath: join(scratch, "ledger.sqlite"),
    cvm: cvm.id,
  });
  try {
    const cli = cliOf(clients, lane);
    const run = (args: readonly string[], options?: CliOptions) =>
      measureCli(cli, join(scratch, "usage"), args, options);
    const chain = ["--private-key", ownerKey, "--rpc-url", world.chain.rpcUrl];
    const deploy = ["deploy", "--cvm-id", cvm.id, "-c", "docker-compose.yml", "--wait", ...chain];
    const ours: Usage[] = [];
    const started: Usage[] = [];
    const deployed: Usage[] = [];
    await measureUpdate(updater, compose(0));
    for (let round = 1; round <= rounds; round += 1) {
      started.push(await run(["--version"]));
      deployed.push(await run(deploy, { files: { "docker-compose.yml": compose(2 * round) } }));
      ours.push(await measureUpdate(updater, compose(2 * round + 1)));
    }
    const [update, start, whole] = [median(ours), median(started), median(deployed)];
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
    updater.disconnect();
    await lane.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

async function startUpdater(settings: UpdaterSettings): Promise<ChildProcess> {
  const program = fileURLToPath(new URL("updater.ts", import.meta.url));
  const child = fork(program, [JSON.stringify(settings)], {
    execArgv: [],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  await nextMessage(child);
  return child;
}

async function measureUpdate(updater: ChildProcess, dockerCompose: string): Promise<Usage> {
  const measured = nextMessage(updater);
  updater.send(dockerCompose);
  return (await measured) as Usage; // what updater.ts sends
}

async function nextMessage(child: ChildProcess): Promise<unknown> {
  const [message] = await Promise.race([
    once(child, "message"),
    once(child, "exit").then(([code]) => Promise.reject(new Error(`The updater ended with code ${code}.`))),
  ]);
  return message;
}

async function measureCli(
  cli: Cli,
  usageFile: string,
  args: readonly string[],
  options: CliOptions = {},
): Promise<Usage> {
  const { NODE_OPTIONS = "" } = nodeEnvironment();
  const preload = new URL("usage.mjs", import.meta.url).href;
  const env = { USAGE: usageFile, NODE_OPTIONS: `${NODE_OPTIONS} --import=${preload}` };
  const start = performance.now();
  await cli.succeed(args, { ...options, env });
  const wallMs = performance.now() - start;
  return { wallMs, ...(JSON.parse(await readFile(usageFile, "utf8")) as Omit<Usage, "wallMs">) }; // what usage.mjs writes
}

/** The median of each figure separately. */
function median(usages: readonly Usage[]): Usage {
  const of = (field: keyof Usage) => {
    const sorted = usages.map((usage) => usage[field]).toSorted((one, other) => one - other);
    return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  };
  return { wallMs: of("wallMs"), cpuMs: of("cpuMs"), requests: of("requests") };
}
