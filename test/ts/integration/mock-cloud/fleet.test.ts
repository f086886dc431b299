import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@phala/cloud";
import { expect } from "chai";
import { network } from "hardhat";
import { addDevice } from "../../../../src/chain/add-device.ts";
import { waitForReceipt } from "../../../../src/chain/transactions/receipt.ts";
import { parseDeviceId } from "../../../../src/core/ids.ts";
import { type RunningMockCloud, startMockCloud } from "../../../../src/mock-cloud/index.ts";
import { adminKey, adminRequest } from "../../../support/mock-cloud/admin-request.ts";
import {
  apiKey,
  type CloudWorld,
  createOffChainCvm,
  createOnChainCvm,
  dockerCompose,
  encryptFor,
  officialClient,
  registerHash,
  request,
  startCloudWorld,
  type TestCvm,
} from "../../../support/mock-cloud/cloud-world.ts";

const nextCompose = "services:\n  app:\n    image: nginx:2\n";
const secondDevice = "ee".repeat(32);

describe("a scheduler that moves CVMs", () => {
  let world: CloudWorld;

  before(async () => {
    world = await startCloudWorld(await network.create("local"), { admin: { key: adminKey } });
  });
  after(() => world.cloud.close());

  const get = async (cvm: TestCvm, path = "") => (await request(world.cloud, "GET", `/cvms/${cvm.id}${path}`)).body;

  async function propose(cvm: TestCvm, docker_compose_file = nextCompose) {
    const answer = await request(world.cloud, "PATCH", `/cvms/${cvm.id}`, { body: { docker_compose_file } });
    expect(answer.status, answer.text).to.equal(465);
    return { composeHash: String(answer.body.compose_hash), deviceId: String(answer.body.device_id) };
  }

  async function confirm(cvm: TestCvm, composeHash: string) {
    const transactionHash = await registerHash(world, cvm.appId, composeHash);
    const body = { compose_hash: composeHash, transaction_hash: transactionHash };
    const answer = await request(world.cloud, "PATCH", `/cvms/${cvm.id}`, { body });
    expect(answer.status, answer.text).to.equal(202);
    await world.cloud.whenIdle();
  }

  async function allowDevice(cvm: TestCvm, deviceId: string) {
    const { client, owner } = world.dstack;
    const parameters = { account: owner, appId: cvm.appId, deviceId: parseDeviceId(deviceId) };
    const transactionHash = await addDevice(client, parameters);
    await waitForReceipt(client, { transactionHash, functionName: "addDevice" });
  }

  it("names the next node's device in the 465 and boots there once the device is allowed", async () => {
    const cvm = await createOnChainCvm(world);
    world.cloud.moveCvm(cvm.id, 2);
    expect(await get(cvm)).to.have.nested.property("node_info.id", 1);

    const { composeHash, deviceId } = await propose(cvm);
    expect(deviceId).to.equal(secondDevice);
    await allowDevice(cvm, deviceId);
    await confirm(cvm, composeHash);
    const detail = await get(cvm);
    expect(detail).to.include({ status: "running", compose_hash: composeHash });
    expect(detail.node_info).to.include({ id: 2, device_id: secondDevice });

    const next = await propose(cvm, dockerCompose.replace("nginx:1", "nginx:3"));
    expect(next.deviceId, "it stays there").to.equal(secondDevice);
  });

  it("leaves the CVM on its node when it may not boot on the next, and tries again at the next update", async () => {
    const cvm = await createOnChainCvm(world);
    world.cloud.moveCvm(cvm.id, 2);
    const { composeHash } = await propose(cvm);
    await confirm(cvm, composeHash);
    expect(await get(cvm, "/state")).to.include({ status: "running", boot_error: "Device not allowed" });
    const detail = await get(cvm);
    expect(detail).to.include({ compose_hash: cvm.composeHash.slice(2) });
    expect(detail.node_info).to.include({ id: 1 });

    const again = await propose(cvm);
    expect(again).to.deep.equal({ composeHash, deviceId: secondDevice });
    await allowDevice(cvm, again.deviceId);
    await confirm(cvm, composeHash);
    expect((await get(cvm)).node_info).to.include({ id: 2 });
  });

  it("moves a CVM also at a rollover without a new hash", async () => {
    const cvm = await createOffChainCvm(world);
    world.cloud.moveCvm(cvm.id, 2);
    const encrypted_env = await encryptFor(world.cloud, cvm.appId, [], "phala");
    const answer = await request(world.cloud, "PATCH", `/cvms/${cvm.id}/envs`, { body: { encrypted_env } });
    expect(answer.status, answer.text).to.equal(202);
    await world.cloud.whenIdle();
    expect((await get(cvm)).node_info).to.include({ id: 2 });
  });

  it("moves a CVM at a restart, but not when it is switched off", async () => {
    const cvm = await createOnChainCvm(world);
    const act = async (action: string) => {
      await request(world.cloud, "POST", `/cvms/${cvm.id}/${action}`);
      await world.cloud.whenIdle();
      return get(cvm);
    };
    world.cloud.moveCvm(cvm.id, 2);
    expect((await act("stop")).node_info).to.include({ id: 1 });
    expect(await act("start")).to.include({ status: "error" });
    expect((await get(cvm)).node_info).to.include({ id: 1 });
    await allowDevice(cvm, secondDevice);
    const moved = await act("restart");
    expect(moved).to.include({ status: "running" });
    expect(moved.node_info).to.include({ id: 2 });
  });

  it("cancels a planned move, and refuses an unknown node", async () => {
    const cvm = await createOnChainCvm(world);
    world.cloud.moveCvm(cvm.id, 2);
    world.cloud.moveCvm(cvm.id, 1);
    expect((await propose(cvm)).deviceId).to.equal(world.dstack.deviceId.slice(2));
    expect(() => world.cloud.moveCvm(cvm.id, 77))
      .to.throw()
      .with.property("errorCode", "ERR-01-001");
  });

  it("is also controlled over HTTP", async () => {
    const cvm = await createOnChainCvm(world);
    const move = (id: string, body: unknown) => adminRequest(world.cloud, "POST", `/cvms/${id}/move`, body);
    expect((await move(cvm.id, { node_id: 2 })).status).to.equal(204);
    expect((await propose(cvm)).deviceId).to.equal(secondDevice);
    expect((await move(cvm.id, { node_id: 1 })).status).to.equal(204);
    expect((await propose(cvm)).deviceId).to.equal(world.dstack.deviceId.slice(2));
    expect((await move(cvm.id, { node_id: 77 })).status).to.equal(400);
    expect((await move(cvm.id, {})).status).to.equal(422);
    expect((await move("cvm_nowhere", { node_id: 1 })).status).to.equal(404);

    const { body } = await adminRequest(world.cloud, "POST", "/nodes/2/drift");
    expect((body as { device_id: string }).device_id)
      .to.match(/^[0-9a-f]{64}$/)
      .and.not.equal(secondDevice);
    expect((await adminRequest(world.cloud, "POST", "/nodes/77/drift")).status).to.equal(400);
    expect((await adminRequest(world.cloud, "POST", "/nodes/two/drift")).status).to.equal(422);
  });
});

