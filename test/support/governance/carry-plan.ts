import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { root } from "../../../scripts/support/paths.ts";
import { readAllowlist, readAppSettings } from "../../../src/chain/read-app.ts";
import { getAppCvms } from "../../../src/cloud/get-app-cvms.ts";
import { type AppId, parseComposeHash } from "../../../src/core/ids.ts";
import type { DstackUserConfig } from "../../../src/hardhat/type-extensions.ts";
import { loadPlan } from "../../../src/plans/plan-file.ts";
import { devPrivateKey } from "../../../src/world/chain/client.ts";
import type { World } from "../../../src/world/start-world.ts";
import { deployCompiled } from "../chain/upgrade-to.ts";
import { projectOf, runTask, type TaskRun } from "../hardhat/run-task.ts";

/** A world whose app has three CVMs, and the commands of the people around it. */
export interface GovernedApp {
  readonly world: World;
  readonly appId: AppId;
  readonly directory: string;
  /** Runs a task with a key of the local chain, and demands its exit code. */
  run(key: number, task: string, args?: Record<string, unknown>, exitCode?: number): Promise<TaskRun>;
}

export async function createGovernedApp(
  world: World,
  directory: string,
  config: DstackUserConfig = {},
): Promise<GovernedApp> {
  const { onChain } = world.cvms;
  if (onChain?.appId === undefined) throw new Error("The world has no CVM with a contract.");
  for (const _ of [1, 2])
    await world.cloudClient.request({ method: "POST", path: `/cvms/${onChain.id}/replicas`, json: { node_id: 1 } });
  await world.cloud.whenIdle();
  const projects = new Map<number, HardhatRuntimeEnvironment>();
  const projectWith = async (key: number) => {
    const project =
      projects.get(key) ??
      (await projectOf(world, { ownerKey: devPrivateKey(key), kms: world.contracts.kms, ...config }, artifacts));
    projects.set(key, project);
    return project;
  };
  const run = async (key: number, task: string, args: Record<string, unknown> = {}, exitCode = 0) => {
    const done = await runTask(await projectWith(key), task.split(" "), { json: true, ...args });
    expect(done.exitCode, `${task}: ${done.stdout}${done.stderr}`).to.equal(exitCode);
    return done;
  };
  return { world, appId: onChain.appId, directory, run };
}

/** The compiled contracts of this repository, with which an upgrade's storage layout is compared. */
const artifacts = { paths: { artifacts: join(root, "artifacts") } };

/** Upgrades the app to new code, in a plan that the owners execute in their way. */
export async function upgradeCode(app: GovernedApp, execute: (plan: string) => Promise<void>): Promise<void> {
  const { appId, directory, run, world } = app;
  const implementation = await deployCompiled(world.ownerClient, "DstackApp");
  const plan = join(directory, "upgrade.json");
  await run(0, "app upgrade", { app: appId, implementation, plan, ledger: join(directory, "upgrade.sqlite") });
  await execute(plan);
  const settings = await readAppSettings(world.ownerClient, { appId });
  expect(settings.implementation?.toLowerCase()).to.equal(implementation.toLowerCase());
}

/** Updates all three CVMs in one plan that the owners execute in their way, and follows the rollovers. */
export async function updateEveryCvm(app: GovernedApp, execute: (plan: string) => Promise<void>): Promise<void> {
  const { world, appId, directory, run } = app;
  const compose = join(directory, "docker-compose.yml");
  await writeFile(compose, "services:\n  web:\n    image: nginx:1.29\n");
  const plan = join(directory, "update.json");
  const ledger = join(directory, "update.sqlite");
  await run(0, "update", { app: appId, compose, prepare: true, plan, ledger });
  const { update, changes } = await loadPlan(plan);
  expect([update?.cvms.length, changes.length]).to.deep.equal([3, 1]);
  const before = await hashesOf(app);
  await execute(plan);
  expect(await hashesOf(app), "no CVM moves before the commit").to.deep.equal(before);
  await run(0, "update", { commit: true, plan, ledger, wait: true });
  expect(await hashesOf(app)).to.deep.equal(update?.cvms.map(({ composeHash }) => composeHash));
  const cvms = await getAppCvms(world.cloudClient, { appId });
  expect(cvms.map(({ status }) => status)).to.deep.equal(["running", "running", "running"]);
}

/** Removes the hash that the update left behind, in a plan that the owners execute in their way. */
export async function pruneWhatIsLeft(app: GovernedApp, execute: (plan: string) => Promise<void>): Promise<void> {
  const { appId, directory, run, world } = app;
  const plan = join(directory, "prune.json");
  await run(0, "prune", { app: appId, keep: "0", plan, store: ":memory:" });
  const { changes } = await loadPlan(plan);
  expect(changes.map(({ call }) => call.functionName)).to.deep.equal(["removeComposeHash"]);
  const composeHash = parseComposeHash(`${changes[0]?.call.args[0]}`);
  await execute(plan);
  expect((await readAllowlist(world.ownerClient, { appId, composeHash })).composeHashAllowed).to.equal(false);
}

async function hashesOf({ world, appId }: GovernedApp) {
  return (await getAppCvms(world.cloudClient, { appId })).map(({ composeHash }) => composeHash);
}
