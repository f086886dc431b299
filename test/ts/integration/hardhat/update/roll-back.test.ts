import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { readAllowlist } from "../../../../../src/chain/read-app.ts";
import { removeComposeHash } from "../../../../../src/chain/remove-compose-hash.ts";
import { waitForReceipt } from "../../../../../src/chain/transactions/receipt.ts";
import { getAppRevision } from "../../../../../src/cloud/get-app-revision.ts";
import { getAppRevisions } from "../../../../../src/cloud/get-app-revisions.ts";
import { getComposeFile } from "../../../../../src/cloud/get-compose-file.ts";
import { getCvm } from "../../../../../src/cloud/get-cvm.ts";
import { hashAppComposeText } from "../../../../../src/core/compose-hash.ts";
import { type AppId, type ComposeHash, withoutPrefix } from "../../../../../src/core/ids.ts";
import { loadPlan } from "../../../../../src/plans/plan-file.ts";
import type { UpdateResult } from "../../../../../src/update/run.ts";
import { startWorld, type World } from "../../../../../src/world/start-world.ts";
import { projectOf, runTask, type TaskRun } from "../../../../support/hardhat/run-task.ts";
import { type Lie, type LyingCloud, startLyingCloud } from "../../../../support/hostile/lying-cloud.ts";

const compose = (tag: string) => `services:\n  web:\n    image: nginx:${tag}\n    environment: [TOKEN, MODE]\n`;
const list = /^\/apps\/[^/]+\/revisions$/;
const detail = /^\/apps\/[^/]+\/revisions\/[^/]+$/;
const tokens = [{ key: "TOKEN", value: "first" }];

interface RolledBack extends UpdateResult {
  readonly rollback: { readonly id: string; readonly status: string; readonly removed: { by: string } | null };
}

