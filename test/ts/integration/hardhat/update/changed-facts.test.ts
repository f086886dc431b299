import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { sendBatch } from "../../../../../src/batch/send-batch.ts";
import { readAllowlist } from "../../../../../src/chain/read-app.ts";
import { type AppId, nameOfCvm } from "../../../../../src/core/ids.ts";
import {
  addComposeHashCall,
  addDeviceCall,
  type OwnerCall,
  removeComposeHashCall,
  removeDeviceCall,
  setAllowAnyDeviceCall,
  setRequireTcbUpToDateCall,
} from "../../../../../src/core/owner-calls.ts";
import type { ChangePlan, PlannedCvm } from "../../../../../src/plans/change-plan.ts";
import { createChangePlan } from "../../../../../src/plans/create-change-plan.ts";
import { loadPlan, savePlan } from "../../../../../src/plans/plan-file.ts";
import { startWorld, type World } from "../../../../../src/world/start-world.ts";
import { projectOf, runTask, type TaskRun } from "../../../../support/hardhat/run-task.ts";

interface Judgement {
  readonly outcome: string;
  readonly objections: readonly { readonly problem: string }[];
  readonly nextStep: string;
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly nextStep: string;
    readonly context: { readonly objections: readonly { readonly problem: string }[] };
  };
}

