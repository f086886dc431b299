import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { Hex } from "viem";
import { getTransactionCount, sendTransaction, waitForTransactionReceipt } from "viem/actions";
import { buildSafeBatch } from "../../../../../src/batch/build-safe-batch.ts";
import { sendBatch } from "../../../../../src/batch/send-batch.ts";
import { getAppCvms } from "../../../../../src/cloud/get-app-cvms.ts";
import { prepareCvmUpdate } from "../../../../../src/cloud/prepare-cvm-update.ts";
import { type AppId, type ComposeHash, type DeviceId, parseComposeHash } from "../../../../../src/core/ids.ts";
import {
  acceptOwnershipCall,
  addComposeHashCall,
  removeComposeHashCall,
  removeDeviceCall,
  transferOwnershipCall,
} from "../../../../../src/core/owner-calls.ts";
import { buildTimelockBatch } from "../../../../../src/core/timelock.ts";
import type { ChangePlan } from "../../../../../src/plans/change-plan.ts";
import { loadPlan } from "../../../../../src/plans/plan-file.ts";
import { startWorld, type World } from "../../../../../src/world/start-world.ts";
import { deployTimelock } from "../../../../support/chain/deploy-owner-contracts.ts";
import { executeSafeBatch } from "../../../../support/chain/safe.ts";
import { projectOf, runTask, type TaskRun } from "../../../../support/hardhat/run-task.ts";
import { startLyingCloud } from "../../../../support/hostile/lying-cloud.ts";
import { addSafe, giveAppToSafe } from "../../../../support/safe/safe-world.ts";

const compose = (tag: string) => `services:\n  web:\n    image: nginx:${tag}\n    environment: [GREETING]\n`;
const secret = "hunter2 is no password";
const day = 24 * 60 * 60;