describe("a node whose device id drifts", () => {
  it("presents the new id at every later boot, also after a restart, until it is set again", async () => {
    const folder = await mkdtemp(join(tmpdir(), "fleet-"));
    const stateFile = join(folder, "cloud.db");
    const world = await startCloudWorld(await network.create("local"), { stateFile });
    const cvm = await createOnChainCvm(world);
    const drifted = world.cloud.driftDevice(1);
    expect(drifted).to.not.equal(world.dstack.deviceId);

    const body = { docker_compose_file: nextCompose };
    const proposed = await request(world.cloud, "PATCH", `/cvms/${cvm.id}`, { body });
    expect(proposed.body.device_id).to.equal(drifted.slice(2));
    const compose_hash = String(proposed.body.compose_hash);
    const transaction_hash = await registerHash(world, cvm.appId, compose_hash);
    await request(world.cloud, "PATCH", `/cvms/${cvm.id}`, { body: { compose_hash, transaction_hash } });
    await world.cloud.whenIdle();
    const { body: state } = await request(world.cloud, "GET", `/cvms/${cvm.id}/state`);
    // Neither document may boot on a device that is not allowed.
    expect(state).to.include({ status: "error", boot_error: "Device not allowed" });
    await world.cloud.close();

    const deviceOf = async (cloud: RunningMockCloud) =>
      (await createClient({ apiKey, baseURL: cloud.baseUrl }).getCvmInfo({ id: cvm.id })).node_info?.device_id;
    const nodes = [{ id: 1, name: "node-1", deviceId: world.dstack.deviceId }];
    const restarted = await startMockCloud({ stateFile, nodes });
    expect(await deviceOf(restarted)).to.equal(drifted.slice(2));
    restarted.seed({ nodes: [{ id: 1, name: "node-1", deviceId: secondDevice }] });
    expect(await deviceOf(restarted)).to.equal(secondDevice);
    await restarted.close();
    rmSync(folder, { recursive: true });
  });
});