describe("dstack update --revision", () => {
  let world: World;
  let hre: HardhatRuntimeEnvironment;
  let directory: string;
  let snapshot: string;
  let appId: AppId;
  /** Of the CVM's creation, of nginx 1.28 with TOKEN, and of nginx 1.29 with a script, TOKEN and MODE. */
  let hashes: readonly [ComposeHash, ComposeHash, ComposeHash];
  let cloud: LyingCloud | undefined;
  let runs = 0;

  before(async () => {
    world = await startWorld({ cloud: { rolloverMs: 0 } });
    hre = await projectOf(world, { kms: world.contracts.kms });
    directory = await mkdtemp(join(tmpdir(), "dstack-roll-back-"));
    for (const tag of ["1.28", "1.29"]) await writeFile(path(`${tag}.yml`), compose(tag));
    await writeFile(path("init.sh"), "#!/bin/sh\necho hello\n");
    const created = await getCvm(world.cloudClient, { cvm: "onchain-app" });
    if (created.appId === undefined || created.composeHash === undefined) throw new Error("The CVM has no app.");
    appId = created.appId;
    const one = await update({ compose: path("1.28.yml"), env: "TOKEN=first" });
    const two = await update({ compose: path("1.29.yml"), preLaunchScript: path("init.sh"), env: "TOKEN=2,MODE=b" });
    hashes = [created.composeHash, one, two];
  });
  beforeEach(async () => {
    snapshot = await world.snapshot();
    runs++;
  });
  afterEach(async () => {
    await cloud?.close();
    cloud = undefined;
    await world.restore(snapshot);
  });
  after(async () => {
    await world?.close();
    if (directory) await rm(directory, { recursive: true, force: true });
  });

  const path = (name: string) => join(directory, name);
  const run = (args: Record<string, unknown>, project = hre): Promise<TaskRun> =>
    runTask(project, ["update"], {
      ...{ cvm: "onchain-app", app: appId, json: true, wait: true },
      ledger: path(`ledger-${runs}.sqlite`),
      ...args,
    });
  async function update(args: Record<string, unknown>): Promise<ComposeHash> {
    const done = await run(args);
    const { composeHash } = done.json<UpdateResult>();
    if (done.exitCode !== 0 || composeHash === undefined) throw new Error(done.stdout);
    return composeHash;
  }
  const errorOf = (outcome: TaskRun) =>
    outcome.json<{ error: { name: string; context: { objections?: { acceptAs: string }[] } } }>().error;
  const namesOf = (outcome: TaskRun) => errorOf(outcome).context.objections?.map(({ acceptAs }) => acceptAs);
  const head = () => world.chain.client.getBlockNumber({ cacheTime: 0 });
  const running = async () => (await getCvm(world.cloudClient, { cvm: "onchain-app" })).composeHash;
  const environment = () => world.cloud.readEnvironment(world.cvms.onChain?.id ?? "");
  const isAllowed = async (composeHash: ComposeHash) =>
    (await readAllowlist(world.ownerClient, { appId, composeHash })).composeHashAllowed;
  async function remove(composeHash: ComposeHash) {
    const transactionHash = await removeComposeHash(world.ownerClient, { appId, composeHash });
    await waitForReceipt(world.ownerClient, { transactionHash, functionName: "removeComposeHash" });
  }
  async function lie(...lies: Lie[]): Promise<HardhatRuntimeEnvironment> {
    cloud = await startLyingCloud(world.cloud.baseUrl, lies);
    return projectOf(world, { kms: world.contracts.kms, cloud: { baseUrl: cloud.baseUrl, apiKey: world.apiKey } });
  }

  it("goes back to the previous revision: its document comes back, script and names included", async () => {
    const [, earlier] = hashes;
    const back = await run({ revision: "previous" });
    expect(back.exitCode, back.stdout).to.equal(0);
    const result = back.json<RolledBack>();
    expect(result).to.include({ outcome: "updated", composeHash: earlier, documentProof: "requested-hash" });
    expect(result.rollback).to.include({ status: "allowed", removed: null, composeHash: earlier });
    expect(await running()).to.equal(earlier);
    const document = await getComposeFile(world.cloudClient, { cvm: "onchain-app" });
    expect(document).to.deep.include({ docker_compose_file: compose("1.28"), allowed_envs: ["TOKEN"] });
    expect(document.pre_launch_script).not.to.include("echo hello");
    expect(environment(), "stays, without the name that the revision does not allow").to.deep.equal([
      { key: "TOKEN", value: "2" },
    ]);
  });

  it("takes the id, the number and the hash of a revision, and shows what it goes back to before it asks the cloud", async () => {
    const { revisions } = await getAppRevisions(world.cloudClient, { appId });
    const { id = "", createdAt } = revisions.find(({ composeHash }) => composeHash === hashes[1]) ?? {};
    const block = await head();
    for (const revision of [id, id.replace("rev_", ""), hashes[1], withoutPrefix(hashes[1])]) {
      const planned = await run({ revision, dryRun: true });
      expect(planned.json<RolledBack>().rollback, revision).to.include({ id, createdAt });
      expect(planned.json(), "the app allows the hash already").to.deep.include({ planned: [], price: null });
    }
    const { stdout } = await run({ revision: id, dryRun: true, json: false });
    for (const words of [
      `to revision ${id}`,
      `hash         ${hashes[1]}`,
      "allows this hash now",
      "stays as it is now",
      "To send: nothing, unless the cloud asks for it.",
    ])
      expect(stdout).to.include(words);
    expect(stdout).to.include("-     image: nginx:1.29").and.include("+     image: nginx:1.28");
    expect(stdout).to.include("the guest will ignore: MODE");
    const [shown = ""] = /Rollback of.*(?=Changes of)/s.exec(stdout) ?? [];
    expect(shown.split("\n").filter((line) => line.length > 80 && !line.includes("0x"))).to.deep.equal([]);
    expect([await head(), await running()]).to.deep.equal([block, hashes[2]]);
  });

  it("takes a new environment, with the names of the revision only", async () => {
    const refused = await run({ revision: "previous", env: "TOKEN=third,OTHER=x" });
    expect(errorOf(refused)).to.include({ name: "InvalidEnvironmentError" });
    expect(refused.stdout).to.include("Set only what it allows: TOKEN.");
    const back = await run({ revision: "previous", env: "TOKEN=first" });
    expect(back.exitCode, back.stdout).to.equal(0);
    expect(environment()).to.deep.equal(tokens);
    expect(await running()).to.equal(hashes[1]);
  });

  it("warns of names that the present environment lacks", async () => {
    await run({ revision: "previous", env: "TOKEN=first" });
    runs++;
    const { stdout } = await run({ revision: hashes[2], dryRun: true, json: false });
    expect(stdout).to.include("Probably not set now, give them with --env-file or -e: MODE");
  });

  it("says that the owner has removed the hash, when and who, and allows it again only if that is accepted", async () => {
    await remove(hashes[1]);
    const block = await head();
    const refused = await run({ revision: "previous" });
    expect([refused.exitCode, namesOf(refused)]).to.deep.equal([5, ["removed-revision"]]);
    expect(refused.stdout).to.include(`by ${world.owner.address}`).and.include("--accept removed-revision");
    expect([await head(), await running()]).to.deep.equal([block, hashes[2]]);
    const back = await run({ revision: "previous", accept: "removed-revision" });
    expect(back.exitCode, back.stdout).to.equal(0);
    const { rollback, transactions } = back.json<RolledBack>();
    expect(rollback.status).to.equal("removed");
    expect(rollback.removed).to.include({ by: world.owner.address });
    expect(transactions).to.have.length(1);
    expect([await running(), await isAllowed(hashes[1])]).to.deep.equal([hashes[1], true]);
  });

  it("says why this project has revoked the hash", async () => {
    const ledger = path(`ledger-${runs}.sqlite`);
    const args = { hashes: [hashes[1]], app: appId, note: "CVE-2026-1234", json: true, yes: true, ledger };
    expect((await runTask(hre, ["hash", "revoke"], args)).exitCode).to.equal(0);
    const refused = await run({ revision: hashes[1] });
    expect(namesOf(refused)).to.deep.equal(["removed-revision"]);
    expect(refused.stdout).to.include("according to this project's ledger: CVE-2026-1234");
    const add = { hashes: [hashes[1]], app: appId, json: true, yes: true, ledger, accept: "revoked-hash" };
    expect((await runTask(hre, ["hash", "add"], add)).exitCode).to.equal(0);
    expect(namesOf(await run({ revision: hashes[1], dryRun: true }))).to.deep.equal(["removed-revision"]);
    const planned = await run({ revision: hashes[1], dryRun: true, accept: "removed-revision" });
    expect(planned.json<RolledBack>().rollback).to.deep.include({ status: "allowed", removed: null });
    expect(planned.stderr).to.match(/REVOKED .* UTC, according to this project's ledger: CVE-2026-1234/);
  });

  it("needs no proof of a running document whose hash was revoked", async () => {
    await remove(hashes[2]);
    const back = await run({ revision: "previous" });
    expect(back.exitCode, back.stdout).to.equal(0);
    expect([await running(), await isAllowed(hashes[2])]).to.deep.equal([hashes[1], false]);
  });

  it("prepares the rollback for other owners: they allow a hash again, or sign nothing", async () => {
    const plan = path("plan.json");
    const commit = () => run({ commit: true, plan, cvm: undefined, app: undefined });
    const block = await head();
    const free = await run({ revision: "previous", prepare: true, plan, wait: undefined });
    expect(free.exitCode, free.stdout).to.equal(0);
    expect((await loadPlan(plan)).changes).to.deep.equal([]);
    const committed = await commit();
    expect(committed.exitCode, committed.stdout).to.equal(0);
    expect([await running(), await head()]).to.deep.equal([hashes[1], block]);

    runs++;
    await remove(hashes[2]);
    const args = { revision: hashes[2], prepare: true, plan, wait: undefined };
    expect(namesOf(await run(args))).to.deep.equal(["removed-revision"]);
    const prepared = await run({ ...args, accept: "removed-revision" });
    expect(prepared.exitCode, prepared.stdout).to.equal(0);
    expect(await running()).to.equal(hashes[1]);
    const applied = await runTask(hre, ["plan", "apply"], { file: plan, json: true, yes: true });
    expect(applied.exitCode, applied.stdout).to.equal(0);
    expect((await commit()).exitCode).to.equal(0);
    expect(await running()).to.equal(hashes[2]);
  });

  it("does nothing for the revision that the CVM runs", async () => {
    const block = await head();
    const { outcome } = (await run({ revision: hashes[2] })).json<UpdateResult>();
    expect([outcome, await head()]).to.deep.equal(["unchanged", block]);
  });

  it("refuses a document of the cloud's choice, which has the hash that the cloud lists for it", async () => {
    const { revisions } = await getAppRevisions(world.cloudClient, { appId });
    const revisionId = revisions.find(({ composeHash }) => composeHash === hashes[1])?.id ?? "";
    const { documentText = "" } = await getAppRevision(world.cloudClient, { appId, revisionId });
    const text = documentText.replace("nginx:1.28", "nginx:evil");
    const evil = { hash: withoutPrefix(hashAppComposeText(text)), text };
    const project = await lie(
      {
        path: list,
        tell: (body) => {
          for (const one of body.revisions) if (`0x${one.compose_hash}` === hashes[1]) one.compose_hash = evil.hash;
          return body;
        },
      },
      { path: detail, tell: (body) => ({ ...body, compose_hash: evil.hash, compose_file: evil.text }) },
    );
    const block = await head();
    const refused = await run({ revision: "previous" }, project);
    expect([refused.exitCode, namesOf(refused)]).to.deep.equal([5, ["unproven-revision"]]);
    expect([await head(), await running()]).to.deep.equal([block, hashes[2]]);
    expect(cloud?.told).to.deep.equal([1, 1]);
  });

  it("refuses a document that has another hash than the list says", async () => {
    const project = await lie({
      path: detail,
      tell: (body) => ({ ...body, compose_file: body.compose_file.replace("nginx:1.28", "nginx:evil") }),
    });
    const refused = await run({ revision: "previous" }, project);
    expect(errorOf(refused)).to.include({ name: "CloudProtocolError" });
    expect(refused.exitCode).to.equal(4);
    expect(await running()).to.equal(hashes[2]);
  });

  it("rolls back a CVM whose KMS keeps its policy off chain", async () => {
    const networks = { world: { type: "http", url: "http://127.0.0.1:9" } } as const;
    const project = await projectOf(world, { ownerKey: "" }, { networks }, {});
    const cvm = { cvm: "offchain-app", app: undefined };
    const { composeHash: first } = await getCvm(world.cloudClient, { cvm: "offchain-app" });
    expect((await run({ ...cvm, compose: path("1.28.yml") }, project)).exitCode).to.equal(0);
    runs++;
    const back = await run({ ...cvm, revision: "previous" }, project);
    expect(back.exitCode, back.stdout).to.equal(0);
    expect(back.json<RolledBack>().rollback.status).to.equal("offChain");
    expect((await getCvm(world.cloudClient, { cvm: "offchain-app" })).composeHash).to.equal(first);
  });

  for (const [what, args, words] of [
    ["a compose file", { compose: "1.28.yml", revision: "previous" }, "--compose contradicts it"],
    ["a pre-launch script", { preLaunchScript: "init.sh", revision: "previous" }, "--pre-launch-script contradicts it"],
    ["an unknown revision, and names the newest", { revision: "rev_999" }, "The newest are: rev_"],
  ] as const)
    it(`refuses ${what}`, async () => {
      const files = Object.fromEntries(
        Object.entries(args).map(([name, value]) => [name, name === "revision" ? value : path(value)]),
      );
      const refused = await run(files);
      expect(errorOf(refused)).to.include({ name: "InvalidArgumentError" });
      expect(refused.stdout).to.include(words);
    });
});
