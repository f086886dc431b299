import { createAppInstance, getAppCvms, replicateCvm } from "@phala/cloud";
import { expect } from "chai";
import { network } from "hardhat";
import { addDevice } from "../../../../src/chain/add-device.ts";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import { waitForReceipt } from "../../../../src/chain/transactions/receipt.ts";
import { parseComposeHash, parseDeviceId } from "../../../../src/core/ids.ts";
import { startMockCloud } from "../../../../src/mock-cloud/index.ts";
import { deployDstack } from "../../../support/chain/deploy-dstack.ts";
import {
  type Answer,
  type CloudWorld,
  createOffChainCvm,
  createOnChainCvm,
  encryptFor,
  officialClient,
  platformOf,
  registerHash,
  request,
  startCloudWorld,
  type TestCvm,
} from "../../../support/mock-cloud/cloud-world.ts";
import { type FaultyRpc, faultyRpc } from "../../../support/mock-cloud/faulty-rpc.ts";
import { manualClock } from "../../../support/mock-cloud/manual-clock.ts";

const nextCompose = "services:\n  app:\n    image: nginx:2\n";
const secondDevice = "ee".repeat(32);

describe("several CVMs of one app", () => {
  let world: CloudWorld;
  let rpc: FaultyRpc;
  let cvm: TestCvm;
  let uuid: string;

  before(async () => {
    const connection = await network.create("local");
    const dstack = await deployDstack(connection);
    rpc = faultyRpc(connection.provider);
    const kms = [
      { slug: "kms-phala-1" },
      { slug: "kms-base-1", chainId: 8453, contractAddress: dstack.kms, rpc: rpc.transport },
    ];
    world = { dstack, cloud: await startMockCloud({ ...platformOf(dstack), kms }), events: [] };
  });
  after(() => world.cloud.close());
  afterEach(() => rpc.setFault(undefined));
  beforeEach(async () => {
    cvm = await createOnChainCvm(world, { environment: [{ key: "MODE", value: "blue" }] });
    uuid = String((await request(world.cloud, "GET", `/cvms/${cvm.id}`)).body.vm_uuid);
  });

  const post = (path: string, body?: unknown, headers: Record<string, string> = {}) =>
    request(world.cloud, "POST", path, { body, headers });
  const apps = () => `/apps/${cvm.appId.slice(2)}`;

  function readRegistration(answer: Answer): Record<string, unknown> {
    expect(answer.status, answer.text).to.equal(465);
    const details = answer.body.details as { field: string; value: unknown }[];
    return Object.fromEntries(details.map(({ field, value }) => [field, value]));
  }

  async function allowDevice(deviceId: unknown) {
    const { client, owner } = world.dstack;
    const parameters = { account: owner, appId: cvm.appId, deviceId: parseDeviceId(String(deviceId)) };
    const transactionHash = await addDevice(client, parameters);
    await waitForReceipt(client, { transactionHash, functionName: "addDevice" });
  }

  async function readCvm(id: unknown) {
    await world.cloud.whenIdle();
    return (await request(world.cloud, "GET", `/cvms/${id}`)).body;
  }

  it("puts a replica on another node once its device is allowed, with the same document and environment", async () => {
    const registration = readRegistration(await post(`/cvms/${uuid}/replicas`, {}));
    expect(registration).to.include({
      compose_hash: cvm.composeHash.slice(2),
      app_id: cvm.appId.slice(2),
      device_id: secondDevice,
    });
    expect(registration.onchain_status).to.deep.equal({
      compose_hash_allowed: true,
      device_id_allowed: false,
      is_allowed: false,
    });
    expect(registration.kms_info).to.have.nested.property("chain.contracts.multicall3.address");
    expect(registration.kms_info).to.have.nested.property("chain.id", 8453);

    await allowDevice(registration.device_id);
    const { commit_token: token, compose_hash } = registration;
    const body = { token, compose_hash, transaction_hash: "already-registered" };
    const committed = await post(`/cvms/${uuid}/commit-replica`, body);
    expect(committed.status, committed.text).to.equal(200);
    expect(committed.body).to.include({ app_id: cvm.appId.slice(2), teepod_id: 2 });
    const replica = await readCvm(committed.body.id);
    expect(replica).to.include({ status: "running", compose_hash, app_id: cvm.appId.slice(2) });
    expect(replica.vm_uuid).to.not.equal(uuid);
    expect(world.cloud.readEnvironment(String(replica.id))).to.deep.equal([{ key: "MODE", value: "blue" }]);

    const again = await post(`/cvms/${uuid}/commit-replica`, body);
    expect(again.body.vm_uuid, "the same token, the same CVM").to.equal(replica.vm_uuid);
    expect((await request(world.cloud, "GET", `${apps()}/cvms`)).text).to.include(String(replica.vm_uuid));
  });

  it("needs no token when the contract allows both already, with each encoding of an empty body", async () => {
    for (const body of [{ node_id: 1 }, { node_id: 1, encrypted_env: null, compose_hash: null }]) {
      const answer = await post(`/cvms/${uuid}/replicas`, body);
      expect(answer.status, answer.text).to.equal(200);
      expect(await readCvm(answer.body.id)).to.include({ status: "running" });
    }
    const offChain = await createOffChainCvm(world);
    const raw = (body: string) => post(`/cvms/${offChain.id}/replicas`, body, { "Content-Type": "application/json" });
    for (const answer of [await raw("null"), await raw(""), await raw('{"node_id":null}')]) {
      expect(answer.status, answer.text).to.equal(200);
    }
    await world.cloud.whenIdle();
  });

  it("answers a request that only prepares with a token, even if all is allowed", async () => {
    const prepare = { "X-Prepare-Only": "true" };
    const registration = readRegistration(await post(`/cvms/${uuid}/replicas`, { node_id: 1 }, prepare));
    expect(registration.onchain_status).to.include({ is_allowed: true });
    expect((await request(world.cloud, "GET", `${apps()}/cvms`)).text.match(/vm_uuid/g)).to.have.length(1);
    const committed = await post(`/cvms/${uuid}/commit-replica?token=${registration.commit_token}`, {
      compose_hash: "",
      transaction_hash: "",
    });
    expect(committed.status, committed.text).to.equal(200);
    await world.cloud.whenIdle();
  });

  it("lets a client with the token read and commit it, without an API key", async () => {
    const registration = readRegistration(
      await post(`/cvms/${uuid}/replicas`, { node_id: 1 }, { "X-Prepare-Only": "true" }),
    );
    const describeToken = async () => {
      const response = await fetch(String(registration.commit_url));
      expect(response.status).to.equal(200);
      return response.json();
    };
    expect(await describeToken()).to.deep.include({
      status: "pending",
      app_id: cvm.appId.slice(2),
      compose_hash: registration.compose_hash,
      vm_uuid: null,
      onchain_status: { compose_hash_allowed: true, device_id_allowed: true, is_allowed: true },
    });
    const committed = await fetch(String(registration.api_commit_url), { method: "POST" });
    expect(committed.status).to.equal(200);
    const { vm_uuid } = (await committed.json()) as Record<string, unknown>;
    expect(await describeToken()).to.include({ status: "committed", vm_uuid });
    const wrong = String(registration.commit_url).replace("ct_", "ct_x");
    expect((await fetch(wrong)).status).to.equal(466);
    await world.cloud.whenIdle();
  });

  it("creates a prepared instance for a client with its token, without an API key", async () => {
    const headers = { "X-Prepare-Only": "true" };
    const registration = readRegistration(await post(`${apps()}/instances`, { node_id: 1 }, headers));
    const send = (path: string, body: object, more: Record<string, string> = {}) =>
      fetch(`${world.cloud.baseUrl}${path}`, {
        method: "POST",
        headers: { "Content-Type": "application/json", ...more },
        body: JSON.stringify(body),
      });
    const { commit_token: token } = registration;
    expect((await send(`${apps()}/instances`, { node_id: 1 })).status, "no token").to.equal(401);
    expect((await send(`${apps()}/instances`, { token: "ct_unknown" })).status).to.equal(466);
    expect((await send(`${apps()}/instances`, { token }, { "X-API-Key": "phak_wrong" })).status).to.equal(401);
    const other = await createOnChainCvm(world);
    expect((await send(`/apps/${other.appId.slice(2)}/instances`, { token })).status, "another app's").to.equal(466);
    const committed = await send(`${apps()}/instances`, { token });
    expect(committed.status).to.equal(200);
    expect(await committed.json()).to.include({ app_id: cvm.appId.slice(2) });
    await world.cloud.whenIdle();
  });

  it("allows an app several instances, each with a document of its own", async () => {
    const registration = readRegistration(
      await post(`${apps()}/instances`, { docker_compose_file: nextCompose, node_id: 1 }),
    );
    const { commit_token: token, compose_hash } = registration;
    expect(compose_hash).to.not.equal(cvm.composeHash.slice(2));
    expect(registration.onchain_status).to.include({ compose_hash_allowed: false, device_id_allowed: true });
    const early = await post(`${apps()}/instances`, { token, compose_hash, transaction_hash: "already-registered" });
    expect(early.status).to.equal(468);

    const transaction_hash = await registerHash(world, cvm.appId, String(compose_hash));
    const committed = await post(`${apps()}/instances`, { token, compose_hash, transaction_hash });
    expect(committed.status, committed.text).to.equal(200);
    expect(await readCvm(committed.body.id)).to.include({ status: "running", compose_hash });
    expect(await readCvm(cvm.id)).to.include({ status: "running", compose_hash: cvm.composeHash.slice(2) });
    for (const hash of [cvm.composeHash, parseComposeHash(String(compose_hash))]) {
      const { client, deviceId } = world.dstack;
      const allowed = await readAllowlist(client, { appId: cvm.appId, composeHash: hash, deviceId });
      expect(allowed).to.include({ composeHashAllowed: true });
    }

    const ambiguous = await post(`${apps()}/instances`, { node_id: 1 });
    expect(ambiguous.status).to.equal(400);
    expect(ambiguous.body).to.include({ error_code: "ERR-03-009" });
    const named = await post(`${apps()}/instances`, { node_id: 1, compose_hash });
    expect(named.status, named.text).to.equal(200);
    expect(await readCvm(named.body.vm_uuid)).to.include({ compose_hash });
    const foreign = await post(`${apps()}/instances`, { compose_hash: "ab".repeat(32) });
    expect(foreign.status).to.equal(466);
  });

  it("updates one of them without a change of the others", async () => {
    const replica = (await post(`/cvms/${uuid}/replicas`, { node_id: 1 })).body;
    await world.cloud.whenIdle();
    const body = { docker_compose_file: nextCompose };
    const proposed = await request(world.cloud, "PATCH", `/cvms/${replica.vm_uuid}`, { body });
    const compose_hash = String(proposed.body.compose_hash);
    const transaction_hash = await registerHash(world, cvm.appId, compose_hash);
    await request(world.cloud, "PATCH", `/cvms/${replica.vm_uuid}`, { body: { compose_hash, transaction_hash } });
    expect(await readCvm(replica.vm_uuid)).to.include({ compose_hash });
    expect(await readCvm(cvm.id)).to.include({ compose_hash: cvm.composeHash.slice(2) });
  });

  it("refuses an app id or a name that several CVMs have", async () => {
    const { name } = await readCvm(cvm.id);
    const { vm_uuid } = (await post(`${apps()}/cvms/${uuid}/replicas`, { node_id: 1 })).body;
    await world.cloud.whenIdle();
    for (const [identifier, error_code] of [
      [cvm.appId, "ERR-03-010"],
      [`app_${cvm.appId.slice(2)}`, "ERR-03-010"],
      [name, "ERR-03-002"],
    ]) {
      const answer = await request(world.cloud, "GET", `/cvms/${identifier}`);
      expect(answer.status).to.equal(400);
      expect(answer.body).to.include({ error_code });
    }
    expect(await readCvm(vm_uuid)).to.include({ status: "running" });
    const other = await createOffChainCvm(world);
    expect((await post(`${apps()}/cvms/${other.id}/replicas`, {})).status).to.equal(404);
  });

  it("refuses a token that is unknown, of another app or hash, or too old", async () => {
    const { commit_token: token } = readRegistration(await post(`/cvms/${uuid}/replicas`, {}));
    const other = await createOnChainCvm(world);
    const refused: [string, object][] = [
      [`/cvms/${uuid}/commit-replica`, { token: "ct_unknown" }],
      [`/cvms/${other.id}/commit-replica`, { token }],
      [`/cvms/${uuid}/commit-replica`, { token, compose_hash: "ab".repeat(32) }],
    ];
    for (const [path, body] of refused) {
      const answer = await post(path, body);
      expect(answer.status, path).to.equal(466);
      expect(answer.body).to.include({ error_code: "ERR-01-006" });
    }
    expect((await post(`/cvms/${uuid}/commit-replica`, {})).status).to.equal(422);
    const unproven = { token, transaction_hash: "12".repeat(32) };
    expect((await post(`/cvms/${uuid}/commit-replica`, unproven)).status).to.equal(467);
  });

  it("refuses the token of a deleted CVM, the new one or its original", async () => {
    const source = await createOnChainCvm(world);
    const { vm_uuid: sourceUuid } = await readCvm(source.id);
    const prepare = async () =>
      readRegistration(await post(`/cvms/${sourceUuid}/replicas`, { node_id: 1 }, { "X-Prepare-Only": "true" }));
    const [used, unused] = [await prepare(), await prepare()];
    const commit = async (url: unknown) => (await fetch(String(url), { method: "POST" })).status;
    const created = await fetch(String(used.api_commit_url), { method: "POST" });
    const { vm_uuid } = (await created.json()) as Record<string, unknown>;
    await world.cloud.whenIdle();
    expect(await commit(used.api_commit_url), "again").to.equal(200);
    await request(world.cloud, "DELETE", `/cvms/${vm_uuid}`);
    expect(await commit(used.api_commit_url)).to.equal(466);
    await request(world.cloud, "DELETE", `/cvms/${source.id}`);
    expect(await commit(unused.api_commit_url)).to.equal(466);
    expect((await fetch(String(unused.commit_url))).status).to.equal(466);
  });

  it("creates nothing while the chain cannot be read", async () => {
    rpc.setFault(async () => {
      throw new Error("down");
    });
    const answer = await post(`/cvms/${uuid}/replicas`, {});
    expect(answer.status).to.equal(503);
    rpc.setFault(undefined);
    expect((await request(world.cloud, "GET", apps())).body).to.include({ cvm_count: 1 });
  });

  it("accepts a name for a new instance, but not another app's", async () => {
    const named = await post(`${apps()}/instances`, { node_id: 1, name: "named-instance" });
    expect(named.body).to.include({ name: "named-instance" });
    const other = await createOffChainCvm(world, { name: "of-another-app" });
    const taken = await post(`${apps()}/instances`, { node_id: 1, name: "of-another-app" });
    expect(taken.body).to.include({ error_code: "ERR-01-004" });
    expect((await post(`${apps()}/instances`, { name: "x" })).status).to.equal(422);
    expect(other.id).to.match(/^cvm_/);
    await world.cloud.whenIdle();
  });

  for (const version of ["2025-10-28", "2026-01-21"] as const) {
    it(`does all of it for the official client at ${version}`, async () => {
      const client = officialClient(world.cloud, version);
      const replica = await replicateCvm(client, { id: cvm.id, node_id: 1 });
      expect(replica).to.include({ teepod_id: 1, app_id: cvm.appId.slice(2) });
      const encrypted_env = await encryptFor(world.cloud, cvm.appId, [{ key: "MODE", value: "green" }]);
      const appId = cvm.appId.slice(2);
      const instance = await createAppInstance(client, { appId, node_id: 1, encrypted_env });
      expect(instance.vm_uuid).to.not.equal(replica.vm_uuid);
      await world.cloud.whenIdle();
      expect(await getAppCvms(client, { appId })).to.have.length(3);
      const { id } = await readCvm(instance.vm_uuid);
      expect(world.cloud.readEnvironment(String(id))).to.deep.equal([{ key: "MODE", value: "green" }]);
    });
  }

  it("names them by number before 2026-05-22, and by hashid from then on", async () => {
    const late = { "X-Phala-Version": "2026-05-22" };
    const early = { "X-Phala-Version": "2026-01-21" };
    expect((await post(`/cvms/${uuid}/replicas`, { node_id: 1 }, early)).body.id).to.be.a("number");
    expect((await post(`/cvms/${uuid}/replicas`, { node_id: 1 }, late)).body.id).to.match(/^cvm_/);
    const nested = await post(`${apps()}/instances`, { node_id: 1 }, late);
    expect(nested.body).to.have.nested.property("resource.vcpu", 1);
    await world.cloud.whenIdle();
  });
});

describe("a commit token of an instance", () => {
  it("expires after 14 days", async () => {
    const clock = manualClock();
    const world = await startCloudWorld(await network.create("local"), { clock });
    const cvm = await createOnChainCvm(world);
    const prepared = await request(world.cloud, "POST", `/cvms/${cvm.id}/replicas`, { body: {} });
    const token = prepared.body.commit_token;
    clock.advance(14 * 24 * 60 * 60 * 1000);
    const late = await request(world.cloud, "POST", `/cvms/${cvm.id}/commit-replica`, { body: { token } });
    expect(late.status).to.equal(466);
    expect(late.body.message).to.include("expired");
    await world.cloud.close();
  });
});