describe("the place of a new CVM", () => {
  let world: CloudWorld;

  before(async () => {
    const capacity = { vcpu: 2, memoryMb: 4096, cvmSlots: 2 };
    world = await startCloudWorld(await network.create("local"), {
      nodes: [
        { id: 1, name: "east-1", deviceId: "e1".repeat(32), region: "east", capacity },
        { id: 2, name: "east-2", deviceId: "e2".repeat(32), region: "east", capacity },
        { id: 3, name: "west-1", deviceId: "a1".repeat(32), region: "west", capacity },
      ],
      osImages: [
        { name: "dstack-0.5.7", version: "0.5.7", osImageHash: "07".repeat(32) },
        { name: "dstack-dev-0.5.7", version: "0.5.7", osImageHash: "0d".repeat(32), isDev: true },
      ],
    });
  });
  after(() => world.cloud.close());

  let count = 0;
  function provision(wanted: Record<string, unknown>) {
    count += 1;
    const body = { name: `placed-cvm-${count}`, compose_file: { docker_compose_file: dockerCompose }, ...wanted };
    return request(world.cloud, "POST", "/cvms/provision", { body });
  }

  async function create(wanted: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const { app_id, compose_hash, node_id } = (await provision(wanted)).body;
    await request(world.cloud, "POST", "/cvms", { body: { app_id, compose_hash } });
    return { app_id, compose_hash, node_id };
  }

  it("is the first node with room, the given node, or one of the given region", async () => {
    expect((await provision({})).body).to.include({ node_id: 1, device_id: "e1".repeat(32) });
    expect((await provision({ node_id: 2 })).body).to.include({ node_id: 2, device_id: "e2".repeat(32) });
    expect((await provision({ teepod_id: 3 })).body).to.include({ node_id: 3 });
    expect((await provision({ region: "west" })).body).to.include({ node_id: 3, device_id: "a1".repeat(32) });
    expect((await create({ node_id: 1 })).node_id).to.equal(1);
    expect((await create({ node_id: 1 })).node_id).to.equal(1);
    expect((await provision({})).body).to.include({ node_id: 2 });
  });

  it("is refused with a code when the place is unknown or has no room", async () => {
    const refusals: [Record<string, unknown>, string][] = [
      [{ node_id: 77 }, "ERR-01-001"],
      [{ region: "moon" }, "ERR-01-001"],
      [{ node_id: 1 }, "ERR-02-005"],
      [{ node_id: 3, vcpu: 3 }, "ERR-02-003"],
      [{ node_id: 3, memory: 4097 }, "ERR-02-004"],
      [{ region: "west", vcpu: 3 }, "ERR-02-002"],
    ];
    for (const [wanted, error_code] of refusals) {
      const { status, body } = await provision(wanted);
      expect({ status, code: body.error_code }, JSON.stringify(wanted)).to.deep.equal({
        status: 400,
        code: error_code,
      });
    }
  });

  it("needs room when its CVM grows", async () => {
    const { app_id } = await create({ node_id: 3, vcpu: 1, memory: 2048 });
    await world.cloud.whenIdle();
    const resize = (path: string, body: object) => request(world.cloud, "PATCH", `/cvms/${app_id}${path}`, { body });
    for (const path of ["/resources", ""]) {
      expect((await resize(path, { vcpu: 3 })).body).to.include({ error_code: "ERR-02-003" });
      expect((await resize(path, { memory: 4097 })).body).to.include({ error_code: "ERR-02-004" });
    }
    const fitting = await resize("/resources", { vcpu: 2, memory: 4096 });
    expect(fitting.status, fitting.text).to.equal(202);
    await world.cloud.whenIdle();
    expect((await resize("/resources", { vcpu: 1 })).status, "shrinks on a full node").to.equal(202);
    await world.cloud.whenIdle();
  });

  it("boots a development image when the request prefers one", async () => {
    expect((await provision({ prefer_dev: true })).body).to.include({ os_image_hash: "0d".repeat(32) });
    expect((await provision({ prefer_dev: false })).body).to.include({ os_image_hash: "07".repeat(32) });
  });
});

