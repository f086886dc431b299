import { type Address, encodeAbiParameters, type Hex, keccak256, numberToHex } from "viem";
import { getBalance } from "viem/actions";
import { buildSafeBatch } from "../src/batch/build-safe-batch.ts";
import type { BatchMode } from "../src/batch/run.ts";
import { sendBatch } from "../src/batch/send-batch.ts";
import { deployApp } from "../src/chain/deploy-app.ts";
import { readAllowlist } from "../src/chain/read-app.ts";
import { waitForReceipt } from "../src/chain/transactions/receipt.ts";
import { deployedApp } from "../src/core/events.ts";
import { type AppId, type ComposeHash, parseComposeHash } from "../src/core/ids.ts";
import { proveCalls, removeComposeHashCall } from "../src/core/owner-calls.ts";
import { devAccount, devPrivateKey } from "../src/world/chain/client.ts";
import { startWorld, type World } from "../src/world/start-world.ts";
import { deploySafe } from "../test/support/chain/deploy-owner-contracts.ts";
import { executeSafeBatch, multiSend, multiSendCode } from "../test/support/chain/safe.ts";
import { leastGas } from "./prune-gas/floor.ts";
import { createForgePerHash, type ForgePerHash } from "./prune-gas/forge-per-hash.ts";
import type { BenchReport } from "./report.ts";

const sizes = [1, 10, 56, 200, 1_000];
/** Number of forge processes that run per size. The costs of more are extrapolated. */
const mostProcesses = 5;

interface Measured {
  readonly way: string;
  readonly transactions: number;
  readonly gas: bigint;
  readonly wallMs: number;
}

/** The cost of removing hashes with each batch mode, compared with one process per hash and with a lower bound. */
export async function benchPruneGas(): Promise<BenchReport> {
  const world = await startWorld({ cvms: false });
  const forge = await createForgePerHash(world.chain.rpcUrl);
  try {
    await world.chain.client.setCode({ address: multiSend, bytecode: multiSendCode });
    const rows = [];
    for (const [index, count] of sizes.entries()) {
      const processes = await measureForge(world, forge, { count, index });
      const measured = [
        processes,
        await measureBatch(world, "none", { count, index }),
        await measureBatch(world, "7702", { count, index }),
        await measureSafe(world, { count }),
      ];
      rows.push(...measured.map((one) => describe(count, one, processes)));
    }
    return {
      title: "Removing compose hashes from an app (OP stack chain, Prague rules)",
      rows,
      note: [
        "floor: only the hashes, the cleared slots and both events of each, refunds capped at a fifth.",
        `forge script: a compiled script, one process per hash; at most ${mostProcesses} were run, the rest is scaled.`,
        "7702: including the authorisation; the executor is already on the chain. Safe: 2 of 3 sign, one execTransaction.",
        "gas: of the chain itself, without the rollup's data fee.",
      ].join("\n"),
    };
  } finally {
    await forge.close();
    await world.close();
  }
}

interface Subject {
  readonly count: number;
  /** Accounts and apps are fresh for each, so that nothing is warm or delegated. */
  readonly index: number;
}

async function measureForge(world: World, forge: ForgePerHash, { count, index }: Subject): Promise<Measured> {
  const account = index + 1;
  const run = Math.min(count, mostProcesses);
  const { appId, hashes } = await createApp(world, devAccount(account).address, run);
  const { client } = world.chain;
  const before = await client.getBlockNumber();
  const start = performance.now();
  for (const hash of hashes) await forge.remove(appId, hash, devPrivateKey(account));
  const wallMs = performance.now() - start;
  await requireGone(world, appId, hashes);
  let gas = 0n;
  const after = await client.getBlockNumber();
  for (let blockNumber = before + 1n; blockNumber <= after; blockNumber++)
    gas += (await client.getBlock({ blockNumber })).gasUsed;
  const scale = count / run;
  return {
    way: "forge script each",
    transactions: count,
    gas: BigInt(Math.round(Number(gas) * scale)),
    wallMs: wallMs * scale,
  };
}

async function measureBatch(world: World, mode: BatchMode, { count, index }: Subject): Promise<Measured> {
  const account = devAccount((mode === "none" ? 7 : 13) + index);
  const { appId, hashes } = await createApp(world, account.address, count);
  const { ownerClient: client } = world;
  const calls = hashes.map((composeHash) => removeComposeHashCall({ appId, composeHash }));
  const balance = await getBalance(client, { address: account.address });
  const start = performance.now();
  const { transactions, gasUsed, costWei } = await sendBatch(client, { calls, account, mode, pollIntervalMs: 5 });
  const wallMs = performance.now() - start;
  await requireGone(world, appId, hashes);
  if ((await getBalance(client, { address: account.address })) !== balance - costWei)
    throw new Error("The account paid another amount than the batch reports.");
  return { way: `batch ${mode}`, transactions: transactions.length, gas: gasUsed, wallMs };
}

async function measureSafe(world: World, { count }: { readonly count: number }): Promise<Measured> {
  const { ownerClient: client } = world;
  const owners = [devAccount(17), devAccount(18), devAccount(19)] as const;
  const safe = await deploySafe(client, {
    payer: world.owner,
    owners: owners.map(({ address }) => address),
    threshold: 2,
  });
  const { appId, hashes } = await createApp(world, safe, count);
  const calls = hashes.map((composeHash) => removeComposeHashCall({ appId, composeHash }));
  const start = performance.now();
  const batch = await buildSafeBatch(client, { calls, safe });
  const receipt = await executeSafeBatch(client, { batch, signers: owners.slice(0, 2), payer: world.owner });
  const wallMs = performance.now() - start;
  proveCalls(receipt, batch.calls);
  await requireGone(world, appId, hashes);
  return { way: "Safe 2 of 3", transactions: 1, gas: receipt.gasUsed, wallMs };
}

/** An app with this many hashes on its list. The way in which they were added does not change the cost of a removal. */
async function createApp(world: World, owner: Address, count: number) {
  const { ownerClient: client, contracts } = world;
  const transactionHash = await deployApp(client, { kms: contracts.kms, owner });
  const functionName = "deployAndRegisterApp";
  const appId = deployedApp(await waitForReceipt(client, { transactionHash, functionName }), contracts);
  const hashes = Array.from({ length: count }, (_, index) =>
    parseComposeHash(keccak256(numberToHex(index + 1, { size: 32 }))),
  );
  for (const hash of hashes) {
    await world.chain.client.setStorageAt({ address: appId, index: cellOf(hash), value: numberToHex(1, { size: 32 }) });
  }
  return { appId, hashes };
}

/** contracts/layout/DstackApp.json: the mapping is in slot 0. */
function cellOf(hash: ComposeHash): Hex {
  return keccak256(encodeAbiParameters([{ type: "bytes32" }, { type: "uint256" }], [hash, 0n]));
}

async function requireGone(world: World, appId: AppId, hashes: readonly ComposeHash[]): Promise<void> {
  for (const composeHash of hashes) {
    const { composeHashAllowed } = await readAllowlist(world.ownerClient, { appId, composeHash });
    if (composeHashAllowed !== false) throw new Error(`${composeHash} is still allowed.`);
  }
}

function describe(count: number, { way, transactions, gas, wallMs }: Measured, processes: Measured) {
  return {
    hashes: count,
    way,
    transactions,
    gas: Number(gas),
    "gas / hash": Math.round(Number(gas) / count),
    "gas : floor": (Number(gas) / leastGas(count)).toFixed(2),
    "wall ms": Math.round(wallMs),
    "wall : forge": (wallMs / processes.wallMs).toFixed(4),
  };
}
