import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { createHardhatRuntimeEnvironment } from "hardhat/hre";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { concat } from "viem";
import { getTransactionCount } from "viem/actions";
import { sendBatch } from "../../../../src/batch/index.ts";
import { getComposeFile } from "../../../../src/cloud/get-compose-file.ts";
import { batchExecutorAddress } from "../../../../src/core/batch-executor.ts";
import { type AppId, parseComposeHash, parseDeviceId } from "../../../../src/core/ids.ts";
import { addComposeHashCall, addDeviceCall } from "../../../../src/core/owner-calls.ts";
import type { Price } from "../../../../src/core/price.ts";
import dstack from "../../../../src/hardhat/index.ts";
import { devAccount, devPrivateKey } from "../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { runTask, type TaskRun } from "../../../support/hardhat/run-task.ts";

/** As `--json` writes it. */
type JsonPrice = { readonly [Field in keyof Price]: string };
interface Planned {
  readonly outcome?: string;
  readonly price: { readonly transactions: number; readonly expected: JsonPrice; readonly most: JsonPrice };
  readonly costWei?: string;
}

const hashes = ["a1", "a2", "a3"].map((byte) => parseComposeHash(byte.repeat(32)));
const listed = ["b1", "b2"].map((byte) => parseComposeHash(byte.repeat(32)));
const device = parseDeviceId("d1".repeat(32));
const listedDevice = parseDeviceId("d2".repeat(32));
const overridden = "in-use,running-hashes,prepare-tokens";