describe("the facts that the plan of an update rests on", () => {
  let world: World;
  let hre: HardhatRuntimeEnvironment;
  let appId: AppId;
  let directory: string;
  let prepared: string;
  let planned: ChangePlan & { readonly update: { readonly cvms: readonly [PlannedCvm, PlannedCvm] } };
  const path = (name: string) => join(directory, name);
  const run = (task: string, args: Record<string, unknown>): Promise<TaskRun> =>
    runTask(hre, task.split(" "), { json: true, ledger: path("ledger.sqlite"), ...args });
  const check = () => run("plan check", { file: path("plan.json") });
  const commit = (args = {}) => run("update", { commit: true, plan: path("plan.json"), ...args });
  const send = (calls: readonly OwnerCall[]) => sendBatch(world.ownerClient, { calls, mode: "none" });
  const execute = () => send(planned.changes.map(({ call }) => call));
  const onDevice = () => {
    const { deviceId } = planned.update.cvms[0];
    if (deviceId === undefined) throw new Error("The plan names no device.");
    return { appId, deviceId };
  };

  before(async () => {
    world = await startWorld({ cloud: { rolloverMs: 0 } });
    hre = await projectOf(world, { kms: world.contracts.kms });
    const { onChain } = world.cvms;
    if (onChain?.appId === undefined) throw new Error("The world has no CVM with a contract.");
    appId = onChain.appId;
    directory = await mkdtemp(join(tmpdir(), "dstack-facts-"));
    await writeFile(path("next.yml"), "services:\n  web:\n    image: nginx:1.29\n");
    await world.cloudClient.request({ method: "POST", path: `/cvms/${onChain.id}/replicas`, json: { node_id: 1 } });
    await world.cloud.whenIdle();
    const done = await run("update", { app: appId, compose: path("next.yml"), prepare: true, plan: path("plan.json") });
    expect(done.exitCode, `${done.stdout}${done.stderr}`).to.equal(0);
    planned = (await loadPlan(path("plan.json"))) as typeof planned;
    prepared = await world.snapshot();
  });
  afterEach(async () => {
    await world.restore(prepared);
    await savePlan(path("plan.json"), planned);
  });
  after(async () => {
    await world?.close();
    if (directory) await rm(directory, { recursive: true, force: true });
  });

  it("are in the plan: the device of each CVM and the switches of the app", async () => {
    const { allowAnyDevice, requireTcbUpToDate } = await readAllowlist(world.ownerClient, onDevice());
    expect(planned.update).to.deep.include({ app: { allowAnyDevice, requireTcbUpToDate } });
    expect(planned.changes.map(({ call }) => call.functionName)).to.deep.equal(["addComposeHash"]);
    expect((await check()).json<Judgement>()).to.include({ outcome: "ready" });
  });

  it("are judged alike by the check and by the commit, before the plan is executed", async () => {
    const [web, replica] = planned.update.cvms;
    const { deviceId } = onDevice();
    const rows: readonly (readonly [OwnerCall, string])[] = [
      [removeDeviceCall(onDevice()), `needs device ${deviceId}, which the app does not allow.`],
      [
        setRequireTcbUpToDateCall({ appId, requireUpToDate: true }),
        "demands an up-to-date TCB since the plan was made",
      ],
    ];
    for (const [call, problem] of rows) {
      await world.restore(prepared);
      await send([call]);
      const judged = (await check()).json<Judgement>();
      expect(judged.outcome).to.equal("overtaken");
      expect(judged.objections.map((each) => each.problem).join()).to.include(problem);
      const { error } = (await commit()).json<Judgement>();
      expect(error).to.include({ code: "DSTK-5006" });
      expect(error.context.objections.map((each) => each.problem)).to.deep.equal(
        judged.objections.map((each) => each.problem),
      );
      for (const { nextStep } of [judged, error])
        expect(nextStep)
          .to.include("Prepare the update again")
          .and.include(`--prepare --plan ${path("plan.json")}`);
    }
    await world.restore(prepared);
    await send([removeDeviceCall(onDevice())]);
    const inWords = (await run("plan check", { file: path("plan.json"), json: false })).stdout;
    for (const cvm of [web, replica]) expect(inWords).to.include(nameOfCvm(cvm));
  });

  it("are found again if an earlier release has not recorded the device", async () => {
    const cvms = planned.update.cvms.map(({ deviceId: _, ...cvm }) => cvm);
    await savePlan(path("plan.json"), createChangePlan({ ...planned, update: { cvms } }));
    expect((await check()).json<Judgement>()).to.include({ outcome: "ready" });
    await send([removeDeviceCall(onDevice())]);
    expect((await check()).json<Judgement>()).to.include({ outcome: "overtaken" });
  });

  it("include the transaction: another one is refused with what it did and with the right one", async () => {
    const [right] = (await execute()).transactions;
    await send([removeDeviceCall(onDevice())]);
    const [other] = (await send([addDeviceCall(onDevice())])).transactions;
    const { error } = (await commit({ transactionHash: other?.transactionHash })).json<Judgement>();
    expect(error.code).to.equal("DSTK-1007");
    expect(error.message).to.include("did not allow compose hash").and.include("it logged DeviceAdded");
    expect(error.nextStep)
      .to.include(`--transaction-hash ${right?.transactionHash}`)
      .and.not.include("Check the address");
  });

  it("are named with the one command that helps, after the plan was executed", async () => {
    await execute();
    const rows = [
      [removeDeviceCall(onDevice()), `device add ${onDevice().deviceId} --app ${appId}`],
      // Its device is not on the list, but any is allowed.
      [setAllowAnyDeviceCall({ appId, allowAny: false }), `device add ${onDevice().deviceId} --app ${appId}`],
    ] as const;
    const executed = await world.snapshot();
    for (const [call, command] of rows) {
      await world.restore(executed);
      if (call.functionName === "setAllowAnyDevice")
        await send([removeDeviceCall(onDevice()), setAllowAnyDeviceCall({ appId, allowAny: true })]);
      await send([call]);
      const judged = (await check()).json<Judgement>();
      expect(judged.outcome).to.equal("applied");
      expect(judged.nextStep).to.include(`npx hardhat dstack ${command}`);
      const { error } = (await commit()).json<Judgement>();
      expect(error.code).to.equal("DSTK-4009");
      expect(error.nextStep).to.include(`npx hardhat dstack ${command}`).and.not.include("execute");
      for (const cvm of planned.update.cvms) expect(error.message).to.include(nameOfCvm(cvm));
    }
    await send([addDeviceCall(onDevice())]);
    const committed = await commit({ wait: true });
    expect(committed.exitCode, `${committed.stdout}${committed.stderr}`).to.equal(0);
    const checked = (await check()).json<Judgement>();
    expect(checked.objections, "a CVM that was updated needs nothing more").to.deep.equal([]);
  });

  it("include a hash that was allowed before the plan", async () => {
    await execute();
    const again = { app: appId, compose: path("next.yml"), prepare: true, plan: path("again.json") };
    const done = await run("update", again);
    expect(done.exitCode, `${done.stdout}${done.stderr}`).to.equal(0);
    expect((await loadPlan(path("again.json"))).changes).to.deep.equal([]);
    const { composeHash } = planned.update.cvms[0];
    await send([removeComposeHashCall({ appId, composeHash })]);
    const command = `npx hardhat dstack hash add ${composeHash} --app ${appId}`;
    const judged = await run("plan check", { file: path("again.json") });
    expect([judged.exitCode, judged.json<Judgement>().nextStep.startsWith(command)]).to.deep.equal([6, true]);
    const { error } = (await commit({ plan: path("again.json") })).json<Judgement>();
    expect(error.code).to.equal("DSTK-4009");
    expect(error.nextStep).to.include(command);
    await send([addComposeHashCall({ appId, composeHash })]);
    expect((await run("plan check", { file: path("again.json") })).exitCode).to.equal(0);
  });
});