describe("an app id of one's own choice", () => {
  let world: CloudWorld;

  before(async () => {
    world = await startCloudWorld(await network.create("local"));
  });
  after(() => world.cloud.close());

  const provision = (name: string, wanted: Record<string, unknown>) =>
    request(world.cloud, "POST", "/cvms/provision", {
      body: { name, compose_file: { docker_compose_file: dockerCompose }, ...wanted },
    });

  it("comes with its nonce, and is used once a CVM has it", async () => {
    const client = officialClient(world.cloud);
    const { app_ids } = await client.nextAppIds({ counts: 3 });
    expect(app_ids.map(({ nonce }) => nonce)).to.deep.equal([0, 1, 2]);
    const [, second] = app_ids;
    const provisioned = await client.provisionCvm({
      name: "cvm-of-my-own",
      compose_file: { docker_compose_file: dockerCompose },
      kms: "PHALA",
      ...second,
    });
    expect(provisioned.app_id).to.equal(second?.app_id);
    const { compose_hash } = provisioned;
    await client.commitCvmProvision({ app_id: String(second?.app_id), compose_hash });

    expect((await client.nextAppIds()).app_ids).to.deep.equal([{ ...app_ids[2] }]);
    const again = await provision("cvm-of-my-own-2", { kms: "PHALA", ...second });
    expect(again.status).to.equal(409);
    expect(again.body).to.include({ error_code: "ERR-03-007" });
  });

  it("is refused without its nonce, or with another's", async () => {
    const { body } = await request(world.cloud, "GET", "/kms/phala/next_app_id?counts=2");
    const [first, second] = body.app_ids as { app_id: string; nonce: number }[];
    for (const wanted of [{ app_id: first?.app_id }, { app_id: first?.app_id, nonce: second?.nonce }]) {
      const answer = await provision("cvm-with-a-wrong-id", { kms: "PHALA", ...wanted });
      expect(answer.status).to.equal(400);
      expect(answer.body).to.include({ error_code: "ERR-02-008" });
    }
    const { status } = await request(world.cloud, "GET", "/kms/phala/next_app_id?counts=21");
    expect(status).to.equal(422);
  });

  it("may be an app contract that exists already, on an on-chain KMS", async () => {
    const app_id = "ab".repeat(20);
    const { body } = await provision("cvm-of-a-contract", { kms: "BASE", app_id });
    expect(body).to.include({ app_id });
    expect(body.app_env_encrypt_pubkey).to.match(/^[0-9a-f]{64}$/);
  });
});
