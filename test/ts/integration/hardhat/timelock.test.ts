import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { type Address, getAddress, type Hex, zeroAddress } from "viem";
import { sendTransaction, waitForTransactionReceipt, writeContract } from "viem/actions";
import { buildSafeBatch } from "../../../../src/batch/build-safe-batch.ts";
import { sendBatch } from "../../../../src/batch/send-batch.ts";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import { type AppId, parseComposeHash } from "../../../../src/core/ids.ts";
import {
  acceptOwnershipCall,
  addComposeHashCall,
  type OwnerCall,
  removeComposeHashCall,
  transferOwnershipCall,
} from "../../../../src/core/owner-calls.ts";
import { executeCall, operationOf, scheduleCall } from "../../../../src/core/timelock.ts";
import { createChangePlan } from "../../../../src/plans/create-change-plan.ts";
import { loadPlan, savePlan } from "../../../../src/plans/plan-file.ts";
import { devPrivateKey } from "../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import {
  deploySafe,
  deployTimelock,
  executeSafe,
  timelockArtifactAbi,
} from "../../../support/chain/deploy-owner-contracts.ts";
import { executeSafeBatch } from "../../../support/chain/safe.ts";
import { projectOf, runTask, type TaskRun } from "../../../support/hardhat/run-task.ts";
import { addSafe } from "../../../support/safe/safe-world.ts";

const twoDays = 172_800;
/** Blocks that are mined fast have timestamps ahead of the clock, so the delay ends a little later than the clock shows. */
const aMinute = 60;
const listed = parseComposeHash("a1".repeat(32));
const newHash = parseComposeHash("a2".repeat(32));

interface Operation {
  readonly outcome?: string;
  readonly operationId: Hex;
  readonly state: string;
  readonly readyAt: string | null;
  readonly digest: Hex;
  readonly salt: Hex;
  readonly endedBy: Hex | null;
  readonly proposers: readonly Address[];
  readonly calls: readonly { readonly description: string }[];
  readonly operationCalls: readonly { readonly description: string }[];
}

