import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { readAllowlist } from "../../../../../src/chain/read-app.ts";
import { getCvm } from "../../../../../src/cloud/get-cvm.ts";
import { patchCvm } from "../../../../../src/cloud/patch-cvm.ts";
import { stopCvm } from "../../../../../src/cloud/stop-cvm.ts";
import { type AppId, type ComposeHash, parseComposeHash } from "../../../../../src/core/ids.ts";
import { loadPlan } from "../../../../../src/plans/plan-file.ts";
import { startWorld, type World } from "../../../../../src/world/start-world.ts";
import { executeSafe } from "../../../../support/chain/deploy-owner-contracts.ts";
import { projectOf, runTask, type TaskRun } from "../../../../support/hardhat/run-task.ts";
import { giveToSafe } from "../../../../support/prune/prune-world.ts";

const other = parseComposeHash("a1".repeat(32));
const absent = parseComposeHash("a2".repeat(32));

interface Revoked {
  readonly hashes: readonly { readonly composeHash: ComposeHash; readonly outcome: string }[];
  readonly cvms: readonly { readonly id: string; readonly action: string; readonly status: string }[];
  readonly note: string | null;
  readonly unknowns: readonly { readonly kind: string }[];
}

describe("dstack hash revoke", () => {
  let world: World;
  let hre: HardhatRuntimeEnvironment;
  let appId: AppId;
  let cvmId: string;
  let inForce: ComposeHash;
  let snapshot: string;
  let directory: string;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "dstack-revoke-"));
    world = await startWorld({ cloud: { rolloverMs: 0 } });
    const cvm = await getCvm(world.cloudClient, { cvm: "onchain-app" });
    if (cvm.appId === undefined || cvm.composeHash === undefined) throw new Error("The world's CVM has no app.");
    appId = cvm.appId;
    inForce = cvm.composeHash;
    cvmId = cvm.id;
    hre = await projectOf(world, { apps: { shop: { address: appId, pins: [other] } } });
    await run("add", { hashes: [other] });
  });
  beforeEach(async () => {
    snapshot = await world.snapshot();
  });
  afterEach(() => world.restore(snapshot));
  after(async () => {
    await world?.close();
    if (directory) await rm(directory, { recursive: true, force: true });
  });

  const run = (verb: string, args: Record<string, unknown> = {}, project = hre): Promise<TaskRun> =>
    runTask(project, ["hash", verb], { cvm: "onchain-app", json: true, yes: true, ...args });
  const revoke = (args: Record<string, unknown> = {}, project = hre) =>
    run("revoke", { hashes: [inForce], ...args }, project);
  const isAllowed = async (composeHash: ComposeHash) =>
    (await readAllowlist(world.ownerClient, { appId, composeHash })).composeHashAllowed;
  const readStatus = async () => (await getCvm(world.cloudClient, { cvm: "onchain-app" })).status;
  const namesOf = (outcome: TaskRun) =>
    outcome
      .json<{ error: { context: { objections: { acceptAs: string }[] } } }>()
      .error.context.objections.map(({ acceptAs }) => acceptAs);
  const head = () => world.chain.client.getBlockNumber({ cacheTime: 0 });

  it("refuses without the names of what the removal breaks, and sends nothing", async () => {
    const block = await head();
    const refused = await revoke();
    expect(refused.exitCode).to.equal(2);
    expect(namesOf(refused)).to.deep.equal(["in-use"]);
    const last = await revoke({ hashes: [inForce, other], accept: "in-use" });
    expect(namesOf(last)).to.deep.equal(["last-hash"]);
    expect(await head()).to.equal(block);
    expect(await readStatus()).to.equal("running");
  });

  it("removes the hash that a CVM runs, tells the CVM, and leaves it running without --stop", async () => {
    const revoked = await revoke({ accept: "in-use", note: "CVE-2026-1234\u001b[2J" });
    expect(revoked.exitCode, revoked.stdout).to.equal(6);
    const result = revoked.json<Revoked>();
    expect(result.hashes).to.deep.equal([{ composeHash: inForce, outcome: "removed" }]);
    expect(result.cvms.map(({ id, action }) => ({ id, action }))).to.deep.equal([{ id: cvmId, action: "left" }]);
    expect(result.note).to.equal("CVE-2026-1234 [2J");
    expect([await isAllowed(inForce), await isAllowed(other), await readStatus()]).to.deep.equal([
      false,
      true,
      "running",
    ]);
  });

  it("stops the CVMs with --stop, also in a run that finds the hash removed", async () => {
    const left = await revoke({ accept: "in-use", json: false });
    expect(left.stdout).to.match(/^CVM onchain-app \(cvm_\w+\) \(running\) still runs 0x/m);
    expect(left.stdout)
      .to.include("STILL RUNS this hash")
      .and.include(`dstack update --app ${appId} --cvm ${cvmId} --network world --compose FILE`)
      .and.match(/dstack hash revoke 0x\w{64} --app 0x\w{40} --network world --stop$/m);
    const block = await head();
    const stopped = await revoke({ stop: true });
    expect(stopped.exitCode, stopped.stdout).to.equal(0);
    const result = stopped.json<Revoked>();
    expect(result.hashes).to.deep.equal([{ composeHash: inForce, outcome: "removedBefore" }]);
    expect(result.cvms.map(({ action, status }) => ({ action, status }))).to.deep.equal([
      { action: "stopped", status: "stopped" },
    ]);
    expect([await readStatus(), await head()]).to.deep.equal(["stopped", block]);
  });

  it("removes several hashes at once, and says which was not allowed", async () => {
    const revoked = await revoke({ hashes: [inForce, absent], accept: "in-use", stop: true });
    expect(revoked.exitCode, revoked.stdout).to.equal(0);
    expect(revoked.json<Revoked>().hashes).to.deep.equal([
      { composeHash: inForce, outcome: "removed" },
      { composeHash: absent, outcome: "notAllowed" },
    ]);
  });

  it("changes nothing in a dry run", async () => {
    const block = await head();
    const planned = await revoke({ accept: "in-use", dryRun: true, stop: true });
    expect(planned.exitCode, planned.stdout).to.equal(0);
    expect(planned.json<Revoked>().hashes).to.deep.equal([{ composeHash: inForce, outcome: "allowed" }]);
    expect(planned.json<Revoked>().cvms.map(({ action }) => action)).to.deep.equal(["waits"]);
    expect([await head(), await readStatus()]).to.deep.equal([block, "running"]);
    const ledger = join(directory, "dry.sqlite");
    const { stdout } = await revoke({ accept: "in-use", dryRun: true, json: false, ledger });
    expect(stdout).to.include(`${inForce} is allowed, and would be removed.`).and.not.include("executed the removal");
    expect((await run("add", { hashes: [inForce], accept: "no-effect", ledger })).exitCode).to.equal(0);
  });

  it("writes no plan in a dry run, and none for a hash that is not allowed, and says so", async () => {
    const plan = join(directory, "none.json");
    const dry = await revoke({ accept: "in-use", plan, dryRun: true, json: false });
    expect(dry.stdout).to.include("This was a dry run: no plan was written").and.not.include("plan apply");
    const empty = await revoke({ hashes: [absent], plan, json: false });
    expect(empty.exitCode, empty.stderr).to.equal(0);
    expect(empty.stdout)
      .to.include(`${absent} is not allowed, so there is nothing to remove.`)
      .and.include("There is nothing to remove, so no plan was written.");
    expect((await revoke({ hashes: [absent], plan })).json()).to.include({ planFile: null });
    expect(existsSync(plan)).to.equal(false);
  });

  it("tells a planned revocation from one that was made, and refuses the hash only after that", async () => {
    const ledger = join(directory, "planned.sqlite");
    const plan = join(directory, "planned.json");
    const planned = await revoke({ hashes: [other], note: "CVE-1", plan, ledger, json: false });
    expect(planned.stdout)
      .to.include("IS STILL ALLOWED")
      .and.match(/dstack hash revoke 0x\w{64} --app 0x\w{40} --network world$/m);
    const again = await run("add", { hashes: [other], accept: "no-effect", ledger, dryRun: true, json: false });
    expect([again.exitCode, again.stderr]).to.deep.equal([0, ""]);
    expect(again.stdout).to.match(/^Warning: a plan to revoke 0x\w{64} was made .*: CVE-1\.$/m);
    // Another project executes the plan, and then knows of the revocation too.
    const elsewhere = join(directory, "elsewhere.sqlite");
    const applied = await runTask(hre, ["plan", "apply"], { file: plan, ledger: elsewhere, yes: true });
    expect(applied.exitCode, applied.stderr).to.equal(0);
    for (const known of [ledger, elsewhere]) {
      const refused = await run("add", { hashes: [other], ledger: known, json: false });
      expect(refused.stderr).to.match(/^DSTK-1101 0x\w{64} was revoked .*: CVE-1\. \(revoked-hash\)/);
    }
    const told = await revoke({ hashes: [other], ledger, json: false });
    expect(told.stdout).to.include(`${other} is revoked: it was removed before.`);
    const allowed = await run("add", { hashes: [other], ledger, accept: "revoked-hash" });
    expect(allowed.exitCode, allowed.stdout).to.equal(0);
  });

  it("refuses an update to a revoked hash, and goes back past a revoked revision", async () => {
    const ledger = join(directory, "update.sqlite");
    const compose = join(directory, "bad.yml");
    await writeFile(compose, "services:\n  web:\n    image: nginx:1.13\n");
    const update = (args: Record<string, unknown>) =>
      runTask(hre, ["update"], { cvm: cvmId, ledger, wait: true, json: true, ...args });
    expect((await update({ compose })).exitCode).to.equal(0);
    const bad = (await getCvm(world.cloudClient, { cvm: cvmId })).composeHash;
    const good = join(directory, "good.yml");
    await writeFile(good, "services:\n  web:\n    image: nginx:1.29\n");
    expect((await update({ compose: good })).exitCode).to.equal(0);
    expect((await revoke({ hashes: [bad], ledger })).exitCode).to.equal(0);

    const refused = await update({ compose });
    expect(refused.json<{ error: { message: string } }>().error.message).to.include("(revoked-hash)");
    const dry = await update({ revision: "previous", dryRun: true });
    expect(dry.exitCode, dry.stdout).to.equal(0);
    expect(dry.json<{ rollback: { composeHash: string } }>().rollback.composeHash).to.equal(inForce);

    // The CVM runs what is now revoked as well: the advice names the revision that is left.
    const current = (await getCvm(world.cloudClient, { cvm: cvmId })).composeHash;
    const left = await revoke({ hashes: [current], ledger, accept: "in-use", json: false });
    const [, revision] = /--revision (\S+) --wait$/m.exec(left.stdout) ?? [];
    const back = await update({ revision, dryRun: true, accept: "unproven-document" });
    expect(back.json<{ rollback: { composeHash: string } }>().rollback.composeHash).to.equal(inForce);
  });

  it("writes the removal with its reason to a plan, and stops nothing", async () => {
    const block = await head();
    const plan = join(directory, "plan.json");
    const planned = await revoke({ accept: "in-use", note: "CVE-2026-1234", plan, stop: true });
    expect(planned.exitCode, planned.stdout).to.equal(0);
    expect(planned.json<Revoked>().cvms.map(({ action }) => action)).to.deep.equal(["waits"]);
    const { changes } = await loadPlan(plan);
    expect(changes.map(({ reason }) => reason)).to.deep.equal([{ rule: "revoked", note: "CVE-2026-1234" }]);
    expect([await head(), await readStatus(), await isAllowed(inForce)]).to.deep.equal([block, "running", true]);
    const applied = await runTask(hre, ["plan", "apply"], { file: plan, json: true, yes: true });
    expect(applied.exitCode, applied.stdout).to.equal(0);
    expect((await revoke({ stop: true })).exitCode).to.equal(0);
    expect([await readStatus(), await isAllowed(inForce)]).to.deep.equal(["stopped", false]);
  });

  it("removes a pinned hash, and a hash that a prepared update needs", async () => {
    const answer = await patchCvm(world.cloudClient, {
      cvm: "onchain-app",
      dockerCompose: "services:\n  web:\n    image: nginx:1.29\n",
    });
    if (answer.kind !== "registrationRequired") throw new Error("The update needed no registration.");
    await run("add", { hashes: [answer.composeHash] });
    const hashes = [other, answer.composeHash];
    expect(namesOf(await revoke({ hashes }))).to.deep.equal(["in-use"]);
    const revoked = await revoke({ hashes, accept: "in-use", json: false });
    expect(revoked.exitCode, revoked.stdout).to.equal(0);
    expect(revoked.stdout).to.include(`the configuration pins ${other}`).and.include("A prepared update of CVM");
    expect([await isAllowed(other), await isAllowed(answer.composeHash)]).to.deep.equal([false, false]);
  });

  it("removes without the cloud, and says that it does not know which CVMs run the hash", async () => {
    const unreachable = { baseUrl: "http://127.0.0.1:9", apiKey: "key" };
    for (const [what, cloud] of [
      ["no answer", unreachable],
      ["no key", { baseUrl: world.cloud.baseUrl, apiKey: "" }],
    ] as const) {
      const project = await projectOf(world, { cloud });
      const hashes = [what === "no key" ? other : inForce];
      const revoked = await revoke({ hashes, cvm: undefined, app: appId, stop: true }, project);
      expect(revoked.exitCode, revoked.stdout).to.equal(6);
      const result = revoked.json<Revoked>();
      expect(
        result.hashes.map(({ outcome }) => outcome),
        what,
      ).to.deep.equal(["removed"]);
      expect(result.unknowns.map(({ kind }) => kind)).to.include("running-hashes");
      expect(await isAllowed(hashes[0] ?? inForce)).to.equal(false);
    }
  });

  it("leaves a CVM that an update moves to a new compose file as its output advises", async () => {
    const ledger = join(directory, "ledger.sqlite");
    await revoke({ accept: "in-use", ledger });
    const compose = join(directory, "new.yml");
    await writeFile(compose, "services:\n  web:\n    image: nginx:1.29\n");
    const update = (args: Record<string, unknown>) =>
      runTask(hre, ["update"], { cvm: cvmId, compose, ledger, wait: true, json: true, ...args });
    expect((await update({})).json<{ error: { name: string } }>().error.name).to.equal("UnprovenDocumentError");
    const updated = await update({ accept: "unproven-document" });
    expect(updated.exitCode, updated.stdout).to.equal(0);
    const again = await revoke();
    expect(again.exitCode, again.stdout).to.equal(0);
    expect(again.json<Revoked>().cvms).to.deep.equal([]);
  });

  it("leaves a stopped CVM as it is, and says how it can boot again", async () => {
    await stopCvm(world.cloudClient, { cvm: "onchain-app" });
    const revoked = await revoke({ accept: "in-use", stop: true });
    expect(revoked.json<Revoked>().cvms.map(({ action }) => action)).to.deep.equal(["stopped"]);
    const { stdout } = await revoke({ json: false });
    expect(stdout)
      .to.include(`dstack update --app ${appId} --cvm ${cvmId} --network world --compose FILE`)
      .and.include("stays stopped after that");
  });

  it("stops nothing before the Safe's owners have removed the hash, and goes on after that", async () => {
    const safe = await giveToSafe({ ...world, appId, cvm: "onchain-app", firstHash: inForce });
    const batch = `safe:${join(directory, "batch.json")}`;
    const prepared = await revoke({ accept: "in-use", stop: true, batch });
    expect(prepared.exitCode, prepared.stdout).to.equal(0);
    expect(prepared.json<Revoked>().cvms.map(({ action }) => action)).to.deep.equal(["waits"]);
    expect([await isAllowed(inForce), await readStatus()]).to.deep.equal([true, "running"]);
    const { safeTx } = prepared.json<{ safeTx: Parameters<typeof executeSafe>[2] }>();
    await executeSafe(world.ownerClient, world.owner, { ...safeTx, safe });
    const stopped = await revoke({ stop: true });
    expect(stopped.exitCode, stopped.stdout).to.equal(0);
    expect(stopped.json<Revoked>().hashes).to.deep.equal([{ composeHash: inForce, outcome: "removedBefore" }]);
    expect(await readStatus()).to.equal("stopped");
  });
});
