import { expect } from "chai";
import { network } from "hardhat";
import { type CloudClient, createCloudClient } from "../../../../src/cloud/create-client.ts";
import { getApp } from "../../../../src/cloud/get-app.ts";
import { getAppCvms } from "../../../../src/cloud/get-app-cvms.ts";
import { getAppRevisions } from "../../../../src/cloud/get-app-revisions.ts";
import { getCvm } from "../../../../src/cloud/get-cvm.ts";
import { getKnownDevices } from "../../../../src/cloud/get-known-devices.ts";
import { getOperationKinds } from "../../../../src/cloud/get-operation-kinds.ts";
import { getPendingUpdate } from "../../../../src/cloud/get-pending-update.ts";
import { patchCvm } from "../../../../src/cloud/patch-cvm.ts";
import { prepareCvmUpdate } from "../../../../src/cloud/prepare-cvm-update.ts";
import { type ComposeHash, parseAppId, parseComposeHash } from "../../../../src/core/ids.ts";
import { CloudResponseError } from "../../../../src/errors/index.ts";
import {
  apiKey,
  type CloudWorld,
  createOnChainCvm,
  registerHash,
  request,
  startCloudWorld,
  type TestCvm,
} from "../../../support/mock-cloud/cloud-world.ts";
import { catchError } from "../../../support/update/catch-error.ts";

const compose = (tag: string) => `services:\n  app:\n    image: nginx:${tag}\n`;

describe("the cloud actions that look at an app", () => {
  let world: CloudWorld;
  let client: CloudClient;
  let cvm: TestCvm;
  before(async () => {
    world = await startCloudWorld(await network.create("local"), { rolloverMs: 200 });
    client = createCloudClient({ apiKey, baseUrl: world.cloud.baseUrl });
  });
  after(() => world.cloud.close());
  beforeEach(async () => {
    cvm = await createOnChainCvm(world);
  });

  const unknown = parseAppId("a0".repeat(20));

  async function prepare(tag: string): Promise<ComposeHash> {
    const outcome = await prepareCvmUpdate(client, { cvm: cvm.id, dockerCompose: compose(tag) });
    if (outcome.kind !== "registrationRequired") throw new Error(`expected a 465, got ${outcome.kind}`);
    return outcome.composeHash;
  }

  it("list its CVMs with the hash that each one runs", async () => {
    await request(world.cloud, "POST", `/cvms/${cvm.id}/replicas`, { body: { node_id: 1 } });
    await world.cloud.whenIdle();
    await request(world.cloud, "POST", `/cvms/${cvm.id}/stop`);
    await world.cloud.whenIdle();
    const cvms = await getAppCvms(client, { appId: cvm.appId });
    expect(cvms.map(({ composeHash }) => composeHash)).to.deep.equal([cvm.composeHash, cvm.composeHash]);
    expect(cvms.map(({ status }) => status)).to.deep.equal(["stopped", "running"]);
    expect(await getApp(client, { appId: cvm.appId })).to.include({ cvmCount: 2 });
    for (const action of [getAppCvms, getApp, getKnownDevices]) {
      const { status } = await catchError(action(client, { appId: unknown }), CloudResponseError);
      expect(status).to.equal(404);
    }
  });

  it("read the target of a running update", async () => {
    const composeHash = await prepare("2");
    const transactionHash = await registerHash(world, cvm.appId, composeHash);
    await patchCvm(client, { cvm: cvm.id, dockerCompose: compose("2") });
    const confirmation = { "X-Compose-Hash": composeHash.slice(2), "X-Transaction-Hash": transactionHash };
    await request(world.cloud, "PATCH", `/cvms/${cvm.id}`, { body: {}, headers: confirmation });

    const { busy, operationId, vmUuid = "" } = await getCvm(client, { cvm: cvm.id });
    expect(busy).to.equal(true);
    expect([...(await getOperationKinds(client, { vmUuids: [vmUuid] }))]).to.deep.equal([[vmUuid, "update"]]);
    const { revisions } = await getAppRevisions(client, { appId: cvm.appId });
    expect(revisions.find((revision) => revision.operationId === operationId)).to.include({ vmUuid, composeHash });

    await world.cloud.whenIdle();
    expect([...(await getOperationKinds(client, { vmUuids: [vmUuid] }))]).to.deep.equal([]);
    const { pageCount } = await getAppRevisions(client, { appId: cvm.appId, pageSize: 1 });
    expect(pageCount).to.equal(2);
    const second = await getAppRevisions(client, { appId: cvm.appId, pageSize: 1, page: 2 });
    expect(second.revisions.map((revision) => revision.composeHash)).to.deep.equal([cvm.composeHash]);
  });

  it("read whether an update waits for a hash", async () => {
    const composeHash = await prepare("3");
    const { vmUuid = "" } = await getCvm(client, { cvm: cvm.id });
    const pending = await getPendingUpdate(client, { appId: cvm.appId, vmUuid, composeHash });
    expect(pending?.composeHash).to.equal(composeHash);
    expect(Date.parse(pending?.expiresAt ?? "")).to.be.greaterThan(Date.now());
    const unknownHash = parseComposeHash("ab".repeat(32));
    expect(await getPendingUpdate(client, { appId: cvm.appId, vmUuid, composeHash: unknownHash })).to.equal(undefined);
    // An unknown CVM has no pending update, but its replacement may have one: a 404 does not mean "none".
    const gone = { appId: cvm.appId, vmUuid: "11111111-1111-4111-8111-111111111111", composeHash };
    expect((await catchError(getPendingUpdate(client, gone), CloudResponseError)).status).to.equal(404);
  });

  it("list the cloud's devices", async () => {
    expect(await getKnownDevices(client, { appId: cvm.appId })).to.include.members([world.dstack.deviceId]);
  });
});