describe("dstack timelock", () => {
  let world: World;
  let project: HardhatRuntimeEnvironment;
  let appId: AppId;
  let timelock: Address;
  let untouched: string;
  let folder: string;
  let file: string;

  before(async () => {
    world = await startWorld({ cloud: { rolloverMs: 0 } });
    const { owner, ownerClient, cvms } = world;
    if (cvms.onChain?.appId === undefined) throw new Error("The world has no app.");
    appId = cvms.onChain.appId;
    const roles = { proposers: [owner.address], executors: [zeroAddress] };
    timelock = await deployTimelock(ownerClient, owner, BigInt(twoDays), roles);
    await sendBatch(ownerClient, {
      mode: "none",
      calls: [addComposeHashCall({ appId, composeHash: listed }), transferOwnershipCall({ appId, newOwner: timelock })],
    });
    await asTimelock(appId, acceptOwnershipCall({ appId }).data);
    project = await projectOf(world, { apps: { shop: appId } });
    folder = await mkdtemp(join(tmpdir(), "dstack-timelock-"));
  });
  beforeEach(async function () {
    untouched = await world.snapshot();
    file = join(folder, `${this.currentTest?.title.replace(/\W+/g, "-").slice(0, 40)}.json`);
  });
  afterEach(() => world.restore(untouched));
  after(async () => {
    await world?.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** A transaction of the timelock that no operation carries. The chain accepts it without a signature. */
  async function asTimelock(to: Address, data: Hex): Promise<void> {
    const { client } = world.chain;
    await client.impersonateAccount({ address: timelock });
    await client.setBalance({ address: timelock, value: 10n ** 18n });
    const hash = await sendTransaction(client, { account: timelock, chain: world.ownerClient.chain, to, data });
    await waitForTransactionReceipt(client, { hash });
  }
  const run = (task: string, args: Record<string, unknown> = {}, of = project) =>
    runTask(of, ["timelock", task], { file, json: true, ...(task !== "status" && { yes: true }), ...args });
  const isAllowed = async (composeHash = newHash) =>
    (await readAllowlist(world.ownerClient, { appId, composeHash })).composeHashAllowed;
  const head = () => world.chain.client.getBlockNumber({ cacheTime: 0 });
  const errorOf = (outcome: TaskRun) =>
    outcome.json<{ error: { code: string; message: string; nextStep: string } }>().error;
  async function expectRefusal(outcome: Promise<TaskRun>, code: string, block: bigint): Promise<string> {
    const refused = await outcome;
    expect(errorOf(refused)?.code, refused.stdout).to.equal(code);
    expect(await head(), "something was sent").to.equal(block);
    return `${errorOf(refused).message} ${errorOf(refused).nextStep}`;
  }
  async function ok(outcome: Promise<TaskRun>, exitCode = 0): Promise<Operation> {
    const { exitCode: actual, stdout, stderr, json } = await outcome;
    expect(actual, stdout + stderr).to.equal(exitCode);
    return json<Operation>();
  }
  async function plan(task = ["hash", "add"], args: Record<string, unknown> = { hashes: [newHash] }): Promise<void> {
    const block = await head();
    const written = await runTask(project, task, { ...args, plan: file, json: true });
    expect(written.exitCode, written.stdout + written.stderr).to.equal(0);
    expect(await head()).to.equal(block);
  }

  it("schedules a plan once, waits two days, executes it, and proves it", async () => {
    await plan();
    const scheduled = await ok(run("schedule"));
    expect(scheduled).to.include({ outcome: "scheduled", state: "waiting", salt: (await loadPlan(file)).digest });
    expect(scheduled.proposers).to.deep.equal([world.owner.address]);
    expect(scheduled.operationCalls.map(({ description }) => description)).to.deep.equal([
      `allow compose hash ${newHash}`,
    ]);
    expect(scheduled.calls.map(({ description }) => description)).to.deep.equal([
      `schedule, to wait 2 days: allow compose hash ${newHash} on ${appId}`,
    ]);
    const block = await head();
    expect(await ok(run("schedule"))).to.include({ outcome: "alreadyScheduled", operationId: scheduled.operationId });
    const { readyAt } = await ok(run("status"));
    expect(readyAt)
      .to.equal(scheduled.readyAt)
      .and.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(await expectRefusal(run("execute"), "DSTK-2402", block))
      .to.include(`${readyAt}`)
      .and.include("in 2 days");
    await world.advance(twoDays + aMinute);
    expect(await ok(run("execute"))).to.include({ outcome: "executed", state: "done" });
    expect(await isAllowed()).to.equal(true);
    const after = await head();
    expect(await ok(run("execute"))).to.include({ outcome: "executed", isProven: true });
    expect(await ok(run("schedule"))).to.include({ outcome: "executed" });
    expect(await head()).to.equal(after);
  });

  it("says in words what it does and what comes next", async () => {
    await plan();
    const scheduled = await run("schedule", { json: undefined });
    expect(scheduled.exitCode, scheduled.stderr).to.equal(0);
    for (const words of [
      `timelock     ${getAddress(timelock)}`,
      "minimum      2 days between schedule and execution",
      "state        not scheduled",
      "predecessor  none",
      "may execute  any account",
      `may cancel   ${world.owner.address}`,
      `    allow compose hash ${newHash}`,
      `schedule, to wait 2 days: allow compose hash ${newHash} on ${appId}`,
    ])
      expect(scheduled.stdout).to.include(words);
    const command = /in 2 days:\n {2}next {4}npx hardhat dstack timelock execute \S+\.json --network (\S+)\n/;
    expect(command.exec(scheduled.stdout)?.[1], scheduled.stdout).to.match(/\w/);
  });

  it("has no operation for a plan that changes nothing, and says so", async () => {
    await plan();
    await savePlan(file, createChangePlan({ ...(await loadPlan(file)), changes: [] }));
    const { stdout } = await runTask(project, ["plan", "check"], { file });
    expect(stdout).to.contain("The plan changes nothing, so there is nothing to execute.");
    expect(stdout).not.to.contain("timelock schedule");
    await expectRefusal(run("schedule"), "DSTK-1007", await head());
    expect(errorOf(await run("schedule")).nextStep).to.contain("No owner has to sign.");
  });

  it("runs a plan over days: the same command goes on where it stopped", async () => {
    await plan();
    expect(await ok(run("run"), 6)).to.include({ outcome: "waiting", state: "waiting" });
    const block = await head();
    expect(await ok(run("run"), 6)).to.include({ outcome: "waiting" });
    expect(await head()).to.equal(block);
    await world.advance(twoDays + aMinute);
    expect(await ok(run("run"))).to.include({ outcome: "executed" });
    expect(await isAllowed()).to.equal(true);
    expect(await ok(run("run"))).to.include({ outcome: "executed", isProven: true });
  });

  it("cancels an operation, and does not schedule its plan again", async () => {
    await plan();
    const { operationId } = await ok(run("schedule"));
    const salt = `0x${"5b".repeat(32)}`;
    await ok(run("schedule", { salt }));
    const told = (await run("cancel", { salt, json: undefined })).stdout.replace(/\n +/g, " ");
    expect(told).to.include(`Still pending with the same calls: ${operationId}`).and.not.include("make a new plan");
    expect(await ok(run("cancel"))).to.include({ outcome: "cancelled", state: "cancelled" });
    const block = await head();
    for (const task of ["schedule", "execute", "cancel", "run"])
      expect(await expectRefusal(run(task), "DSTK-2401", block)).to.include("was cancelled, by transaction 0x");
  });

  it("does not execute what is not scheduled, and what a reorganisation took back is scheduled again", async () => {
    await plan();
    expect(await expectRefusal(run("execute"), "DSTK-2401", await head())).to.include("dstack timelock schedule");
    const before = await world.snapshot();
    await ok(run("schedule"));
    await world.restore(before);
    await expectRefusal(run("execute"), "DSTK-2401", await head());
    expect(await ok(run("schedule"))).to.include({ outcome: "scheduled", state: "waiting" });
  });

  it("refuses a plan that was overtaken, when it is scheduled and when it is executed", async () => {
    await plan();
    const state = await world.snapshot();
    await asTimelock(appId, addComposeHashCall({ appId, composeHash: newHash }).data);
    const done = await head();
    for (const task of ["schedule", "run"])
      expect(await ok(run(task))).to.include({ outcome: "applied", state: "unset" });
    expect(await head()).to.equal(done);
    await world.restore(state);
    await ok(run("schedule"));
    await asTimelock(appId, transferOwnershipCall({ appId, newOwner: world.owner.address }).data);
    await sendBatch(world.ownerClient, { mode: "none", calls: [acceptOwnershipCall({ appId })] });
    await world.advance(twoDays + aMinute);
    const why = await expectRefusal(run("execute"), "DSTK-5006", await head());
    expect(why).to.include("owner").and.include(world.owner.address);
    expect(await isAllowed()).to.equal(false);
  });

  it("tells what was undone since the execution", async () => {
    await plan();
    await ok(run("schedule"));
    await world.advance(twoDays + aMinute);
    expect(await ok(run("execute"))).to.deep.include({ outcome: "executed", isProven: true, undone: [] });
    await asTimelock(appId, removeComposeHashCall({ appId, composeHash: newHash }).data);
    const checked = (await runTask(project, ["plan", "check"], { file, json: true })).json<{ undone: string[] }>();
    expect(checked.undone).to.have.lengthOf(1);
    for (const task of ["status", "execute", "run"])
      expect(await ok(run(task)), task).to.deep.include({ undone: checked.undone });
    for (const task of ["status", "execute"]) {
      const told = (await run(task, { json: undefined })).stdout.replace(/\n +/g, " ");
      expect(told).to.include("But not everything is still as the plan made it:").and.include(checked.undone[0]);
    }
  });

  it("refuses an execution whose transaction made further changes", async () => {
    const { owner, ownerClient } = world;
    await plan();
    const { operationId } = await ok(run("schedule"));
    const planned = (await loadPlan(file)).changes.map(({ call }) => call);
    const inOne = (calls: readonly OwnerCall[], salt: Hex) =>
      operationOf({ calls, salt, predecessor: `0x${"00".repeat(32)}` });
    const own = inOne(planned, (await loadPlan(file)).digest);
    const other = inOne([addComposeHashCall({ appId, composeHash: parseComposeHash("a3".repeat(32)) })], own.salt);
    await sendBatch(ownerClient, {
      ...{ mode: "none", purpose: { kind: "timelock" } },
      calls: [scheduleCall({ timelock, operation: other, delaySeconds: BigInt(twoDays) })],
    });
    const safe = await addSafe(world, "1.4.1");
    await world.advance(twoDays + aMinute);
    const calls = [own, other].map((operation) => executeCall({ timelock, operation }));
    const batch = await buildSafeBatch(ownerClient, { safe: safe.safe, calls });
    await executeSafeBatch(ownerClient, { batch, signers: [safe.owners[0], safe.owners[1]], payer: owner });
    expect(await ok(run("status"))).to.include({ operationId, state: "done" });
    for (const task of ["execute", "run"])
      expect(await expectRefusal(run(task), "DSTK-2206", await head()))
        .to.include("which is not planned")
        .and.include("a3a3");
  });

  it("refuses an account without the role, and names those with it", async () => {
    await plan();
    const stranger = await projectOf(world, { apps: { shop: appId }, ownerKey: devPrivateKey(2) });
    const block = await head();
    expect(await expectRefusal(run("schedule", {}, stranger), "DSTK-2403", block)).to.include(world.owner.address);
    await ok(run("schedule"));
    await expectRefusal(run("cancel", {}, stranger), "DSTK-2403", await head());
    await world.advance(twoDays + aMinute);
    expect(await ok(run("execute", {}, stranger))).to.include({ outcome: "executed" }); // the executor role is open
  });

  it("takes a delay, a salt and a predecessor, and waits for the predecessor", async () => {
    await plan();
    const salt: Hex = `0x${"5a".repeat(32)}`;
    expect(await expectRefusal(run("schedule", { delay: "1d" }), "DSTK-1007", await head())).to.include("2 days");
    const first = await ok(run("schedule", { salt, delay: "3d" }));
    expect(first).to.include({ salt, state: "waiting" });
    expect(await ok(run("status"))).to.include({ operationId: first.operationId });
    const predecessor = first.operationId;
    await ok(run("schedule", { predecessor }));
    expect(await expectRefusal(run("status"), "DSTK-2404", await head())).to.include("--salt");
    const { operationId: id } = await ok(run("status", { predecessor }));
    const listed = (await run("cancel", { json: undefined })).stdout;
    for (const words of [
      `operation    ${predecessor}`,
      `salt         ${salt}`,
      `operation    ${id}`,
      `predecessor  ${predecessor}`,
    ])
      expect(listed).to.include(words);
    await world.advance(twoDays + aMinute);
    const why = await expectRefusal(run("execute", { predecessor }), "DSTK-2402", await head());
    expect(why).to.include(`${predecessor}, which can be executed from`);
    expect(await ok(run("run", { id }), 6)).to.include({ outcome: "waiting", predecessorState: "waiting" });
    const told = (await run("status", { id, json: undefined })).stdout.replace(/\n +/g, " ");
    expect(told).to.include("It waits for its predecessor").and.not.include("may be executed now");
    expect(told).to.include(
      `timelock execute ${file} --salt ${(await loadPlan(file)).digest} --predecessor ${predecessor}`,
    );
    expect(await expectRefusal(run("cancel", { salt }), "DSTK-2405", await head()))
      .to.include(id)
      .and.include("--accept dependents");
    expect(await ok(run("cancel", { salt, accept: "dependents" }))).to.include({ outcome: "cancelled" });
    const orphan = await expectRefusal(run("execute", { id }), "DSTK-2402", await head());
    expect(orphan).to.include("can never be executed").and.include("anew, without this predecessor");
  });

  it("plans the call for a Safe that may propose, which then schedules it", async () => {
    const { owner, ownerClient } = world;
    const safe = await deploySafe(ownerClient, { payer: owner, owners: [owner.address], threshold: 1 });
    const role = { abi: timelockArtifactAbi, address: timelock, functionName: "grantRole" };
    const proposer = "0xb09aa5aeb3702cfd50b6b62bc4532604938f21248a27a1d5ca736082b6819cc1";
    const hash = await writeContract(ownerClient, {
      ...{ ...role, args: [proposer, safe] },
      ...{ account: owner, chain: ownerClient.chain },
    });
    await waitForTransactionReceipt(ownerClient, { hash });
    await plan();
    const out = file.replace(".json", ".safe.json");
    const block = await head();
    const written = await run("schedule", { from: safe, plan: out, yes: undefined });
    expect(written.exitCode, written.stdout + written.stderr).to.equal(0);
    expect(await head()).to.equal(block);
    const ofSafe = await loadPlan(out);
    expect(ofSafe.owner).to.deep.equal({ address: safe.toLowerCase(), kind: "safe" });
    const [change] = ofSafe.changes;
    expect(change?.call).to.include({ contract: "timelock", functionName: "scheduleBatch" });
    const checked = await runTask(project, ["plan", "check"], { file: out, json: true });
    expect(checked.exitCode, checked.stdout).to.equal(0);
    await executeSafe(ownerClient, owner, { safe, to: timelock, data: change?.call.data ?? "0x", operation: 0 });
    expect(await ok(run("status"))).to.include({ state: "waiting" });
    const applied = await runTask(project, ["plan", "check"], { file: out, json: true });
    expect(applied.json<{ outcome: string }>().outcome).to.equal("applied");
  });

  it("sends nothing in a dry run", async () => {
    await plan();
    const block = await head();
    const dry = await run("schedule", { dryRun: true, yes: undefined });
    expect(dry.exitCode, dry.stderr).to.equal(0);
    expect(await head()).to.equal(block);
    expect(await ok(run("status"))).to.include({ state: "unset", readyAt: null });
  });

  it("refuses the plan of another owner", async () => {
    const other = join(folder, "key.json");
    await writeFile(other, "{}");
    await expectRefusal(run("schedule", { file: other }), "DSTK-5003", await head());
  });

  describe("shows what is under way", () => {
    it("in the timelock, and in the status of the app", async () => {
      await plan();
      const { operationId, readyAt } = await ok(run("schedule"));
      const listing = await runTask(project, ["timelock", "status"], { json: true });
      const { operations, problems } = listing.json<{ operations: Operation[]; problems: string[] }>();
      expect(problems).to.deep.equal([]);
      expect(operations).to.have.lengthOf(1);
      expect(operations[0]).to.deep.include({ id: operationId, readyAt, state: "waiting" });
      expect(operations[0]?.calls.map(({ description }) => description)).to.deep.equal([
        `allow compose hash ${newHash}`,
      ]);
      const byAddress = await runTask(project, ["timelock", "status"], { timelock, json: true });
      expect(byAddress.json<{ operations: Operation[] }>().operations).to.deep.equal(operations);
      const status = await runTask(project, ["status"], {});
      expect(status.stdout).to.include("Under way: 1").and.include(`waits until ${readyAt}`).and.include(newHash);
    });

    it("and prune keeps what it names, without being told", async () => {
      await plan(["hash", "remove"], { hashes: [listed], accept: "in-use" });
      const without = await prune();
      expect(without.removals).to.include(listed);
      await ok(run("schedule"));
      const kept = await prune();
      expect(kept.removals).to.not.include(listed);
      const row = kept.rows.find(({ composeHash }) => composeHash === listed);
      expect(row?.reasons[0]).to.include({ rule: "queued" });
    });

    it("and prune does not hold its own operation against itself", async () => {
      await plan(["prune"], { keep: "0", accept: "other-machines" });
      await ok(run("schedule"));
      await world.advance(twoDays + aMinute);
      expect(await ok(run("execute"))).to.include({ outcome: "executed" });
      expect(await isAllowed(listed)).to.equal(false);
    });

    async function prune() {
      const outcome = await runTask(project, ["prune"], { keep: "0", dryRun: true, json: true });
      return outcome.json<{ removals: Hex[]; rows: { composeHash: Hex; reasons: { rule: string }[] }[] }>();
    }
  });
});