describe("dstack update for several CVMs and for owners that are not a key", () => {
  let world: World;
  let hre: HardhatRuntimeEnvironment;
  let appId: AppId;
  let directory: string;
  let snapshot: string;
  let runs = 0;

  before(async () => {
    world = await startWorld({ cloud: { rolloverMs: 0 } });
    hre = await projectOf(world, { kms: world.contracts.kms });
    if (world.cvms.onChain?.appId === undefined) throw new Error("The world has no CVM with a contract.");
    const { id: firstCvm } = world.cvms.onChain;
    appId = world.cvms.onChain.appId;
    directory = await mkdtemp(join(tmpdir(), "dstack-owners-"));
    // Tests that ran before in this process share the project's folder.
    await rm(kept(), { recursive: true, force: true });
    await writeFile(path("next.yml"), compose("1.29"));
    await writeFile(path("other.yml"), compose("1.30"));
    await writeFile(path("init.sh"), "#!/bin/sh\necho hello\n");
    await writeFile(path(".env"), `GREETING='${secret}'\n`);
    for (const _ of [1, 2])
      await world.cloudClient.request({ method: "POST", path: `/cvms/${firstCvm}/replicas`, json: { node_id: 1 } });
    await world.cloud.whenIdle();
    // The last CVM runs a document of its own.
    const { id } = (await cvms()).at(-1) ?? { id: "none" };
    const own = await update({ cvm: id, preLaunchScript: path("init.sh"), wait: true });
    expect(own.exitCode, own.stdout).to.equal(0);
  });
  beforeEach(async () => {
    snapshot = await world.snapshot();
    runs++;
  });
  afterEach(() => world.restore(snapshot));
  after(async () => {
    await world?.close();
    if (directory) await rm(directory, { recursive: true, force: true });
  });

  const path = (name: string) => join(directory, name);
  const plan = () => path(`plan-${runs}.json`);
  const kept = () => join(hre.config.paths.root, ".dstack", "prepared");
  const update = (args: Record<string, unknown>, project = hre): Promise<TaskRun> =>
    runTask(project, ["update"], { app: appId, json: true, ledger: path(`ledger-${runs}.sqlite`), ...args });
  const prepare = (args: Record<string, unknown>, project = hre) =>
    update({ prepare: true, plan: plan(), ...args }, project);
  const commit = (args: Record<string, unknown> = {}, project = hre) =>
    runTask(project, ["update"], {
      commit: true,
      plan: plan(),
      json: true,
      ledger: path(`ledger-${runs}.sqlite`),
      ...args,
    });
  const errorOf = (run: TaskRun) => run.json<{ error: { code: string; name: string; nextStep: string } }>().error;
  const cvms = async () => getAppCvms(world.cloudClient, { appId });
  const hashes = async () => (await cvms()).map(({ composeHash }) => composeHash);
  const oneCvm = async () => ({ app: undefined, cvm: (await cvms())[0]?.id });

  /** As the owner's key. */
  async function execute({ changes }: Pick<ChangePlan, "changes">) {
    return sendBatch(world.ownerClient, { mode: "none", calls: changes.map(({ call }) => call) });
  }

  async function requirePrepared(args: Record<string, unknown>): Promise<ChangePlan> {
    const prepared = await prepare(args);
    expect(prepared.exitCode, `${prepared.stdout}${prepared.stderr}`).to.equal(0);
    return loadPlan(plan());
  }

  async function requireCommitted(run: Promise<TaskRun>, planned: ChangePlan) {
    const committed = await run;
    expect(committed.exitCode, `${committed.stdout}${committed.stderr}`).to.equal(0);
    const wanted = planned.update?.cvms ?? [];
    const running = new Map((await cvms()).map(({ id, composeHash }) => [id, composeHash]));
    expect(wanted.map(({ id }) => running.get(id))).to.deep.equal(wanted.map(({ composeHash }) => composeHash));
    return committed;
  }

  it("allows what all CVMs need in one go, rolls from CVM to CVM, and goes on after one that failed", async () => {
    const { ownerClient, owner } = world;
    const before = await hashes();
    const [first, second, third] = await cvms();
    if (second === undefined) throw new Error("The app has no second CVM.");
    world.cloud.setFault({ kind: "boot-failure", cvm: second.id, times: 1, reason: "TCB out of date" });
    const sent = await getTransactionCount(ownerClient, { address: owner.address });
    const stopped = await update({ compose: path("next.yml"), envFile: path(".env") });
    expect(stopped.exitCode).to.equal(5);
    const { error } = stopped.json<{ error: { name: string; message: string; context: Record<string, string[]> } }>();
    expect(error.name).to.equal("RollingUpdateStoppedError");
    expect(error.context.done).to.deep.equal([`onchain-app (${first?.id})`]);
    expect(error.context.left).to.deep.equal([`onchain-app (${third?.id})`]);
    expect(error.message).to.contain("TCB out of date");
    world.cloud.setFault({ kind: "boot-failure", cvm: second.id, times: 1, reason: "still out of date" });
    const again = await update({ compose: path("next.yml"), envFile: path(".env") });
    expect(again.json<typeof stopped & { error: typeof error }>().error.context).to.deep.include({
      done: error.context.done,
      left: error.context.left,
    });
    expect((await hashes()).slice(1)).to.deep.equal(before.slice(1));
    // The first two documents are equal.
    expect(await getTransactionCount(ownerClient, { address: owner.address })).to.equal(sent + 2);

    const started = world.cloud.readHistory(first?.id ?? "").length;
    const rest = await update({ compose: path("next.yml"), envFile: path(".env") });
    expect(rest.exitCode, `${rest.stdout}${rest.stderr}`).to.equal(0);
    expect(world.cloud.readHistory(first?.id ?? "")).to.have.length(started);
    expect(await getTransactionCount(ownerClient, { address: owner.address })).to.equal(sent + 2);
    const after = await hashes();
    expect(after[0]).to.equal(after[1]).and.not.equal(after[2]);
    for (const { id } of await cvms())
      expect(world.cloud.readEnvironment(id)).to.deep.equal([{ key: "GREETING", value: secret }]);
    expect(await readdir(kept())).to.deep.equal([]);

    const unchanged = await update({ compose: path("next.yml") });
    expect(unchanged.json<{ outcome: string }>().outcome).to.equal("unchanged");
  });

  it("commits at once what a contract that owns the app has allowed, and says what the cloud keeps if a device is new", async () => {
    const planned = await requirePrepared({ compose: path("next.yml") });
    await execute(planned);
    const safe = await addSafe(world, "1.4.1");
    await giveAppToSafe(world, safe, appId);
    const snapshotOfAll = await world.snapshot();
    const [{ id, deviceId } = { id: "", deviceId: undefined }] = await cvms();
    const one = await update({ cvm: id, compose: path("next.yml"), wait: true });
    expect(one.exitCode, one.stdout).to.equal(0);
    expect(one.json<object>()).to.deep.include({ registration: "already-registered", transactions: [], price: null });
    const all = await update({ compose: path("next.yml"), json: false });
    expect(all.exitCode, all.stdout).to.equal(0);
    expect(all.stdout)
      .to.contain("already runs")
      .and.match(/was updated, and runs compose hash/);
    expect(await hashes()).to.deep.equal(planned.update?.cvms.map(({ composeHash }) => composeHash));

    await world.restore(snapshotOfAll);
    const calls = [removeDeviceCall({ appId, deviceId: deviceId as DeviceId })];
    const batch = await buildSafeBatch(world.ownerClient, { safe: safe.safe, calls });
    const [first, second] = safe.owners;
    await executeSafeBatch(world.ownerClient, { batch, signers: [first, second], payer: world.owner });
    for (const args of [{}, { cvm: id }]) {
      const refused = await update({ compose: path("next.yml"), ...args });
      expect(errorOf(refused)).to.include({ code: "DSTK-2005" });
      expect(errorOf(refused).nextStep).to.contain("The cloud keeps the change").and.contain("--prepare --plan FILE");
    }
    expect(await readdir(kept()), "only the file of the plan").to.have.length(1);
    await rm(kept(), { recursive: true });
  });

  it("updates three CVMs through a 2-of-3 Safe, and shows neither token nor environment", async () => {
    const safe = await addSafe(world, "1.4.1");
    await giveAppToSafe(world, safe, appId);
    for (const args of [{}, await oneCvm()]) {
      const direct = await update({ compose: path("next.yml"), ...args });
      expect(errorOf(direct)).to.include({ code: "DSTK-2005" });
      expect(errorOf(direct).nextStep).to.contain("--prepare --plan FILE").and.contain("--commit --plan FILE");
      expect(errorOf(direct).nextStep).to.contain("The cloud was not asked to change anything.");
    }
    expect(await readdir(kept())).to.deep.equal([]);

    const prepared = await prepare({ compose: path("next.yml"), envFile: path(".env") });
    expect(prepared.exitCode, `${prepared.stdout}${prepared.stderr}`).to.equal(0);
    const planned = await loadPlan(plan());
    expect(planned.owner).to.include({ kind: "safe", address: safe.safe.toLowerCase() });
    expect(planned.changes.map(({ call: { functionName } }) => functionName)).to.deep.equal([
      "addComposeHash",
      "addComposeHash",
    ]);
    expect(planned.update?.cvms).to.have.length(3);
    const [name = ""] = await readdir(kept());
    expect(planned.digest.slice(2)).to.match(new RegExp(`^${name.replace(".json", "")}`));
    const secrets = await readFile(join(kept(), name), "utf8");
    expect((await stat(join(kept(), name))).mode & 0o777).to.equal(0o600);
    expect((await stat(kept())).mode & 0o777).to.equal(0o700);
    const { updates } = JSON.parse(secrets);
    const seen = [prepared.stdout, prepared.stderr, await readFile(plan(), "utf8")];

    const waiting = await commit();
    expect(waiting.exitCode).to.equal(6);
    expect(waiting.json<{ missing: unknown[] }>().missing).to.have.length(2);
    const calls = planned.changes.map(({ call }) => call);
    const batch = await buildSafeBatch(world.ownerClient, { safe: safe.safe, calls });
    const [one, , other] = safe.owners;
    await executeSafeBatch(world.ownerClient, { batch, signers: [one, other], payer: world.owner });

    const [done, failed, left] = (await cvms()).map(({ name, id }) => `${name} (${id})`);
    const [, { id: second } = { id: "" }] = await cvms();
    world.cloud.setFault({ kind: "boot-failure", cvm: second, times: 1, reason: "TCB out of date" });
    const stopped = (await commit()).json<{ error: { message: string; nextStep: string; context: object } }>().error;
    expect(stopped.context).to.deep.include({ done: [done], failed, left: [left] });
    expect(stopped.nextStep).to.contain(`: npx hardhat dstack update --commit --plan ${plan()} --network world --wait`);

    // The next commit reaches the cloud, but not its answer.
    world.cloud.setFault({ kind: "dropped-response", route: "/cvms/:cvm_id/commit-update", times: 1 });
    const committed = await requireCommitted(commit(), planned);
    expect(committed.stderr).to.contain(`Safe transaction ${batch.safeTxHash}`);
    for (const text of [...seen, waiting.stdout, committed.stdout, committed.stderr])
      for (const hidden of [
        secret,
        ...updates.flatMap(({ token, draft }: Hidden) => [token, draft.encryptedEnvironment]),
      ])
        expect(text).to.not.include(hidden);
    for (const { id } of await cvms())
      expect(world.cloud.readEnvironment(id)).to.deep.equal([{ key: "GREETING", value: secret }]);
    expect(await readdir(kept())).to.deep.equal([]);
    expect((await commit()).exitCode).to.equal(0);
  });

  it("commits nothing if the owners' transaction made further changes", async () => {
    const safe = await addSafe(world, "1.4.1");
    await giveAppToSafe(world, safe, appId);
    const planned = await requirePrepared({ ...(await oneCvm()), compose: path("next.yml") });
    const more = addComposeHashCall({ appId, composeHash: parseComposeHash("ee".repeat(32)) });
    const calls = [...planned.changes.map(({ call }) => call), more];
    const batch = await buildSafeBatch(world.ownerClient, { safe: safe.safe, calls });
    const [one, other] = safe.owners;
    await executeSafeBatch(world.ownerClient, { batch, signers: [one, other], payer: world.owner });
    const before = await hashes();
    const refused = (await commit()).json<{ error: { code: string; message: string; nextStep: string } }>().error;
    expect(refused.code).to.equal("DSTK-2206");
    expect(refused.message).to.contain("which is not planned").and.contain("eeee");
    expect(refused.nextStep).to.contain("make a new plan");
    expect(await hashes()).to.deep.equal(before);
    // The change itself is allowed now, so preparing it again needs no signature.
    await rm(plan());
    const again = await requirePrepared({ ...(await oneCvm()), compose: path("next.yml") });
    expect(again.changes).to.deep.equal([]);
    await requireCommitted(commit({ wait: true }), again);
    await rm(kept(), { recursive: true });
  });

  it("updates through a timelock of two days after the token has expired", async () => {
    const { ownerClient, owner } = world;
    const delaySeconds = BigInt(2 * day);
    const timelock = await deployTimelock(ownerClient, owner, delaySeconds);
    const send = async (data: Hex) => {
      const hash = await sendTransaction(ownerClient, { to: timelock, data });
      await waitForTransactionReceipt(ownerClient, { hash });
    };
    await sendBatch(ownerClient, { mode: "none", calls: [transferOwnershipCall({ appId, newOwner: timelock })] });
    const acceptance = buildTimelockBatch({ calls: [acceptOwnershipCall({ appId })], timelock, delaySeconds });
    await send(acceptance.schedule);
    await world.advance(2 * day + 60);
    await send(acceptance.execute);

    const planned = await requirePrepared({ compose: path("next.yml") });
    expect(planned.owner.kind).to.equal("timelock");
    const ledger = path(`ledger-${runs}.sqlite`);
    const goOn = () => runTask(hre, ["timelock", "run"], { file: plan(), json: true, yes: true, ledger });
    const scheduled = await goOn();
    expect(scheduled.exitCode, `${scheduled.stdout}${scheduled.stderr}`).to.equal(6);
    const { operationId } = scheduled.json<{ operationId: Hex }>();
    const waiting = await commit();
    expect(waiting.exitCode).to.equal(6);
    expect(waiting.json<{ operation: object }>().operation).to.include({ id: operationId, state: "waiting" });
    const inWords = (await commit({ json: false })).stdout;
    expect(inWords).to.match(/ {2}next {4}npx hardhat dstack timelock execute /);
    expect(inWords).not.to.contain("timelock schedule");
    await world.advance(15 * day);
    const committed = await requireCommitted(goOn(), planned);
    expect(committed.json<{ update: { cvms: unknown[] } }>().update.cvms).to.have.length(3);
    expect(committed.stderr).to.contain(`operation ${operationId}`);
    expect((await commit()).exitCode).to.equal(0);
    const again = await goOn();
    expect(again.exitCode).to.equal(0);
    const isRunning = again.json<{ update: { cvms: { isRunning: boolean }[] } | null }>().update?.cvms;
    expect(isRunning?.map((cvm) => cvm.isRunning)).to.deep.equal([true, true, true]);

    const execute = { file: plan(), yes: true, ledger };
    expect((await runTask(hre, ["timelock", "execute"], execute)).stdout).to.contain(
      "npx hardhat dstack update --commit",
    );
  });

  it("commits an update that a newer one superseded, by an owner's transaction that the user names", async () => {
    const planned = await requirePrepared({ ...(await oneCvm()), compose: path("next.yml") });
    const applied = await runTask(hre, ["plan", "apply"], { file: plan(), json: true, yes: true });
    expect(applied.exitCode, `${applied.stdout}${applied.stderr}`).to.equal(0);
    expect(applied.stderr).to.contain(`npx hardhat dstack update --commit --plan ${plan()} --network world --wait`);
    const { transactions } = applied.json<{ transactions: readonly { transactionHash: Hex }[] }>();
    const [{ id } = { id: "" }] = await cvms();
    await prepareCvmUpdate(world.cloudClient, { cvm: id, dockerCompose: compose("1.31") });
    const wrong = await commit({ transactionHash: `0x${"12".repeat(32)}` });
    expect(errorOf(wrong).name).to.equal("InvalidArgumentError");
    const committed = await requireCommitted(
      commit({ transactionHash: transactions[0]?.transactionHash, until: "safe", wait: true }),
      planned,
    );
    expect(committed.stderr).to.contain("a newer one replaced it. The same change is prepared again.");
    expect(committed.json<{ cvms: object[] }>().cvms[0]).to.include({ isPreparedAgain: true });
    // What is said of a plan whose update is committed must be true.
    const checked = await runTask(hre, ["plan", "check"], { file: plan() });
    expect(checked.stdout).to.contain("change with the commit").and.not.contain("have not changed");
  });

  it("stops if the cloud prepares another document than the owners have allowed", async () => {
    const planned = await requirePrepared({ ...(await oneCvm()), compose: path("next.yml") });
    await execute(planned);
    await world.advance(15 * day);
    const cloud = await startLyingCloud(world.cloud.baseUrl, [
      {
        method: "PATCH",
        path: /^\/cvms\/[^/]+$/,
        tell: (body) => ({
          ...body,
          details: body.details.map((detail: { field?: string }) =>
            detail.field === "compose_hash" ? { ...detail, value: "ab".repeat(32) } : detail,
          ),
        }),
      },
    ]);
    const project = await projectOf({ ...world, cloud }, { kms: world.contracts.kms });
    const before = await hashes();
    const refused = await commit({ wait: true }, project);
    await cloud.close();
    expect(cloud.told).to.deep.equal([1]);
    expect(errorOf(refused)).to.include({ name: "ApprovedHashChangedError" });
    expect(await hashes()).to.deep.equal(before);
  });

  it("refuses a plan that another update has overtaken, and shows what differs", async () => {
    const planned = await requirePrepared({ ...(await oneCvm()), compose: path("next.yml") });
    await execute(planned);
    const other = await update({ ...(await oneCvm()), compose: path("other.yml"), wait: true });
    expect(other.exitCode, other.stdout).to.equal(0);
    const refused = await commit({ json: false });
    expect(refused.exitCode).to.equal(5);
    expect(refused.stdout).to.contain("-     image: nginx:1.30").and.contain("+     image: nginx:1.29");
    expect(refused.stderr)
      .to.contain("Another update came between")
      .and.match(/^DSTK-\d+ \S+ \(cvm_\w+\) has/);
  });

  it("waits for the owners again if a reorganisation has removed their transaction", async () => {
    const planned = await requirePrepared({ ...(await oneCvm()), compose: path("next.yml") });
    const { client } = world.chain;
    const id = await client.snapshot();
    await execute(planned);
    await client.revert({ id });
    const waiting = await commit({ wait: true });
    expect(waiting.exitCode, waiting.stdout).to.equal(6);
    await execute(planned);
    await requireCommitted(commit({ wait: true }), planned);
  });

  it("refuses a plan whose hash was removed again", async () => {
    const planned = await requirePrepared({ ...(await oneCvm()), compose: path("next.yml") });
    await execute(planned);
    const [hash] = planned.update?.cvms ?? [];
    const calls = [removeComposeHashCall({ appId, composeHash: hash?.composeHash as ComposeHash })];
    await sendBatch(world.ownerClient, { mode: "none", calls });
    expect(errorOf(await commit()).name).to.equal("PlanOvertakenError");
  });

  it("prepares nothing where no owner has to sign, and names a wrong use of the options", async () => {
    const environment = await prepare({ envFile: path(".env") });
    expect(errorOf(environment)).to.include({ name: "InvalidArgumentError" });
    expect(errorOf(environment).nextStep).to.contain("without --prepare");
    for (const args of [
      { prepare: true },
      { plan: plan() },
      { prepare: true, commit: true, plan: plan() },
      { commit: true, plan: plan(), compose: path("next.yml") },
      { prepare: true, plan: plan(), dryRun: true },
    ])
      expect(errorOf(await update(args)).name, JSON.stringify(args)).to.equal("InvalidArgumentError");
  });
});

interface Hidden {
  readonly token: string;
  readonly draft: { readonly encryptedEnvironment: string };
}