describe("a dry run", () => {
  let world: World;
  let directory: string;
  let hre: HardhatRuntimeEnvironment;
  let keyless: HardhatRuntimeEnvironment;
  let appId: AppId;
  let untouched: string;

  before(async () => {
    world = await startWorld({ cloud: { rolloverMs: 0 } });
    if (world.cvms.onChain?.appId === undefined) throw new Error("the world has an app");
    appId = world.cvms.onChain.appId;
    directory = await mkdtemp(join(tmpdir(), "dstack-dry-run-"));
    await writeFile(join(directory, "package.json"), "{}");
    await writeFile(join(directory, "new.yml"), "services:\n  web:\n    image: nginx:1.29\n");
    await sendBatch(world.ownerClient, {
      mode: "none",
      calls: [
        ...listed.map((composeHash) => addComposeHashCall({ appId, composeHash })),
        addDeviceCall({ appId, deviceId: listedDevice }),
      ],
    });
    hre = await project(devPrivateKey(0));
    keyless = await project("");
    untouched = await world.snapshot();
  });

  beforeEach(() => world.restore(untouched));

  after(async () => {
    await world?.close();
    if (directory) await rm(directory, { recursive: true, force: true });
  });

  function project(ownerKey: string): Promise<HardhatRuntimeEnvironment> {
    const { chain, cloud, apiKey, contracts } = world;
    return createHardhatRuntimeEnvironment(
      {
        plugins: [dstack],
        networks: { world: { type: "http", chainType: "op", chainId: chain.id, url: chain.rpcUrl, accounts: [] } },
        dstack: { ownerKey, cloud: { baseUrl: cloud.baseUrl, apiKey }, kms: contracts.kms },
      },
      { network: "world" },
      directory,
    );
  }

  /** Runs a task that may change nothing: no block, no transaction in the pool, no file, nothing at the cloud. */
  async function dryRun(task: string, args: object, as = hre): Promise<TaskRun> {
    const before = await stateOf();
    const run = await runTask(as, task.split(" "), { ...args, dryRun: true });
    expect(run.exitCode, run.stderr + run.stdout).to.equal(0);
    expect(await stateOf(), "something was changed").to.deep.equal(before);
    expect(run.stdout + run.stderr).not.to.match(/HTTP \d+ +(?:PATCH|POST|PUT|DELETE)/);
    return run;
  }

  async function stateOf(): Promise<object> {
    const { address } = world.owner;
    const nonce = await getTransactionCount(world.ownerClient, { address, blockTag: "pending" });
    return { block: await world.chain.client.getBlockNumber({ cacheTime: 0 }), nonce, files: await readdir(directory) };
  }

  function balance(): Promise<bigint> {
    return world.chain.client.getBalance({ address: world.owner.address });
  }

  const app = () => ({ app: appId });
  const cases: readonly (readonly [task: string, args: () => object, transactions: number, how?: string])[] = [
    ["hash add", () => ({ ...app(), hashes: hashes.slice(0, 1) }), 1],
    ["hash add", () => ({ ...app(), hashes, batch: "7702" }), 1, ", through a delegation,"],
    ["hash add", () => ({ ...app(), hashes, batch: "none" }), 3, ", one by one,"],
    ["hash remove", () => ({ ...app(), hashes: listed, accept: overridden }), 2],
    ["prune", () => ({ ...app(), keep: "0", store: ":memory:", accept: "other-machines" }), 2],
    ["device add", () => ({ ...app(), devices: [device] }), 1],
    ["device remove", () => ({ ...app(), devices: [listedDevice], accept: "in-use,running-devices" }), 1],
    ["device allow-any", () => ({ ...app(), state: "on", accept: "in-use,running-devices" }), 1],
    ["owner transfer", () => ({ ...app(), address: devAccount(2).address }), 1],
    ["kms add-os-image", () => ({ kms: world.contracts.kms, value: `0x${"e1".repeat(32)}` }), 1],
    ["app deploy", () => ({ kms: world.contracts.kms, hash: hashes[0], device }), 1],
    ["update", () => ({ cvm: "onchain-app", compose: join(directory, "new.yml") }), 1],
  ];

  for (const [task, args, transactions, how = ""] of cases) {
    it(`of dstack ${task}${how} prints the price that is paid afterwards, and changes nothing`, async () => {
      const { outcome, price, costWei } = (await dryRun(task, { ...args(), json: true })).json<Planned>();
      expect([outcome, costWei]).to.deep.equal(["planned", undefined]);
      expect(price.transactions).to.equal(transactions);
      for (const { executionFee, l1Fee, operatorFee, total, gas, feePerGas } of [price.expected, price.most]) {
        expect(BigInt(executionFee) + BigInt(l1Fee) + BigInt(operatorFee)).to.equal(BigInt(total));
        expect(BigInt(gas) * BigInt(feePerGas)).to.equal(BigInt(executionFee));
        expect(BigInt(l1Fee) > 0n && BigInt(operatorFee) > 0n).to.equal(true);
      }
      const before = await balance();
      const yes = task === "update" ? {} : { yes: true };
      const run = await runTask(hre, task.split(" "), { ...args(), ...yes, json: true });
      expect(run.exitCode, run.stderr + run.stdout).to.equal(0);
      const paid = before - (await balance());
      expect(paid <= BigInt(price.most.total), `${paid} wei of ${price.most.total}`).to.equal(true);
      // The base fee falls from block to block.
      expect(Number(paid) / Number(price.expected.total)).to.be.within(0.75, 1.02);
      expect(sentFor(run), "the cost that the task tells").to.equal(paid);
      expect(run.json<Planned>().price, "the price that the task tells").to.deep.equal(price);
      await rm(join(directory, ".dstack"), { recursive: true, force: true });
    });
  }

  /** What a task says that its transactions cost. */
  function sentFor(run: TaskRun): bigint {
    const { costWei, transactions } = run.json<{
      readonly costWei?: string;
      readonly transactions?: readonly { readonly costWei: string }[];
    }>();
    if (costWei !== undefined) return BigInt(costWei);
    return (transactions ?? []).reduce((sum, transaction) => sum + BigInt(transaction.costWei), 0n);
  }

  it("of dstack batch undo-delegation", async () => {
    const { address } = world.owner;
    await world.chain.client.setCode({ address, bytecode: concat(["0xef0100", batchExecutorAddress]) });
    const { outcome, price } = (await dryRun("batch undo-delegation", { json: true })).json<Planned>();
    expect(outcome).to.equal("planned");
    const before = await balance();
    const run = await runTask(hre, ["batch", "undo-delegation"], { yes: true, json: true });
    const { transaction } = run.json<{ readonly transaction: { readonly costWei: string } }>();
    expect(BigInt(transaction.costWei)).to.equal(before - (await balance()));
    expect(Number(transaction.costWei) / Number(price.expected.total)).to.be.within(0.75, 1.02);
    await rm(join(directory, ".dstack"), { recursive: true, force: true });
  });

  it("needs no key, and then prints what the owner would pay", async () => {
    for (const [task, args] of cases) {
      const owner = task === "app deploy" ? { owner: world.owner.address } : {};
      const wanted = { ...args(), ...owner, json: true };
      const { price } = (await dryRun(task, wanted, keyless)).json<Planned>();
      expect(BigInt(price.expected.total) > 0n, task).to.equal(true);
    }
  });

  it("refuses what the task itself would refuse", async () => {
    const stranger = await project(devPrivateKey(5));
    for (const [task, args] of [
      ["hash add", { hashes: hashes.slice(0, 1) }],
      ["update", { cvm: "onchain-app", compose: join(directory, "new.yml") }],
    ] as const) {
      const run = await runTask(stranger, task.split(" "), { ...app(), ...args, dryRun: true, json: true });
      expect(run.json<{ error: { name: string } }>().error.name, task).to.equal("NotOwnerError");
    }
  });

  it("prints the price in columns, in ETH", async () => {
    const { stdout } = await dryRun("hash add", { ...app(), hashes: hashes.slice(0, 1) });
    const [, ...rows] = stdout.slice(stdout.indexOf("price  ")).split("\n");
    expect(rows.slice(0, 6).map((row) => row.replace(/\b\d[\d,.]*/g, "N").replace(/ {2,}/g, " | "))).to.deep.equal([
      "gas | N | N",
      "fee per gas | N gwei | N gwei",
      "execution | N ETH | N ETH",
      "L1 data fee | N gwei | N gwei",
      "operator fee | N gwei | N gwei",
      "total | N ETH | N ETH",
    ]);
    expect(stdout).to.include("nothing was signed or sent");
  });

  it("of an update that changes nothing has nothing to pay", async () => {
    const { docker_compose_file: text } = await getComposeFile(world.cloudClient, { cvm: "onchain-app" });
    const compose = join(directory, "same.yml");
    await writeFile(compose, String(text));
    const unchanged = (await dryRun("update", { cvm: "onchain-app", compose, json: true })).json<Planned>();
    expect(unchanged).to.include({ outcome: "unchanged", price: null });
  });
});
