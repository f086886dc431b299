import { expect } from "chai";
import { network } from "hardhat";
import { encodeFunctionData } from "viem";
import { addDevice } from "../../../../src/chain/add-device.ts";
import { removeComposeHash } from "../../../../src/chain/remove-compose-hash.ts";
import { type AppId, type ComposeHash, parseAppId, parseComposeHash, parseDeviceId } from "../../../../src/core/ids.ts";
import { dstackAppAbi } from "../../../../src/generated/abi.ts";
import { startMockCloud } from "../../../../src/mock-cloud/index.ts";
import { deployDstack } from "../../../support/chain/deploy-dstack.ts";
import {
  type CloudWorld,
  createOffChainCvm,
  createOnChainCvm,
  encryptFor,
  platformOf,
  registerHash,
  request,
  startCloudWorld,
  type TestCvm,
} from "../../../support/mock-cloud/cloud-world.ts";
import { type FaultyRpc, faultyRpc } from "../../../support/mock-cloud/faulty-rpc.ts";
import { type ManualClock, manualClock } from "../../../support/mock-cloud/manual-clock.ts";
import { until } from "../../../support/until.ts";

const nextCompose = "services:\n  app:\n    image: nginx:2\n";

describe("rollover through the boot gate", () => {
  let world: CloudWorld;
  let rpc: FaultyRpc;

  before(async () => {
    const connection = await network.create("local");
    rpc = faultyRpc(connection.provider);
    world = await startCloudWorld(connection, { rpc: rpc.transport });
  });
  after(() => world.cloud.close());
  afterEach(() => rpc.setFault(undefined));

  async function propose(cvm: TestCvm, body: Record<string, unknown>): Promise<string> {
    const answer = await request(world.cloud, "PATCH", `/cvms/${cvm.id}`, { body });
    expect(answer.status, answer.text).to.equal(465);
    return String(answer.body.compose_hash);
  }

  async function confirm(cvm: TestCvm, composeHash: string, transactionHash: string) {
    const answer = await request(world.cloud, "PATCH", `/cvms/${cvm.id}`, {
      body: { compose_hash: composeHash, transaction_hash: transactionHash },
    });
    expect(answer.status, answer.text).to.equal(202);
    return String(answer.body.correlation_id);
  }

  async function read(cvm: TestCvm) {
    await world.cloud.whenIdle();
    const [detail, state] = await Promise.all([
      request(world.cloud, "GET", `/cvms/${cvm.id}`),
      request(world.cloud, "GET", `/cvms/${cvm.id}/state`),
    ]);
    return { detail: detail.body, state: state.body };
  }

  /** The CVM runs the same version as before, and says why. */
  async function expectFallback(cvm: TestCvm, correlationId: string, reason: string) {
    const { detail, state } = await read(cvm);
    expect(detail).to.include({ status: "running", compose_hash: cvm.composeHash.slice(2), progress: null });
    expect(state).to.include({ status: "running", boot_error: reason });
    expect(world.cloud.readHistory(cvm.id).at(-1)).to.include({ correlationId, state: "failed", failure: reason });
  }

  it("boots a registered document and clears an earlier failure", async () => {
    const cvm = await createOnChainCvm(world);
    const body = { docker_compose_file: nextCompose, image: "dstack-0.5.8" };
    const refused = await propose(cvm, body);
    const transactionHash = await registerHash(world, cvm.appId, refused);
    await expectFallback(cvm, await confirm(cvm, refused, transactionHash), "OS image is not allowed");
    const repeated = await request(world.cloud, "PATCH", `/cvms/${cvm.id}`, {
      body: { compose_hash: refused, transaction_hash: transactionHash },
    });
    expect(repeated.status).to.equal(466);

    const composeHash = await propose(cvm, { docker_compose_file: nextCompose });
    expect(composeHash).to.equal(refused);
    await confirm(cvm, composeHash, transactionHash);
    const { detail, state } = await read(cvm);
    expect(detail).to.include({ status: "running", compose_hash: composeHash });
    expect(state).to.not.have.property("boot_error");
  });

  it("also keeps the old environment when the new document does not boot", async () => {
    const cvm = await createOnChainCvm(world, { environment: [{ key: "MODE", value: "old" }] });
    const encrypted_env = await encryptFor(world.cloud, cvm.appId, [{ key: "MODE", value: "new" }]);
    const body = { docker_compose_file: nextCompose, encrypted_env, image: "dstack-0.5.8" };
    const composeHash = await propose(cvm, body);
    const correlationId = await confirm(cvm, composeHash, await registerHash(world, cvm.appId, composeHash));
    await expectFallback(cvm, correlationId, "OS image is not allowed");
    expect(world.cloud.readEnvironment(cvm.id)).to.deep.equal([{ key: "MODE", value: "old" }]);
    expect((await read(cvm)).detail.os).to.include({ name: "dstack-0.5.7" });
  });

  it("stops a new CVM on a device until the device is listed", async () => {
    const cvm = await createOnChainCvm(world, { nodeId: 2 });
    expect((await read(cvm)).state).to.include({ status: "error", boot_error: "Device not allowed" });

    const { client, owner } = world.dstack;
    await addDevice(client, { account: owner, appId: cvm.appId, deviceId: parseDeviceId("ee".repeat(32)) });
    const composeHash = await propose(cvm, { docker_compose_file: nextCompose });
    await confirm(cvm, composeHash, await registerHash(world, cvm.appId, composeHash));
    expect((await read(cvm)).detail).to.include({ status: "running", compose_hash: composeHash });
  });

  it("boots on every device when the app allows any", async () => {
    const cvm = await createOnChainCvm(world, { nodeId: 2, allowAnyDevice: true });
    expect((await read(cvm)).state).to.include({ status: "running" });
  });

  it("does not boot an app that is not registered with the KMS", async () => {
    const provisioned = await request(world.cloud, "POST", "/cvms/provision", {
      body: { name: "unregistered-app", compose_file: { docker_compose_file: nextCompose }, kms: "base" },
    });
    const composeHash = parseComposeHash(String(provisioned.body.compose_hash));
    const appId = await deployUnregisteredApp(world, composeHash);
    const created = await request(world.cloud, "POST", "/cvms", { body: { app_id: appId, compose_hash: composeHash } });
    await world.cloud.whenIdle();
    const { body } = await request(world.cloud, "GET", `/cvms/${created.body.vm_uuid}/state`);
    expect(body).to.include({ status: "error", boot_error: "App not registered" });
  });

  it("waits for a chain that cannot be read, and reads no refusal from it", async () => {
    const cvm = await createOnChainCvm(world);
    const composeHash = await propose(cvm, { docker_compose_file: nextCompose });
    const transactionHash = await registerHash(world, cvm.appId, composeHash);
    world.events.length = 0;
    rpc.setFault((_, params) =>
      JSON.stringify(params ?? [])
        .toLowerCase()
        .includes(world.dstack.kms.slice(2).toLowerCase())
        ? Promise.reject(new Error("timeout"))
        : undefined,
    );
    await confirm(cvm, composeHash, transactionHash);
    await until(() => world.events.filter((event) => event.type === "boot.judged").length >= 2);
    const { body } = await request(world.cloud, "GET", `/cvms/${cvm.id}`);
    expect(body).to.include({ status: "updating", in_progress: true, compose_hash: cvm.composeHash.slice(2) });
    expect(body.progress).to.include({ target: "running" });

    rpc.setFault(undefined);
    expect((await read(cvm)).detail).to.include({ status: "running", compose_hash: composeHash });
    const verdicts = world.events.flatMap((event) => (event.type === "boot.judged" ? [event.verdict] : []));
    expect(verdicts.at(-1)).to.equal("allowed");
    expect(new Set(verdicts.slice(0, -1))).to.deep.equal(new Set(["unreadable"]));
  });

  it("does not accept the verdict of another chain", async () => {
    const cvm = await createOnChainCvm(world);
    const encrypted_env = await encryptFor(world.cloud, cvm.appId, []);
    world.events.length = 0;
    rpc.setFault((method) => (method === "eth_chainId" ? Promise.resolve("0x1") : undefined));
    const answer = await request(world.cloud, "PATCH", `/cvms/${cvm.id}/envs`, { body: { encrypted_env } });
    expect(answer.status).to.equal(202);
    await until(() => world.events.filter((event) => event.type === "boot.judged").length >= 2);
    expect((await request(world.cloud, "GET", `/cvms/${cvm.id}`)).body).to.include({ status: "updating" });
    rpc.setFault(undefined);
    expect((await read(cvm)).state).to.include({ status: "running" });
  });

  it("does not boot on a machine with an outdated TCB when the app requires a current one", async () => {
    const strict = await createOnChainCvm(world, { nodeId: 3, requireTcbUpToDate: true });
    expect((await read(strict)).state).to.include({ status: "error", boot_error: "TCB status is not up to date" });
    const lenient = await createOnChainCvm(world, { nodeId: 3, allowedEnvs: ["LENIENT"] });
    expect((await read(lenient)).state).to.include({ status: "running" });
  });

  it("discards environment variables the document does not allow", async () => {
    const environment = [
      { key: "KEPT", value: "1" },
      { key: "DROPPED", value: "2" },
    ];
    const cvm = await createOnChainCvm(world, { environment, allowedEnvs: ["KEPT"] });
    expect(world.cloud.readEnvironment(cvm.id)).to.deep.equal([{ key: "KEPT", value: "1" }]);
  });

  it("does not boot a CVM whose environment is encrypted to another app's key", async () => {
    const environment = [{ key: "MODE", value: "old" }];
    const cvm = await createOnChainCvm(world, { environment });
    const other = await createOnChainCvm(world, { environment, allowedEnvs: ["MODE", "MORE"] });
    const encrypted_env = await encryptFor(world.cloud, other.appId, [{ key: "MODE", value: "new" }]);
    const answer = await request(world.cloud, "PATCH", `/cvms/${cvm.id}/envs`, { body: { encrypted_env } });
    expect(answer.status).to.equal(202);
    const { state } = await read(cvm);
    expect(state.boot_error).to.include("encrypted environment");
    expect(world.cloud.readEnvironment(cvm.id)).to.deep.equal(environment);
  });

  it("boots a CVM of an off-chain KMS without asking any chain", async () => {
    rpc.setFault(() => Promise.reject(new Error("no chain")));
    const cvm = await createOffChainCvm(world);
    const answer = await request(world.cloud, "PATCH", `/cvms/${cvm.id}`, {
      body: { docker_compose_file: nextCompose },
    });
    expect(answer.status).to.equal(202);
    const { detail } = await read(cvm);
    expect(detail.status).to.equal("running");
    expect(detail.compose_hash).to.not.equal(cvm.composeHash.slice(2));
  });
});

