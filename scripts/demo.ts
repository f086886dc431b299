// Shows one verified update, run by `npm run demo`. It starts a Base-like chain, the contracts, the mock cloud, an app
// and its CVM. Then it updates the compose file and the environment with `updateCvm`, and prunes the old hash.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import hre from "hardhat";
import { removeComposeHash } from "../src/chain/remove-compose-hash.ts";
import { openLedger } from "../src/chain/transactions/ledger.ts";
import { costOf } from "../src/chain/transactions/price.ts";
import { waitForReceipt } from "../src/chain/transactions/receipt.ts";
import { requireEvent } from "../src/core/events.ts";
import type { ComposeHash } from "../src/core/ids.ts";
import { createCloudOutput } from "../src/output/cloud.ts";
import { exitWith } from "../src/output/exit-with.ts";
import { formatDuration } from "../src/output/format.ts";
import { createOutput } from "../src/output/output.ts";
import { formatFee, formatGas } from "../src/output/price.ts";
import { createUpdateOutput } from "../src/output/update.ts";
import { updateCvm } from "../src/update/update-cvm.ts";
import { type LaunchedCvm, launchCvm } from "../src/world/cvms.ts";
import { startWorld, type World } from "../src/world/start-world.ts";
import { deployWithIgnition } from "./demo/deploy-with-ignition.ts";
import { readVerdict } from "./demo/read-verdict.ts";

const dockerCompose = (tag: string, digest: string) => `services:
  app:
    image: registry.example/shop:${tag}@sha256:${digest.repeat(32)}
    environment:
      - DATABASE_URL
      - API_TOKEN
`;
const firstVersion = {
  dockerCompose: dockerCompose("1.0.0", "a1"),
  environment: [{ key: "DATABASE_URL", value: "postgres://first" }],
};
const secondVersion = {
  dockerCompose: dockerCompose("1.1.0", "b2"),
  environment: [
    { key: "DATABASE_URL", value: "postgres://second" },
    { key: "API_TOKEN", value: "made for the demo" },
  ],
};

const cvmName = "demo-shop";
const output = createOutput(process.stdout);
const interruption = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => interruption.abort(new DOMException(`Stopped by ${signal}.`, "AbortError")));
}
process.exit(await main());

async function main(): Promise<number> {
  const start = performance.now();
  const scratch = await mkdtemp(join(tmpdir(), "dstack-demo-"));
  let world: World | undefined;
  try {
    world = await setUp();
    const cvm = await deployFirstVersion(world);
    const beforeUpdate = await world.chain.client.getBlockNumber();
    const newHash = await update(world, cvm, join(scratch, "ledger.sqlite"));
    const afterUpdate = await world.chain.client.getBlockNumber();
    await prune(world, cvm);
    await printVerdicts(world, cvm, newHash, { beforeUpdate, afterUpdate });
    output.line(`\nDone in ${formatDuration(performance.now() - start)}; the demo stopped everything that it started.`);
    return 0;
  } catch (error) {
    return exitWith(error, process.stderr);
  } finally {
    await world?.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

async function setUp(): Promise<World> {
  output.title("1  A world: chain, contracts, cloud");
  const start = performance.now();
  const world = await startWorld({
    deploy: (client) => deployWithIgnition(hre, client),
    cloud: { onEvent: createCloudOutput(output) },
    cvms: false,
    // As on Base.
    ...{ blockTimeMs: 200, safeLagSeconds: 73, finalizedLagSeconds: 1235 },
    signal: interruption.signal,
  });
  output.step("chain", `${world.chain.rpcUrl}, chain id ${world.chain.id}, OP stack rules, a block every 200 ms`);
  output.step("DstackKms", world.contracts.kms);
  output.step("DstackApp", `${world.contracts.appImplementation} (implementation)`);
  output.step("mock cloud", world.cloud.baseUrl, performance.now() - start);
  interruption.signal.throwIfAborted();
  return world;
}

async function deployFirstVersion(world: World): Promise<LaunchedCvm> {
  output.title("2  An app through the KMS factory, and its CVM");
  const start = performance.now();
  const cvm = await launchCvm({
    cloud: world.cloudClient,
    chain: world.ownerClient,
    owner: world.owner.address,
    name: cvmName,
    ...firstVersion,
  });
  const { transactionHash, gasUsed } = cvm.deployment;
  output.step("deployAndRegisterApp", `${transactionHash}, ${formatGas(gasUsed)}`);
  output.step("app", cvm.appId);
  output.step("CVM", `${cvmName} runs compose hash ${cvm.composeHash}`, performance.now() - start);
  output.step("boot verdict", `old hash ${await readVerdict(world, cvm, cvm.composeHash)}`);
  interruption.signal.throwIfAborted();
  return cvm;
}

async function update(world: World, cvm: LaunchedCvm, ledgerPath: string): Promise<ComposeHash> {
  output.title("3  One update: new compose file, changed environment");
  using ledger = openLedger(ledgerPath);
  const { composeHash = cvm.composeHash } = await updateCvm({
    cloud: world.cloudClient,
    chain: world.ownerClient,
    ledger,
    cvm: cvmName,
    appId: cvm.appId,
    kms: world.contracts.kms,
    ...secondVersion,
    pollCloudMs: 50,
    pollChainMs: 50,
    onStep: createUpdateOutput(output),
    signal: interruption.signal,
  });
  output.step("boot verdict", `old hash ${await readVerdict(world, cvm, cvm.composeHash)}`);
  output.step("boot verdict", `new hash ${await readVerdict(world, cvm, composeHash)}`);
  return composeHash;
}

async function prune(world: World, { appId, composeHash }: LaunchedCvm): Promise<void> {
  interruption.signal.throwIfAborted();
  output.title("4  Prune: the old version cannot boot again");
  const start = performance.now();
  const transactionHash = await removeComposeHash(world.ownerClient, { appId, composeHash });
  const receipt = await waitForReceipt(world.ownerClient, { transactionHash, functionName: "removeComposeHash" });
  requireEvent(receipt, { emitter: appId, eventName: "ComposeHashRemoved", value: composeHash });
  const cost = `${formatGas(receipt.gasUsed)}, ${formatFee(costOf(receipt))}`;
  output.step("removeComposeHash", `${transactionHash}, ${cost}`, performance.now() - start);
}

async function printVerdicts(
  world: World,
  cvm: LaunchedCvm,
  newHash: ComposeHash,
  { beforeUpdate, afterUpdate }: { readonly beforeUpdate: bigint; readonly afterUpdate: bigint },
): Promise<void> {
  output.title("Boot verdicts of DstackKms.isAppAllowed");
  for (const [name, hash] of [
    ["old", cvm.composeHash],
    ["new", newHash],
  ] as const) {
    output.line(`  ${name} hash ${hash}`);
    output.line(`    before the update   ${await readVerdict(world, cvm, hash, beforeUpdate)}`);
    output.line(`    after the update    ${await readVerdict(world, cvm, hash, afterUpdate)}`);
    output.line(`    after pruning       ${await readVerdict(world, cvm, hash)}`);
  }
}
