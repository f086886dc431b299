import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { addComposeHash, confirmCvmPatch, createClient, patchCvm } from "@phala/cloud";
import { expect } from "chai";
import { createPublicClient, type Hex, http } from "viem";
import { base } from "viem/chains";
import { root } from "../../../../scripts/support/paths.ts";
import type { WorldDescription } from "../../../../src/commands/up.ts";
import { devPrivateKey } from "../../../../src/world/chain/client.ts";
import { startChain } from "../../../../src/world/chain/start-chain.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { runScript } from "../../../support/scripts/run-script.ts";
import { startServer } from "../../../support/update/http-server.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";
import { isListening } from "../../../support/world/sockets.ts";
import { useUpProcesses } from "../../../support/world/up-process.ts";

const up = ["hardhat", "dstack", "up", "--chain-port", "0", "--cloud-port", "0"];

describe("hardhat dstack up", () => {
  const directory = useTemporaryDirectory();
  const startUpProcess = useUpProcesses();

  it("gives the official client what it needs for an update, and stops on Ctrl-C", async () => {
    const { world, stop, log } = await startUpProcess();
    const client = officialClient(world);
    const { items } = await client.getCvmList();
    expect(items.map(({ name }) => name)).to.have.members(["onchain-app", "offchain-app"]);

    const { composeHash } = await updateOnChainCvm(world, "1.29");
    expect(await client.getCvmInfo({ id: world.environment.ONCHAIN_CVM ?? "" })).to.include({
      compose_hash: composeHash.replace("0x", ""),
    });
    const { openapi } = (await (await fetch(world.openApiUrl)).json()) as { openapi: string };
    expect(openapi).to.match(/^3\./);

    expect(await stop("SIGINT")).to.equal(0);
    expect(log()).to.equal("");
    for (const url of [world.rpcUrl, world.apiUrl]) expect(await isListening(url)).to.equal(false);
  });

  it("runs an update by the official client and a prune with Base's block times and tags that lag", async () => {
    const lags = ["--safe-lag", "1", "--finalized-lag", "1235"];
    const { world, stop } = await startUpProcess(["--block-time", "200", ...lags, "--admin"]);
    const { environment, rpcUrl, adminUrl } = world;
    const chain = createPublicClient({ transport: http(rpcUrl) });
    const [old] = [await hashOf(world)];
    const { composeHash, transactionHash } = await updateOnChainCvm(world, "1.29");
    const { blockNumber } = await chain.getTransactionReceipt({ hash: transactionHash as Hex });

    const names = ["--network", "base", "--app", environment.ONCHAIN_APP ?? "", "--keep", "1", "--until", "safe"];
    const files = [
      "--ledger",
      join(directory.path, "ledger.sqlite"),
      "--store",
      join(directory.path, "history.sqlite"),
    ];
    const { code, stdout, stderr } = await runScript({
      args: ["hardhat", "dstack", "prune", ...names, ...files, "--json", "--yes"],
      env: { ...environment, BASE_RPC_URL: rpcUrl, DSTACK_OWNER_KEY: environment.PRIVATE_KEY },
    });
    expect(code, stderr).to.equal(0);
    expect(stderr).to.match(/waiting until block (\d+) is safe[\s\S]*block \1 is safe/);
    expect(JSON.parse(stdout)).to.have.deep.property("removed", [`0x${old}`]);
    expect(await hashOf(world)).to.equal(composeHash);

    expect((await chain.getBlock({ blockTag: "safe" })).number >= blockNumber).to.equal(true);
    expect((await chain.getBlock({ blockTag: "finalized" })).number).to.equal(0n);
    await fetch(`${adminUrl}/clock/advance`, {
      method: "POST",
      headers: { "x-admin-key": environment.DSTACK_CLOUD_ADMIN_KEY ?? "", "content-type": "application/json" },
      body: JSON.stringify({ ms: 1_235_000 }),
    });
    expect((await chain.getBlock({ blockTag: "finalized" })).number >= blockNumber).to.equal(true);
    expect(await stop("SIGINT")).to.equal(0);
  });

  it("continues from its state file, after SIGTERM and after kill -9", async () => {
    const args = ["--state", join(directory.path, "world.db")];
    const first = await startUpProcess(args);
    const afterFirst = await updateOnChainCvm(first.world, "1.29");
    expect(await first.stop("SIGTERM")).to.equal(0);

    const second = await startUpProcess(args);
    expect(withoutPorts(second.world)).to.deep.equal(withoutPorts(first.world));
    expect(await hashOf(second.world)).to.equal(afterFirst.composeHash);
    const afterSecond = await updateOnChainCvm(second.world, "1.30");
    await second.stop("SIGKILL");

    const third = await startUpProcess(args);
    expect(withoutPorts(third.world)).to.deep.equal(withoutPorts(first.world));
    expect(await hashOf(third.world)).to.equal(afterSecond.composeHash);
    for (const { transactionHash } of [afterFirst, afterSecond]) {
      expect(await readReceiptStatus(third.world, transactionHash)).to.equal("0x1");
    }
    await updateOnChainCvm(third.world, "1.31");
    expect(await third.stop("SIGINT")).to.equal(0);
  }).timeout(120_000);

  it("prints exports and comments for a shell, and events for the user", async () => {
    const { code, stdout, stderr } = await runScript({
      args: up,
      interrupt: { at: "export OFFCHAIN_APP", signal: "SIGTERM" },
    });

    expect(code).to.equal(0);
    const lines = stdout.trimEnd().split("\n");
    const exports = lines.flatMap((line) => /^export ([A-Z_]+)=[\w.:/-]+$/.exec(line)?.[1] ?? []);
    expect(exports).to.deep.equal([
      "PHALA_CLOUD_API_PREFIX",
      "PHALA_CLOUD_API_KEY",
      "ETH_RPC_URL",
      "DSTACK_KMS",
      "PRIVATE_KEY",
      "ONCHAIN_CVM",
      "ONCHAIN_APP",
      "OFFCHAIN_CVM",
      "OFFCHAIN_APP",
    ]);
    expect(lines.filter((line) => !/^export |^# /.test(line))).to.deep.equal([]);
    expect(stdout).to.match(/^# OpenAPI +http:\/\/127\.0\.0\.1:\d+\/openapi\.json$/m);
    expect(stderr).to.include("Ctrl-C");
  });

  describe("on an existing chain", () => {
    let world: World;
    before(async () => {
      world = await startWorld({ cvms: false });
    });
    after(() => world.close());

    const run = (key: string | undefined) =>
      runScript({
        args: [
          ...up.slice(0, 3),
          "--cloud-port=0",
          `--chain-rpc=${world.chain.rpcUrl}`,
          `--kms=${world.contracts.kms}`,
        ],
        env: { DSTACK_OWNER_KEY: key },
        interrupt: { at: "export OFFCHAIN_APP", signal: "SIGINT" },
      });

    it("creates no on-chain CVM without a key", async () => {
      const { code, stdout, stderr } = await run(undefined);
      expect(code, stderr).to.equal(0);
      expect(stdout).to.include(`export ETH_RPC_URL=${world.chain.rpcUrl}`);
      expect(stdout).to.match(/^# There is no on-chain CVM/m);
      expect(stdout).to.not.match(/PRIVATE_KEY|onchain-app/);
    });

    it("creates the on-chain CVM with a key, which it never prints", async () => {
      const key = devPrivateKey(0);
      const { code, stdout, stderr } = await run(key);
      expect(code, stderr).to.equal(0);
      expect(stdout).to.include("export ONCHAIN_CVM=onchain-app");
      expect(stdout + stderr).to.not.include(key.slice(2));
    });
  });

  it("starts on a fork", async () => {
    const upstream = await startChain();
    const { world, stop } = await startUpProcess(["--fork", upstream.rpcUrl]);
    await updateOnChainCvm(world, "1.29");
    expect(await stop("SIGINT")).to.equal(0);
    await upstream.close();
  });

  it("exits with 0 when it is stopped before it is ready", async () => {
    const silent = await startServer(() => child.kill("SIGINT"));
    const args = [join(root, "scripts", "run.mjs"), ...up, "--fork", silent.url];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const [[code], stdout] = await Promise.all([once(child, "exit"), text(child.stdout)]);
    await silent.close();
    expect([code, stdout]).to.deep.equal([0, ""]);
  });

  it("refuses a port that is taken in one sentence, with exit code 2", async () => {
    const other = await startServer((response) => response.end());
    const { port } = new URL(other.url);
    const args = ["hardhat", "dstack", "up", "--chain-port", "0", "--cloud-port", port];
    const { code, stdout, stderr } = await runScript({ args });
    await other.close();
    expect([code, stdout]).to.deep.equal([2, ""]);
    expect(stderr).to.include(`Port ${port} `);
    expect(stderr).to.not.match(/^\s+at /m);
  });
});

function officialClient({ environment }: WorldDescription) {
  return createClient({ baseURL: environment.PHALA_CLOUD_API_PREFIX, apiKey: environment.PHALA_CLOUD_API_KEY });
}

/** A whole update with only the official client and the output of the task. */
async function updateOnChainCvm(world: WorldDescription, tag: string) {
  const client = officialClient(world);
  const id = world.environment.ONCHAIN_CVM ?? "";
  const docker_compose_file = `services:\n  web:\n    image: nginx:${tag}\n`;
  const proposed = await patchCvm(client, { id, docker_compose_file });
  if (!proposed.requiresOnChainHash) throw new Error("expected a 465");
  const { composeHash, appId } = proposed;
  const log = console.log;
  // The client prints the receipt's logs.
  console.log = () => {};
  const { transactionHash } = await addComposeHash({
    chain: base,
    rpcUrl: world.environment.ETH_RPC_URL,
    privateKey: world.environment.PRIVATE_KEY as Hex,
    appId: `0x${appId}`,
    composeHash,
  }).finally(() => {
    console.log = log;
  });
  await confirmCvmPatch(client, { id, composeHash, transactionHash });
  await untilHashIs(world, composeHash.replace("0x", ""));
  return { composeHash: composeHash.replace("0x", ""), transactionHash };
}

async function untilHashIs(world: WorldDescription, composeHash: string): Promise<void> {
  for (;;) {
    const cvm = await officialClient(world).getCvmInfo({ id: world.environment.ONCHAIN_CVM ?? "" });
    if (cvm.status === "running") return expect(cvm.compose_hash).to.equal(composeHash) && undefined;
  }
}

async function hashOf(world: WorldDescription) {
  return (await officialClient(world).getCvmInfo({ id: world.environment.ONCHAIN_CVM ?? "" })).compose_hash;
}

async function readReceiptStatus(world: WorldDescription, hash: string): Promise<string> {
  const call = { jsonrpc: "2.0", id: 1, method: "eth_getTransactionReceipt", params: [hash] };
  const response = await fetch(world.rpcUrl, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(call),
  });
  return ((await response.json()) as { result: { status: string } }).result.status;
}

/** What must stay the same from one start to the next, on free ports. */
function withoutPorts({ chainId, kms, owner, cvms, environment }: WorldDescription) {
  return { chainId, kms, owner, cvms, apiKey: environment.PHALA_CLOUD_API_KEY };
}
