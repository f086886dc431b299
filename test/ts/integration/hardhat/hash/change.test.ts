import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { Address, Hex } from "viem";
import { readAllowlist } from "../../../../../src/chain/read-app.ts";
import { getCvm } from "../../../../../src/cloud/get-cvm.ts";
import { patchCvm } from "../../../../../src/cloud/patch-cvm.ts";
import { type AppId, type ComposeHash, parseComposeHash } from "../../../../../src/core/ids.ts";
import { devPrivateKey } from "../../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../../src/world/start-world.ts";
import { executeSafe } from "../../../../support/chain/deploy-owner-contracts.ts";
import { projectOf, runTask, type TaskRun } from "../../../../support/hardhat/run-task.ts";
import { forgetEnd } from "../../../../support/ledger/forget-end.ts";
import { giveToSafe } from "../../../../support/prune/prune-world.ts";

const first = parseComposeHash("a1".repeat(32));
const second = parseComposeHash("a2".repeat(32));

describe("dstack hash add and remove", () => {
  let world: World;
  let hre: HardhatRuntimeEnvironment;
  let appId: AppId;
  let inForce: ComposeHash;
  let snapshot: string;

  before(async () => {
    world = await startWorld({ cloud: { rolloverMs: 0 } });
    hre = await projectOf(world);
    const cvm = await getCvm(world.cloudClient, { cvm: "onchain-app" });
    if (cvm.appId === undefined || cvm.composeHash === undefined) throw new Error("The world's CVM has no app.");
    appId = cvm.appId;
    inForce = cvm.composeHash;
  });
  beforeEach(async () => {
    snapshot = await world.snapshot();
  });
  afterEach(() => world.restore(snapshot));
  after(() => world?.close());

  const run = (verb: string, args: Record<string, unknown> = {}, project = hre): Promise<TaskRun> =>
    runTask(project, ["hash", verb], { cvm: "onchain-app", json: true, yes: true, ...args });
  const isAllowed = async (composeHash: ComposeHash) =>
    (await readAllowlist(world.ownerClient, { appId, composeHash })).composeHashAllowed;
  const errorOf = (outcome: TaskRun) => outcome.json<{ error: { name: string; context: unknown } }>().error;
  const namesOf = (outcome: TaskRun) =>
    (errorOf(outcome).context as { objections: { acceptAs: string }[] }).objections.map(({ acceptAs }) => acceptAs);
  const head = () => world.chain.client.getBlockNumber({ cacheTime: 0 });

  it("adds a hash and removes it again, and changes no other", async () => {
    const added = await run("add", { hashes: [first] });
    expect(added.exitCode, added.stdout).to.equal(0);
    expect(added.json()).to.include({ appId, chainId: 8453, mode: "none" });
    expect(await isAllowed(first)).to.equal(true);
    const removed = await run("remove", { hashes: [first] });
    expect(removed.exitCode, removed.stdout).to.equal(0);
    expect([await isAllowed(first), await isAllowed(inForce)]).to.deep.equal([false, true]);
  });

  it("replaces a hash in one transaction", async () => {
    await run("add", { hashes: [first] });
    const { json, exitCode } = await run("add", { hashes: [second], remove: first, batch: "7702" });
    expect(exitCode).to.equal(0);
    const { calls } = json<{ calls: { description: string; transactionHash: string }[] }>();
    expect(new Set(calls.map(({ transactionHash }) => transactionHash)).size).to.equal(1);
    expect(calls.map(({ description }) => description)).to.deep.equal([
      `allow compose hash ${second}`,
      `remove compose hash ${first}`,
    ]);
    expect([await isAllowed(first), await isAllowed(second)]).to.deep.equal([false, true]);
  });

  it("refuses to add an allowed hash or remove an absent one, unless that is accepted by name", async () => {
    const block = await head();
    expect(errorOf(await run("add", { hashes: [inForce] }))).to.include({ name: "NoEffectError" });
    expect(errorOf(await run("remove", { hashes: [first] }))).to.include({ name: "NoEffectError" });
    expect(errorOf(await run("add", { hashes: [second], remove: first }))).to.include({ name: "NoEffectError" });
    expect(await head()).to.equal(block);
    expect((await run("add", { hashes: [inForce], accept: "no-effect" })).exitCode).to.equal(0);
    expect(await head()).to.equal(block + 1n);
  });

  it("completes a pending transaction of an earlier run, and does not refuse it as without effect", async () => {
    expect((await run("add", { hashes: [first] })).exitCode).to.equal(0);
    forgetEnd(join(hre.config.paths.root, ".dstack", "ledger.sqlite"));
    const block = await head();
    const again = await run("add", { hashes: [first] });
    expect(again.exitCode, again.stdout).to.equal(0);
    expect(again.json<{ calls: { status: string }[] }>().calls.map(({ status }) => status)).to.deep.equal(["done"]);
    expect([await head(), await isAllowed(first)]).to.deep.equal([block, true]);
    expect(errorOf(await run("add", { hashes: [first] }))).to.include({ name: "NoEffectError" });
  });

  it("refuses to remove the hash that a CVM runs, unless that is accepted by name", async () => {
    for (const refused of [
      await run("remove", { hashes: [inForce] }),
      await run("add", { hashes: [first], remove: inForce }),
      await run("remove", { hashes: [inForce], accept: "pinned,running-hashes,prepare-tokens,no-effect" }),
    ]) {
      expect(errorOf(refused)).to.include({ name: "HashNeededError" });
      expect(namesOf(refused)).to.deep.equal(["in-use"]);
      expect(refused.exitCode).to.equal(2);
    }
    expect(await isAllowed(inForce)).to.equal(true);
    expect((await run("remove", { hashes: [inForce], accept: "in-use" })).exitCode).to.equal(0);
    expect(await isAllowed(inForce)).to.equal(false);
  });

  it("refuses to remove the hash that a prepared update waits for", async () => {
    const answer = await patchCvm(world.cloudClient, {
      cvm: "onchain-app",
      dockerCompose: "services:\n  web:\n    image: nginx:1.29\n",
    });
    if (answer.kind !== "registrationRequired") throw new Error("The update needed no registration.");
    const { composeHash } = answer;
    await run("add", { hashes: [composeHash] });
    const refused = await run("remove", { hashes: [composeHash] });
    expect(namesOf(refused)).to.deep.equal(["in-use"]);
    expect(await isAllowed(composeHash)).to.equal(true);
  });

  it("keeps a hash that the configuration pins", async () => {
    const project = await projectOf(world, { apps: { shop: { address: appId, pins: [first] } } });
    await run("add", { hashes: [first] }, project);
    const refused = await run("remove", { hashes: [first], cvm: undefined, app: "shop" }, project);
    expect(namesOf(refused)).to.deep.equal(["pinned"]);
    expect((await run("remove", { hashes: [first], accept: "pinned" }, project)).exitCode).to.equal(0);
  });

  it("removes nothing with unknown facts, unless each is accepted by name", async () => {
    const keyless = await projectOf(world, { cloud: { baseUrl: world.cloud.baseUrl, apiKey: "" } });
    const app = { cvm: undefined, app: appId };
    expect((await run("add", { hashes: [first], ...app }, keyless)).exitCode).to.equal(0);
    expect(namesOf(await run("remove", { hashes: [first], ...app }, keyless))).to.deep.equal([
      "running-hashes",
      "prepare-tokens",
    ]);
    const half = await run("remove", { hashes: [first], ...app, accept: "running-hashes" }, keyless);
    expect(namesOf(half)).to.deep.equal(["prepare-tokens"]);
    expect(await isAllowed(first)).to.equal(true);
    const accept = "running-hashes,prepare-tokens";
    expect((await run("remove", { hashes: [first], ...app, accept }, keyless)).exitCode).to.equal(0);
  });

  it("refuses a stranger before anything is sent", async () => {
    const stranger = await projectOf(world, { ownerKey: devPrivateKey(5) });
    const block = await head();
    const refused = await run("add", { hashes: [first] }, stranger);
    expect(errorOf(refused)).to.include({ name: "NotOwnerError" });
    expect(refused.exitCode).to.equal(3);
    expect(await head()).to.equal(block);
  });

  it("prepares one transaction with both changes for the Safe that owns the app", async () => {
    const directory = await mkdtemp(join(tmpdir(), "dstack-safe-"));
    try {
      await run("add", { hashes: [first] });
      const safe = await giveToSafe({ ...world, appId, cvm: "onchain-app", firstHash: inForce });
      const block = await head();
      const args = { hashes: [second], remove: first };
      const refused = await run("add", { ...args, batch: "none" });
      expect(errorOf(refused)).to.include({ name: "ContractOwnerError" });
      expect(refused.exitCode).to.equal(3);
      const other = join(directory, "package.json");
      await writeFile(other, '{"name":"shop"}');
      const spared = await run("add", { ...args, batch: `safe:${other}` });
      expect(errorOf(spared)).to.include({ name: "InvalidArgumentError" });
      expect(await readFile(other, "utf8")).to.equal('{"name":"shop"}');
      const batch = `safe:${join(directory, "batch.json")}`;
      const prepared = await run("add", { ...args, batch });
      expect(prepared.exitCode, prepared.stdout).to.equal(0);
      expect((await run("add", { ...args, batch })).exitCode, "an earlier batch is written over").to.equal(0);
      expect(await readdir(directory)).to.have.members(["package.json", "batch.json"]);
      expect(await head()).to.equal(block);
      const { safeTx } = prepared.json<{ safeTx: { to: Address; data: Hex; operation: number } }>();
      await executeSafe(world.ownerClient, world.owner, { safe, ...safeTx });
      expect([await isAllowed(first), await isAllowed(second)]).to.deep.equal([false, true]);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });

  it("prints what it does, and that a removal stops no running CVM", async () => {
    const added = await run("add", { hashes: [first], json: false });
    expect(added.stdout).to.not.include("continues until it restarts");
    const replaced = await run("add", { hashes: [second], remove: first, json: false });
    expect(replaced.stdout).to.include("continues until it restarts");
    expect(replaced.stdout).to.match(
      /^Allowed 1 compose hash, removed 1 compose hash in (?:1 transaction|2 transactions) \([\d,]+ gas, [\d.]+ (?:gwei|ETH)\):\n {2}allowed {2}0x[0-9a-f]{64}\n {2}removed {2}0x[0-9a-f]{64}$/m,
    );
    const { stdout } = await run("remove", { hashes: [second], json: false });
    for (const words of ["continues until it restarts", "keeps the keys", `remove compose hash ${second}`, "gas"])
      expect(stdout).to.include(words);
  });

  for (const batch of ["none", "7702"])
    it(`names the contract's reason for refusing zero, with every --accept (--batch ${batch})`, async () => {
      const block = await head();
      const hashes = [first, `0x${"00".repeat(32)}`];
      const refused = await run("add", { hashes, accept: "zero-value", batch });
      expect(errorOf(refused), refused.stdout).to.include({ name: "ContractRevertedError" });
      expect(errorOf(refused)).to.have.nested.property("context.reason", "invalid compose hash");
      expect([await head(), await isAllowed(first)]).to.deep.equal([block, false]);
    });

  for (const [what, verb, args, name] of [
    ["no hash", "add", { hashes: [] }, "InvalidArgumentError"],
    ["a short hash", "remove", { hashes: ["0x12"] }, "InvalidHexError"],
    ["a hash that is both added and removed", "add", { hashes: [first], remove: first }, "InvalidArgumentError"],
    ["the zero hash", "add", { hashes: [`0x${"00".repeat(32)}`] }, "LintRefusedError"],
    ["an unknown name", "remove", { hashes: [first], accept: "all" }, "InvalidArgumentError"],
    ["an unknown rule", "add", { hashes: [first], accept: "everything" }, "InvalidArgumentError"],
    ["no yes and no terminal", "add", { hashes: [first], yes: false }, "InvalidArgumentError"],
  ] as const)
    it(`refuses ${what}`, async () => {
      const block = await head();
      const refused = await run(verb, args);
      expect(errorOf(refused), refused.stdout).to.include({ name });
      expect(refused.exitCode).to.equal(2);
      expect(await head()).to.equal(block);
    });
});
