import { expect } from "chai";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { readAllowlist } from "../../../../../src/chain/read-app.ts";
import { getCvm } from "../../../../../src/cloud/get-cvm.ts";
import { type AppId, type DeviceId, parseDeviceId } from "../../../../../src/core/ids.ts";
import { devAccount, devPrivateKey } from "../../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../../src/world/start-world.ts";
import { projectOf, runTask, type TaskRun } from "../../../../support/hardhat/run-task.ts";

interface Listed {
  readonly appId: AppId;
  readonly allowAnyDevice: boolean;
  readonly completeness: object;
  readonly cloudProblem?: string;
  readonly devices: readonly {
    readonly deviceId: DeviceId;
    readonly isListed: boolean;
    readonly added?: { readonly by: string; readonly time: string; readonly transactionHash: string };
    readonly nodes: readonly string[];
    readonly cvms: readonly { readonly id: string; readonly name: string; readonly status: string }[];
  }[];
}

const foreign = parseDeviceId("d1".repeat(32));

describe("dstack device", () => {
  let world: World;
  let hre: HardhatRuntimeEnvironment;
  let appId: AppId;
  let snapshot: string;

  before(async () => {
    world = await startWorld({ cloud: { rolloverMs: 0 } });
    hre = await projectOf(world);
    const cvm = await getCvm(world.cloudClient, { cvm: "onchain-app" });
    if (cvm.appId === undefined) throw new Error("The world's CVM has no app.");
    appId = cvm.appId;
  });
  beforeEach(async () => {
    snapshot = await world.snapshot();
  });
  afterEach(() => world.restore(snapshot));
  after(() => world?.close());

  const run = (verb: string, args: Record<string, unknown> = {}, project = hre): Promise<TaskRun> =>
    runTask(project, ["device", verb], {
      cvm: "onchain-app",
      json: true,
      ...(verb === "list" ? {} : { yes: true }),
      ...args,
    });
  const isListed = async (deviceId: DeviceId) =>
    (await readAllowlist(world.ownerClient, { appId, deviceId })).deviceListed;
  const errorOf = (outcome: TaskRun) => outcome.json<{ error: { name: string; code: string } }>().error;
  const transactionsOf = (outcome: TaskRun) => outcome.json<{ transactions: unknown[] }>().transactions;
  const head = () => world.chain.client.getBlockNumber({ cacheTime: 0 });

  it("lists the contract's devices when the cloud does not answer, and says so", async () => {
    const project = await projectOf(world, { cloud: { apiKey: "wrong", baseUrl: world.cloud.baseUrl } });
    const { exitCode, json } = await run("list", { app: appId, cvm: undefined }, project);
    const { devices, cloudProblem } = json<Listed>();
    expect([exitCode, devices.map(({ deviceId }) => deviceId)]).to.deep.equal([0, [world.nodes[0].deviceId]]);
    expect(cloudProblem).to.include("401");
    const told = await run("list", { app: appId, cvm: undefined, json: false }, project);
    expect(told.stdout).to.include("Nodes and CVMs could not be read: ");
  });

  it("adds a device by id and one by its node's name, and lists both with their origin", async () => {
    const added = await run("add", { devices: [foreign] });
    expect(added.exitCode, added.stdout).to.equal(0);
    expect(transactionsOf(added)).to.have.length(1);
    expect((await run("add", { devices: ["node-2"] })).exitCode).to.equal(0);

    const { json } = await run("list", { app: appId, cvm: undefined });
    const { devices, completeness, allowAnyDevice, ...about } = json<Listed>();
    expect(about.appId).to.equal(appId);
    expect(completeness).to.deep.equal({ isComplete: true });
    expect(allowAnyDevice).to.equal(false);
    const of = (deviceId: DeviceId) => devices.find((device) => device.deviceId === deviceId);
    expect(of(world.nodes[0].deviceId)).to.deep.include({ isListed: true, nodes: ["node-1"] });
    expect(of(world.nodes[0].deviceId)?.cvms).to.deep.equal([
      { id: world.cvms.onChain?.id, name: "onchain-app", status: "running" },
    ]);
    expect(of(world.nodes[1].deviceId)).to.deep.include({ isListed: true, nodes: ["node-2"], cvms: [] });
    expect(of(foreign)).to.deep.include({ isListed: true, nodes: [], cvms: [] });
    expect(of(foreign)?.added?.by.toLowerCase()).to.equal(world.owner.address.toLowerCase());
    expect(of(foreign)?.added?.time).to.match(/^\d{4}-\d\d-\d\dT/);
  });

  it("shows the id that the cloud names for a node before it asks, and in the result", async () => {
    const [, node] = world.nodes;
    const named = [{ node: "node-2", deviceId: node.deviceId, namedBy: "cloud" }];
    const unasked = await run("add", { devices: ["node-2"], yes: false });
    expect(unasked.stderr).to.include(`node-2 is device ${node.deviceId}, according to the cloud.`);
    expect(await isListed(node.deviceId)).to.equal(false);
    const added = await run("add", { devices: ["node-2", foreign] });
    expect(added.json<{ namedDevices: unknown }>().namedDevices).to.deep.equal(named);
    const removed = await run("remove", { devices: ["node-2"] });
    expect(removed.json<{ namedDevices: unknown }>().namedDevices).to.deep.equal(named);
  });

  it("adds no device that only the cloud names when the configuration lists the app's devices", async () => {
    const project = await projectOf(world, { apps: { shop: { address: appId, devices: [foreign] } } });
    const refused = await run("add", { devices: ["node-2"] }, project);
    expect(errorOf(refused)).to.include({ name: "UnexpectedDeviceError" });
    expect(await isListed(world.nodes[1].deviceId)).to.equal(false);
    expect((await run("add", { devices: [world.nodes[1].deviceId] }, project)).exitCode).to.equal(0);
  });

  it("removes one device only", async () => {
    await run("add", { devices: [foreign] });
    expect((await run("remove", { devices: [foreign] })).exitCode).to.equal(0);
    expect(await isListed(foreign)).to.equal(false);
    expect(await isListed(world.nodes[0].deviceId)).to.equal(true);
    const { devices } = (await run("list")).json<Listed>();
    expect(devices.filter((device) => device.isListed).map(({ deviceId }) => deviceId)).to.deep.equal([
      world.nodes[0].deviceId,
    ]);
  });

  it("refuses a change without effect, unless it is accepted by name", async () => {
    const block = await head();
    for (const [verb, devices] of [
      ["add", ["node-1"]],
      ["remove", [foreign]],
    ] as const) {
      const refused = await run(verb, { devices });
      expect(errorOf(refused)).to.include({ name: "NoEffectError" });
      expect(refused.exitCode).not.to.equal(0);
    }
    expect(errorOf(await run("allow-any", { state: "off" }))).to.include({ name: "NoEffectError" });
    // Before the task asks.
    expect(errorOf(await run("add", { devices: ["node-1"], yes: false }))).to.include({ name: "NoEffectError" });
    expect(await head()).to.equal(block);
    expect((await run("add", { devices: ["node-1"], accept: "no-effect" })).exitCode).to.equal(0);
    expect(await head()).to.equal(block + 1n);
  });

  it("keeps the device of a CVM, unless its removal is accepted by name", async () => {
    const { deviceId } = world.nodes[0];
    const refused = await run("remove", { devices: ["node-1"] });
    expect(refused.exitCode).to.equal(2);
    expect(errorOf(refused)).to.include({ name: "DeviceNeededError" });
    expect(refused.stdout).to.include("onchain-app").and.to.include("--accept in-use");
    expect(await isListed(deviceId)).to.equal(true);
    expect((await run("remove", { devices: ["node-1"], accept: "in-use" })).exitCode).to.equal(0);
    expect(await isListed(deviceId)).to.equal(false);
  });

  for (const [what, apiKey] of [
    ["there is no API key", ""],
    ["the cloud refuses the key", "phak_wrong"],
  ] as const)
    it(`removes no device when ${what} for the list of CVMs, unless that is accepted by name`, async () => {
      await run("add", { devices: [foreign] });
      const blind = await projectOf(world, { cloud: { baseUrl: world.cloud.baseUrl, apiKey } });
      const args = { app: appId, cvm: undefined, devices: [foreign] };
      const refused = await run("remove", args, blind);
      expect(errorOf(refused)).to.include({ name: "DeviceNeededError" });
      expect(await isListed(foreign)).to.equal(true);
      expect((await run("remove", { ...args, accept: "running-devices" }, blind)).exitCode).to.equal(0);
      expect(await isListed(foreign)).to.equal(false);
    });

  it("switches between any device and the listed ones, and refuses removals without effect", async () => {
    const on = await run("allow-any", { state: "on" });
    expect(on.exitCode).to.equal(0);
    const findings = on.json<{ findings: { rule: string; severity: string }[] }>().findings;
    expect(findings.map(({ rule, severity }) => `${severity} ${rule}`)).to.include("warning any-device");
    expect(on.stderr).to.match(/warning After this change, any machine .* gets the app's keys. \(any-device\)/);
    expect((await readAllowlist(world.ownerClient, { appId })).allowAnyDevice).to.equal(true);
    expect((await run("list")).json<Listed>().allowAnyDevice).to.equal(true);

    const refused = await run("remove", { devices: ["node-1"] });
    expect(errorOf(refused)).to.include({ name: "LintRefusedError" });
    expect(await isListed(world.nodes[0].deviceId)).to.equal(true);
    const accepted = await run("remove", { devices: ["node-1"], accept: "remove-device-without-effect" });
    expect(accepted.exitCode, accepted.stdout).to.equal(0);

    const barring = await run("allow-any", { state: "off" });
    expect(errorOf(barring)).to.include({ name: "DeviceNeededError" });
    expect((await readAllowlist(world.ownerClient, { appId })).allowAnyDevice).to.equal(true);
    expect((await run("allow-any", { state: "off", accept: "in-use" })).exitCode).to.equal(0);
    expect((await readAllowlist(world.ownerClient, { appId })).allowAnyDevice).to.equal(false);
  });

  it("refuses a stranger before anything is sent", async () => {
    const stranger = await projectOf(world, { ownerKey: devPrivateKey(5) });
    const block = await head();
    const refused = await run("add", { devices: [foreign] }, stranger);
    expect(refused.exitCode).to.equal(3);
    expect(errorOf(refused)).to.deep.include({ name: "NotOwnerError" });
    expect(refused.stdout.toLowerCase()).to.include(devAccount(5).address.toLowerCase());
    expect(await head()).to.equal(block);
  });

  it("reports an invalid private key as invalid input, and never shows it", async () => {
    const key = `0x${"ff".repeat(32)}` as const;
    const refused = await run("add", { devices: [foreign] }, await projectOf(world, { ownerKey: key }));
    expect(refused.exitCode).to.equal(2);
    expect(errorOf(refused)).to.include({ name: "InvalidArgumentError" });
    expect(`${refused.stdout}${refused.stderr}`).not.to.include("ffff");
  });

  it("lists from the chain alone without an API key", async () => {
    const keyless = await projectOf(world, { cloud: { baseUrl: world.cloud.baseUrl, apiKey: "" } });
    const { json, exitCode } = await run("list", { app: appId, cvm: undefined }, keyless);
    expect(exitCode).to.equal(0);
    expect(json<Listed>().devices).to.have.length(1);
    const byName = await run("add", { app: appId, cvm: undefined, devices: ["node-2"] }, keyless);
    expect(errorOf(byName)).to.include({ name: "InvalidArgumentError" });
  });

  it("asks the user before it sends", async () => {
    const refused = await run("add", { devices: [foreign], yes: false });
    expect(errorOf(refused)).to.include({ name: "InvalidArgumentError" });
    expect(await isListed(foreign)).to.equal(false);
  });

  it("prints a table", async () => {
    const { stdout } = await run("list", { json: false });
    for (const words of ["listed", "node-1", "onchain-app", world.nodes[0].deviceId, "by"])
      expect(stdout.toLowerCase()).to.include(words);
  });

  for (const [what, verb, args, name] of [
    ["no device", "add", { devices: [] }, "InvalidArgumentError"],
    ["a short id", "add", { devices: ["0x1234"] }, "InvalidHexError"],
    ["a long id", "add", { devices: [`${foreign}00`] }, "InvalidHexError"],
    ["an unknown node", "add", { devices: ["node-9"] }, "InvalidArgumentError"],
    ["the zero id", "add", { devices: [`0x${"00".repeat(32)}`] }, "LintRefusedError"],
    ["the same device twice", "add", { devices: [foreign, foreign] }, "InvalidArgumentError"],
    ["neither on nor off", "allow-any", { state: "maybe" }, "InvalidArgumentError"],
    ["an unknown name", "remove", { devices: [foreign], accept: "everything" }, "InvalidArgumentError"],
    ["an unknown batch mode", "add", { devices: [foreign], batch: "all" }, "InvalidArgumentError"],
  ] as const)
    it(`refuses ${what}`, async () => {
      const block = await head();
      const refused = await run(verb, args);
      expect(errorOf(refused)).to.include({ name });
      expect(refused.exitCode).to.equal(2);
      expect(refused.stderr).not.to.match(/^\s+at /m);
      expect(await head()).to.equal(block);
    });
});
