import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { type Address, zeroAddress } from "viem";
import { sendBatch } from "../../../../src/batch/send-batch.ts";
import { deployApp } from "../../../../src/chain/deploy-app.ts";
import { waitForReceipt } from "../../../../src/chain/transactions/receipt.ts";
import { deployedApp } from "../../../../src/core/events.ts";
import { type AppId, parseComposeHash } from "../../../../src/core/ids.ts";
import { setRequireTcbUpToDateCall } from "../../../../src/core/owner-calls.ts";
import { loadPlan } from "../../../../src/plans/plan-file.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { deployTimelock } from "../../../support/chain/deploy-owner-contracts.ts";
import { projectOf, runTask, type TaskRun } from "../../../support/hardhat/run-task.ts";
import { addSafe, giveAppToSafe } from "../../../support/safe/safe-world.ts";

const [first, second] = [parseComposeHash("a1".repeat(32)), parseComposeHash("a2".repeat(32))];

interface Result {
  readonly outcome: string;
  readonly nextStep: string;
  readonly error: { readonly code: string; readonly message: string; readonly nextStep: string };
}

describe("a file with a plan", () => {
  let world: World;
  let hre: HardhatRuntimeEnvironment;
  let appId: AppId;
  let directory: string;
  let untouched: string;
  let file: string;

  before(async () => {
    world = await startWorld({ cloud: { rolloverMs: 0 } });
    hre = await projectOf(world, { kms: world.contracts.kms });
    if (world.cvms.onChain?.appId === undefined) throw new Error("The world has no app.");
    appId = world.cvms.onChain.appId;
    directory = await mkdtemp(join(tmpdir(), "dstack-overwritten-"));
    for (const tag of ["1.29", "1.30"])
      await writeFile(join(directory, `${tag}.yml`), `services:\n  web:\n    image: nginx:${tag}\n`);
  });
  beforeEach(async function () {
    untouched = await world.snapshot();
    file = join(directory, `${this.currentTest?.title.replace(/\W+/g, "-").slice(0, 40)}.json`);
  });
  afterEach(() => world.restore(untouched));
  after(async () => {
    await world?.close();
    if (directory) await rm(directory, { recursive: true, force: true });
  });

  const run = (task: string, args: Record<string, unknown>, project = hre): Promise<TaskRun> =>
    runTask(project, task.split(" "), {
      json: true,
      ...(task.startsWith("safe ") ? {} : { ledger: join(directory, "ledger.sqlite") }),
      ...args,
    });
  const ok = async (task: string, args: Record<string, unknown>): Promise<Result> => {
    const done = await run(task, args);
    expect(done.exitCode, `${task}: ${done.stdout}${done.stderr}`).to.equal(0);
    return done.json<Result>();
  };
  const prepare = (tag: string) => ({ app: appId, compose: join(directory, `${tag}.yml`), prepare: true, plan: file });
  /** Runs a task that writes a plan, and expects that the file stays and how the plan in it is finished. */
  const expectKept = async (command: string, task: string, args: Record<string, unknown>) => {
    const text = await readFile(file, "utf8");
    const { error } = (await run(task, args)).json<Result>();
    expect(error, task).to.include({ code: "DSTK-1007" });
    expect(error.message).to.include("under way");
    expect(error.nextStep)
      .to.include(command)
      .and.include(`--plan ${file.replace(/\.json$/, "-2.json")}`);
    expect(await readFile(file, "utf8")).to.equal(text);
  };
  const appOf = async (owner: Address) => {
    const { kms } = world.contracts;
    const transactionHash = await deployApp(world.ownerClient, { kms, owner, composeHash: first });
    const functionName = "deployAndRegisterApp";
    return deployedApp(await waitForReceipt(world.ownerClient, { transactionHash, functionName }), { kms });
  };

  it("is not overwritten while its operation waits in the timelock", async () => {
    const { owner, ownerClient } = world;
    const roles = { proposers: [owner.address], executors: [zeroAddress] };
    const app = await appOf(await deployTimelock(ownerClient, owner, 60n, roles));
    await ok("hash add", { hashes: [second], app, plan: file });
    await ok("hash add", { hashes: [second], app, plan: file });
    await ok("timelock schedule", { file, yes: true });
    const other = { hashes: [parseComposeHash("a3".repeat(32))], app, plan: file };
    await expectKept(`dstack timelock execute ${file}`, "hash add", other);
    await ok("timelock cancel", { file, yes: true });
    await ok("hash add", other);
  });

  it("is not overwritten while its update waits for the owner or for the commit", async () => {
    await ok("update", prepare("1.29"));
    await expectKept(`dstack plan apply ${file}`, "hash add", { hashes: [second], app: appId, plan: file });
    // A newer preparation of the same CVM makes the token of the older one worthless.
    await ok("update", prepare("1.30"));
    const { changes, update } = await loadPlan(file);
    await sendBatch(world.ownerClient, { calls: changes.map(({ call }) => call), mode: "none" });
    const commit = `dstack update --commit --plan ${file}`;
    await expectKept(commit, "update", prepare("1.29"));
    await expectKept(commit, "hash add", { hashes: [second], app: appId, plan: file });
    const executed = await world.snapshot();
    await ok("update", { commit: true, plan: file, wait: true });
    await ok("hash add", { hashes: [second], app: appId, plan: file });

    await world.restore(executed);
    await rm(file);
    await ok("update", prepare("1.30"));
    expect((await loadPlan(file)).changes, "the app allows it already").to.deep.equal([]);
    await expectKept(commit, "hash add", { hashes: [second], app: appId, plan: file });
    const calls = [setRequireTcbUpToDateCall({ appId, requireUpToDate: true })];
    await sendBatch(world.ownerClient, { calls, mode: "none" });
    // It must not be committed any more: the next step is to prepare the update again.
    await ok("update", prepare("1.30"));
    expect((await loadPlan(file)).update?.cvms).to.deep.equal(update?.cvms.map((cvm) => ({ ...cvm, isAllowed: true })));
  });

  it("is not overwritten while it is proposed to the Safe, and the commit names what comes next", async () => {
    await giveAppToSafe(world, await addSafe(world, "1.4.1"), appId);
    await ok("update", prepare("1.29"));
    const waiting = async () => {
      const run_ = await run("update", { commit: true, plan: file });
      expect(run_.exitCode, run_.stdout).to.equal(6);
      return run_.json<Result>().nextStep;
    };
    expect(await waiting()).to.include(`dstack safe propose ${file}`);
    await ok("safe propose", { file, service: "none", yes: true });
    expect(await waiting())
      .to.include(`dstack safe sign ${file}`)
      .and.not.match(/safe propose|plan apply/);
    await expectKept(`dstack safe execute ${file}`, "update", prepare("1.30"));
    await expectKept(`dstack safe execute ${file}`, "hash add", { hashes: [second], app: appId, plan: file });
  });

  it("is not written by a prune that would change nothing, or that lacks facts", async () => {
    const prune = { app: appId, plan: file, store: ":memory:" };
    expect(await ok("prune", { ...prune, keep: "50" })).to.include({ outcome: "nothing", planFile: null });
    expect(existsSync(file)).to.equal(false);
    await ok("hash add", { hashes: [second], app: appId, plan: file });
    const text = await readFile(file, "utf8");
    await ok("prune", { ...prune, keep: "50" });
    const inWords = await run("prune", { ...prune, keep: "50", json: false });
    expect(inWords.stdout).to.include("There is nothing to change, so no plan was written.");
    await ok("hash add", { hashes: [first], app: appId, yes: true });
    await ok("hash add", { hashes: [second], app: appId, yes: true });
    const keyless = await projectOf(world, { cloud: { baseUrl: world.cloud.baseUrl, apiKey: "" } });
    const blocked = await run("prune", { ...prune, keep: "0" }, keyless);
    expect(blocked.exitCode, blocked.stdout).to.equal(7);
    expect(blocked.json<Result>().error).to.include({ code: "DSTK-5001" });
    expect(blocked.stderr).to.include("running-hashes").and.not.include("Wrote the plan");
    expect(await readFile(file, "utf8")).to.equal(text);
  });
});
