import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { getTransactionCount } from "viem/actions";
import { sendBatch } from "../../../../src/batch/send-batch.ts";
import { getAppCvms } from "../../../../src/cloud/get-app-cvms.ts";
import type { AppId } from "../../../../src/core/ids.ts";
import { loadPlan } from "../../../../src/plans/plan-file.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { projectOf, runTask } from "../../../support/hardhat/run-task.ts";
import type { TaskProcessSettings } from "../../../support/hardhat/task-process.ts";
import { startLyingCloud } from "../../../support/hostile/lying-cloud.ts";

const program = fileURLToPath(new URL("../../../support/hardhat/task-process.ts", import.meta.url));
const secret = "hunter2 is no password";

/** The cloud has answered this request, and the process is killed before it gets the answer. */
interface Answered {
  readonly method: string;
  readonly path: RegExp;
  /** Number of such answers before. */
  readonly after: number;
}

describe("an update for owners whose process is killed", () => {
  let world: World;
  let hre: HardhatRuntimeEnvironment;
  let root: string;
  let prepare: Record<string, unknown>;
  let commit: Record<string, unknown>;

  before(async () => {
    world = await startWorld({ cloud: { rolloverMs: 0 } });
    root = await mkdtemp(join(tmpdir(), "dstack-killed-"));
    await mkdir(join(root, "project"));
    await writeFile(join(root, "project", "package.json"), "{}");
    await writeFile(path("next.yml"), "services:\n  web:\n    image: nginx:1.29\n    environment: [GREETING]\n");
    await writeFile(path(".env"), `GREETING='${secret}'\n`);
    hre = await projectOf(world, { kms: world.contracts.kms }, {}, { network: "world" }, join(root, "project"));
    const { id, appId: app } = world.cvms.onChain ?? { id: "", appId: "" };
    await world.cloudClient.request({ method: "POST", path: `/cvms/${id}/replicas`, json: { node_id: 1 } });
    await world.cloud.whenIdle();
    const shared = { plan: path("plan.json"), json: true };
    prepare = { ...shared, prepare: true, app, compose: path("next.yml"), envFile: path(".env") };
    commit = { ...shared, commit: true };
  });
  after(async () => {
    await world?.close();
    if (root) await rm(root, { recursive: true, force: true });
  });

  const path = (name: string) => join(root, name);
  const kept = () => readdir(join(root, "project", ".dstack", "prepared"));
  const cvms = () => getAppCvms(world.cloudClient, { appId: world.cvms.onChain?.appId as AppId });

  async function kill(args: Record<string, unknown>, at: Answered | "the plan is written"): Promise<void> {
    const process: { child?: ChildProcess } = {};
    const end = () => process.child?.kill("SIGKILL");
    const tell = (body: unknown) => {
      end();
      return body;
    };
    const cloud = await startLyingCloud(world.cloud.baseUrl, typeof at === "string" ? [] : [{ ...at, tell }]);
    const child = start({ world: { chain: world.chain, cloud, apiKey: world.apiKey }, args });
    process.child = child;
    const watch = setInterval(() => typeof at === "string" && existsSync(path("plan.json")) && end(), 1);
    const signal = await new Promise((resolve) => child.once("exit", (_, by) => resolve(by)));
    clearInterval(watch);
    await cloud.close();
    // What the process writes after the plan may be faster than the signal.
    if (typeof at !== "string") expect(signal, `killed when ${at.method} was answered`).to.equal("SIGKILL");
  }

  function start({ world: { chain, cloud, apiKey }, args }: Pick<TaskProcessSettings, "world" | "args">): ChildProcess {
    const settings: TaskProcessSettings = {
      world: { chain: { id: chain.id, rpcUrl: chain.rpcUrl }, cloud: { baseUrl: cloud.baseUrl }, apiKey },
      config: { kms: world.contracts.kms },
      ...{ root: join(root, "project"), task: ["update"], args },
    };
    const child = spawn(process.execPath, ["--import", "tsx", "--no-warnings", program], {
      stdio: ["pipe", "ignore", "ignore"],
    });
    child.stdin?.end(JSON.stringify(settings));
    return child;
  }

  async function finish(args: Record<string, unknown>): Promise<void> {
    const { exitCode, stdout, stderr } = await runTask(hre, ["update"], args);
    expect(exitCode, `${stdout}${stderr}`).to.equal(0);
  }

  it("is prepared by the same command, and committed once by the same command", async () => {
    await kill(prepare, { method: "PATCH", path: /^\/cvms\/[^/]+$/, after: 1 });
    await kill(prepare, "the plan is written");
    await finish(prepare);
    const { changes, update } = await loadPlan(path("plan.json"));
    expect(update?.cvms).to.have.length(2);
    expect(await kept(), "what belonged to a killed run is not left").to.have.length(1);

    const { ownerClient, owner } = world;
    await sendBatch(ownerClient, { mode: "none", calls: changes.map(({ call }) => call) });
    const nonce = await getTransactionCount(ownerClient, { address: owner.address });
    await kill(commit, { method: "POST", path: /\/commit-update$/, after: 0 });
    await kill(commit, { method: "POST", path: /\/commit-update$/, after: 0 });
    await finish({ ...commit, wait: true });

    const all = await cvms();
    expect(all.map(({ composeHash }) => composeHash)).to.deep.equal(update?.cvms.map(({ composeHash }) => composeHash));
    for (const { id } of all) {
      expect(world.cloud.readEnvironment(id)).to.deep.equal([{ key: "GREETING", value: secret }]);
      expect(world.cloud.readHistory(id).filter(({ kind }) => kind === "update")).to.have.length(1);
    }
    expect(await kept()).to.deep.equal([]);
    expect(await getTransactionCount(ownerClient, { address: owner.address })).to.equal(nonce);
  });
});