describe("rollover on the clock", () => {
  const rolloverMs = 60_000;
  let world: CloudWorld;
  let clock: ManualClock;

  before(async () => {
    const dstack = await deployDstack(await network.create("local"));
    clock = manualClock();
    world = { dstack, cloud: await startMockCloud({ ...platformOf(dstack), clock, rolloverMs }), events: [] };
  });
  after(() => world.cloud.close());

  async function settle() {
    clock.advance(rolloverMs);
    await world.cloud.whenIdle();
  }

  async function confirmNextCompose(cvm: TestCvm) {
    const path = `/cvms/${cvm.id}`;
    const proposed = await request(world.cloud, "PATCH", path, { body: { docker_compose_file: nextCompose } });
    const composeHash = String(proposed.body.compose_hash);
    const transactionHash = await registerHash(world, cvm.appId, composeHash);
    const body = { compose_hash: composeHash, transaction_hash: transactionHash };
    const accepted = await request(world.cloud, "PATCH", path, { body });
    expect(accepted.status).to.equal(202);
    return { composeHash, correlationId: accepted.body.correlation_id };
  }

  it("leaves running before the answer, and returns to it when its time is over", async () => {
    const cvm = await createOnChainCvm(world, { settle });
    const { composeHash, correlationId } = await confirmNextCompose(cvm);
    const headers = { "X-Phala-Version": "2025-10-28" };
    clock.advance(rolloverMs - 1);

    const nested = await request(world.cloud, "GET", `/cvms/${cvm.id}`);
    expect(nested.body).to.include({ status: "updating", in_progress: true, compose_hash: cvm.composeHash.slice(2) });
    const started_at = new Date(clock.now() - rolloverMs + 1).toISOString();
    expect(nested.body.progress).to.deep.equal({ target: "running", started_at, correlation_id: correlationId });
    const flat = await request(world.cloud, "GET", `/cvms/${cvm.id}`, { headers });
    expect(flat.body).to.include({ status: "updating", in_progress: true });

    clock.advance(1);
    await world.cloud.whenIdle();
    const after = await request(world.cloud, "GET", `/cvms/${cvm.id}`);
    expect(after.body).to.include({ status: "running", in_progress: false, progress: null, compose_hash: composeHash });
  });

  it("refuses every other change meanwhile, with a 409 after which clients try again", async () => {
    const cvm = await createOnChainCvm(world, { settle });
    await confirmNextCompose(cvm);
    const encrypted_env = "ab".repeat(60);
    const attempts: [method: string, path: string, body: unknown][] = [
      ["PATCH", "", { docker_compose_file: "services:\n  app:\n    image: nginx:3\n" }],
      ["PATCH", "", {}],
      ["PATCH", "/docker-compose", { docker_compose_file: "services:\n  app:\n    image: nginx:3\n" }],
      ["PATCH", "/pre-launch-script", { pre_launch_script: "echo hello" }],
      ["PATCH", "/envs", { encrypted_env }],
      ["POST", "/compose_file/provision", { docker_compose_file: "services:\n  app:\n    image: nginx:3\n" }],
      ["PATCH", "/compose_file", { compose_hash: "ab".repeat(32) }],
      ["PATCH", "", { compose_hash: "ab".repeat(32), transaction_hash: "already-registered" }],
    ];
    for (const [method, path, body] of attempts) {
      const answer = await request(world.cloud, method, `/cvms/${cvm.id}${path}`, { body });
      expect(answer.status, `${method} ${path} ${JSON.stringify(body)}`).to.equal(409);
      expect(answer.body).to.not.have.property("error_code");
    }
    await settle();
  });

  it("falls back when the hash is removed between verification and boot", async () => {
    const cvm = await createOnChainCvm(world, { settle });
    const { composeHash, correlationId } = await confirmNextCompose(cvm);
    const { client, owner } = world.dstack;
    await removeComposeHash(client, { account: owner, appId: cvm.appId, composeHash: parseComposeHash(composeHash) });
    await settle();
    const { body } = await request(world.cloud, "GET", `/cvms/${cvm.id}/state`);
    expect(body).to.include({ status: "running", boot_error: "Compose hash not allowed" });
    expect(world.cloud.readHistory(cvm.id).at(-1)).to.include({ correlationId, state: "failed" });
  });
});

async function deployUnregisteredApp({ dstack }: CloudWorld, composeHash: ComposeHash): Promise<AppId> {
  const { connection, appImplementation, owner, deviceId } = dstack;
  const args = [owner.address, false, false, false, deviceId, composeHash] as const;
  const initialize = encodeFunctionData({ abi: dstackAppAbi, functionName: "initialize", args });
  const { address } = await connection.viem.deployContract("ERC1967Proxy", [appImplementation, initialize]);
  return parseAppId(address);
}
