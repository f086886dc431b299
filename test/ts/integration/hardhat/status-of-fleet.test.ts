import { expect } from "chai";
import { removeComposeHash } from "../../../../src/chain/remove-compose-hash.ts";
import { waitForReceipt } from "../../../../src/chain/transactions/receipt.ts";
import type { Cvm } from "../../../../src/cloud/cvm.ts";
import { getAppCvms } from "../../../../src/cloud/get-app-cvms.ts";
import { projectOf, runTask } from "../../../support/hardhat/run-task.ts";
import { addReplica, control, type PruneWorld, startPruneWorld } from "../../../support/prune/prune-world.ts";

// Instances of an app have the name of its first CVM unless the user gives them another one.
describe("an app with two CVMs of one name", () => {
  let world: PruneWorld;
  let first: Cvm;
  let second: Cvm;

  const run = async (task: readonly string[], args: Record<string, unknown> = {}) =>
    runTask(await projectOf(world, { apps: { shop: world.appId } }), task, {
      ...(task[0] === "status" || task[1] === "list" ? { store: ":memory:" } : {}),
      ...args,
    });

  before(async () => {
    world = await startPruneWorld({ cloud: { rolloverMs: 0 } });
    const composeHash = await addReplica(world, "1.27");
    const cvms = await getAppCvms(world.cloudClient, { appId: world.appId });
    const of = (hash: string) => cvms.find((cvm) => cvm.composeHash === hash) as Cvm; // made just before
    [first, second] = [of(world.firstHash), of(composeHash)];
  });
  after(() => world?.close());

  it("is shown with the id of each, the stopped one as stopped", async () => {
    expect(first.name).to.equal(second.name);
    await control(world, second.id, "stop");
    const { stdout } = await run(["status"]);
    expect(stdout)
      .to.include(`${first.composeHash}\n      runs on ${first.name} (${first.id})\n`)
      .and.to.include(`${second.composeHash}\n      is on ${second.name} (${second.id}), which is stopped\n`)
      .and.to.include(`  hosts ${first.name} (${first.id})\n`)
      .and.to.include(`  hosts ${second.name} (${second.id}), which is stopped\n`);
    await control(world, second.id, "start");
  });

  it("is shown when the document of one cannot be read, and says so", async () => {
    world.cloud.setFault({ kind: "too-many-requests", route: `/cvms/${second.id}/compose_file`, seconds: 3600 });
    const { exitCode, stdout } = await run(["status"]);
    world.cloud.clearFaults();
    expect([exitCode, stdout.includes(`runs on ${second.name} (${second.id})`)]).to.deep.equal([0, true]);
    expect(stdout).to.include(`The document of ${second.name} (${second.id}) was not checked: `).and.to.include("429");
    expect(stdout).to.not.include(`What ${first.name} (${first.id})`);
  });

  it("is compared with a file, each CVM separately", async () => {
    const { stdout } = await run(["hash"], { file: "examples/hardhat/package.json", app: "shop", hash: undefined });
    expect(stdout).to.include(`(${first.id})`).and.to.include(`(${second.id})`);
  });

  it("names the CVM that would not boot, or that needs a hash or a device", async () => {
    const untouched = await world.snapshot();
    const { appId, ownerClient } = world;
    const kept = await run(["hash", "remove"], { hashes: [second.composeHash], yes: true });
    expect(kept.stderr).to.include(`(${second.id})`).and.to.not.include(first.id);
    const device = await run(["device", "remove"], { devices: [first.deviceId], yes: true });
    expect(device.stderr).to.include(`(${first.id})`).and.to.include(`(${second.id})`);
    const composeHash = world.firstHash;
    const transactionHash = await removeComposeHash(ownerClient, { appId, composeHash });
    await waitForReceipt(ownerClient, { transactionHash, functionName: "removeComposeHash" });
    expect((await run(["status"])).stdout).to.include(`warning ${first.name} (${first.id}) runs compose hash`);
    await world.restore(untouched);
  });

  it("needs an id when the name belongs to both", async () => {
    const { exitCode, stderr } = await run(["boot-check"], { cvm: first.name });
    expect(exitCode).to.equal(4);
    expect(stderr).to.include("by its id");
    expect((await run(["boot-check"], { cvm: second.id })).exitCode).to.equal(0);
  });
});
