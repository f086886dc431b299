import { deleteCvm, restartCvm, shutdownCvm, startCvm, stopCvm } from "@phala/cloud";
import { expect } from "chai";
import { network } from "hardhat";
import { removeComposeHash } from "../../../../src/chain/remove-compose-hash.ts";
import { type ComposeHash, parseComposeHash } from "../../../../src/core/ids.ts";
import { startMockCloud } from "../../../../src/mock-cloud/index.ts";
import { deployDstack } from "../../../support/chain/deploy-dstack.ts";
import {
  type CloudWorld,
  createOffChainCvm,
  createOnChainCvm,
  officialClient,
  platformOf,
  registerHash,
  request,
  startCloudWorld,
  type TestCvm,
} from "../../../support/mock-cloud/cloud-world.ts";
import { type ManualClock, manualClock } from "../../../support/mock-cloud/manual-clock.ts";

const nextCompose = "services:\n  app:\n    image: nginx:2\n";

describe("the lifecycle of a CVM", () => {
  let world: CloudWorld;
  let cvm: TestCvm;

  before(async () => {
    world = await startCloudWorld(await network.create("local"));
  });
  after(() => world.cloud.close());
  beforeEach(async () => {
    cvm = await createOnChainCvm(world);
  });

  const act = (action: string, body?: unknown, headers: Record<string, string> = {}) =>
    request(world.cloud, "POST", `/cvms/${cvm.id}/${action}`, { body, headers });
  const removeHash = (composeHash: ComposeHash) =>
    removeComposeHash(world.dstack.client, { account: world.dstack.owner, appId: cvm.appId, composeHash });

  async function read(): Promise<Record<string, unknown>> {
    await world.cloud.whenIdle();
    const [detail, state] = await Promise.all([
      request(world.cloud, "GET", `/cvms/${cvm.id}`),
      request(world.cloud, "GET", `/cvms/${cvm.id}/state`),
    ]);
    return { ...detail.body, boot_error: state.body.boot_error };
  }

  async function propose(body: Record<string, unknown>): Promise<string> {
    const answer = await request(world.cloud, "PATCH", `/cvms/${cvm.id}`, { body });
    expect(answer.status, answer.text).to.equal(465);
    return String(answer.body.compose_hash);
  }

  async function confirm(composeHash: string, transactionHash: string) {
    const body = { compose_hash: composeHash, transaction_hash: transactionHash };
    const answer = await request(world.cloud, "PATCH", `/cvms/${cvm.id}`, { body });
    expect(answer.status, answer.text).to.equal(202);
  }

  it("stops, starts, restarts and shuts down", async () => {
    for (const [action, busy, rest] of [
      ["stop", "stopping", "stopped"],
      ["start", "starting", "running"],
      ["restart", "restarting", "running"],
      ["shutdown", "stopping", "stopped"],
      ["restart", "restarting", "running"],
    ] as const) {
      const answer = await act(action, action === "restart" ? { force: false } : undefined);
      expect(answer.status, answer.text).to.equal(202);
      expect(answer.body).to.include({ status: busy, app_id: cvm.appId.slice(2) });
      expect(await read()).to.include({ status: rest, boot_error: undefined, progress: null });
    }
    expect(world.cloud.readHistory(cvm.id).map(({ kind }) => kind)).to.deep.equal([
      "create",
      "stop",
      "start",
      "restart",
      "shutdown",
      "restart",
    ]);
  });

  it("does nothing when the CVM is in that state already, so that a client may repeat a request", async () => {
    expect((await act("start")).body).to.include({ status: "running" });
    await act("stop");
    await world.cloud.whenIdle();
    for (const action of ["stop", "shutdown"]) expect((await act(action)).body).to.include({ status: "stopped" });
    expect(world.cloud.readHistory(cvm.id)).to.have.lengthOf(2);
  });

  it("names the CVM by number before 2026-05-22, and by hashid from then on", async () => {
    for (const [version, id] of [
      ["2025-10-28", "number"],
      ["2026-01-21", "number"],
      ["2026-05-22", "string"],
      ["2026-06-23", "string"],
    ] as const) {
      const { body } = await act("start", undefined, { "X-Phala-Version": version });
      expect(body.id, version).to.be.a(id);
    }
  });

  it("does not boot a removed hash until it is added again", async () => {
    await removeHash(cvm.composeHash);
    expect(await read()).to.include({ status: "running" });
    for (const action of ["restart", "start", "restart"]) {
      await act(action);
      expect(await read()).to.include({ status: "error", boot_error: "Compose hash not allowed" });
      expect(world.cloud.readHistory(cvm.id).at(-1)).to.include({
        state: "failed",
        failure: "Compose hash not allowed",
      });
    }
    await registerHash(world, cvm.appId, cvm.composeHash);
    await act("start");
    expect(await read()).to.include({ status: "running", boot_error: undefined });
  });

  it("stops a CVM that could not boot", async () => {
    await removeHash(cvm.composeHash);
    await act("restart");
    await world.cloud.whenIdle();
    await act("stop");
    expect(await read()).to.include({ status: "stopped", boot_error: undefined });
  });

  it("leaves a CVM stopped when neither the new nor the old document boots", async () => {
    const composeHash = await propose({ docker_compose_file: nextCompose, image: "dstack-0.5.8" });
    const transactionHash = await registerHash(world, cvm.appId, composeHash);
    await removeHash(cvm.composeHash);
    await confirm(composeHash, transactionHash);
    expect(await read()).to.include({
      status: "error",
      compose_hash: cvm.composeHash.slice(2),
      boot_error: "OS image is not allowed; nor does the previous compose boot: Compose hash not allowed",
    });
  });

  it("keeps a pending update of a stopped CVM, and applies it at the next start if it was confirmed", async () => {
    const composeHash = await propose({ docker_compose_file: nextCompose });
    await act("stop");
    await world.cloud.whenIdle();
    await confirm(composeHash, await registerHash(world, cvm.appId, composeHash));
    expect(await read()).to.include({ status: "stopped", compose_hash: composeHash });
    await act("start");
    expect(await read()).to.include({ status: "running", compose_hash: composeHash });
  });

  it("asks the contract at the next start about an update of a stopped CVM", async () => {
    await act("stop");
    await world.cloud.whenIdle();
    const composeHash = await propose({ docker_compose_file: nextCompose });
    await confirm(composeHash, await registerHash(world, cvm.appId, composeHash));
    await removeHash(parseComposeHash(composeHash));
    await act("start");
    expect(await read()).to.include({ status: "error", boot_error: "Compose hash not allowed" });
  });

  it("deletes a CVM: its name and app are free, and its contract stays", async () => {
    const { name, vm_uuid, instance_id } = await read();
    const numeric = (await act("start")).body.id;
    const deleted = await request(world.cloud, "DELETE", `/cvms/${cvm.id}`);
    expect([deleted.status, deleted.text]).to.deep.equal([204, ""]);
    for (const id of [cvm.id, cvm.appId, vm_uuid, name, `instance_${instance_id}`]) {
      const answer = await request(world.cloud, "GET", `/cvms/${id}`);
      expect(answer.status, String(id)).to.equal(404);
    }
    expect((await request(world.cloud, "DELETE", `/cvms/${cvm.id}`)).status).to.equal(404);
    expect((await request(world.cloud, "POST", `/cvms/${cvm.id}/start`)).status).to.equal(404);

    const compose_file = { docker_compose_file: nextCompose };
    const provisioned = await request(world.cloud, "POST", "/cvms/provision", {
      body: { name, compose_file, kms: "base" },
    });
    expect(provisioned.status, provisioned.text).to.equal(200);
    const compose_hash = String(provisioned.body.compose_hash);
    await registerHash(world, cvm.appId, compose_hash);
    const created = await request(world.cloud, "POST", "/cvms", { body: { app_id: cvm.appId, compose_hash } });
    expect(created.body).to.include({ name, app_id: cvm.appId.slice(2) });
    expect(created.body.id).to.not.equal(numeric);
    await world.cloud.whenIdle();
    expect((await request(world.cloud, "GET", `/cvms/${cvm.appId}`)).body).to.include({ name, status: "running" });
  });

  it("deletes a CVM that could not boot, and one with a pending update", async () => {
    await propose({ docker_compose_file: nextCompose });
    await removeHash(cvm.composeHash);
    await act("restart");
    await world.cloud.whenIdle();
    expect((await request(world.cloud, "DELETE", `/cvms/${cvm.id}`)).status).to.equal(204);
  });

  it("boots a CVM of an off-chain KMS without a request to a chain", async () => {
    cvm = await createOffChainCvm(world);
    await act("restart", { force: true });
    expect(await read()).to.include({ status: "running" });
  });

  it("refuses unknown requests and changes nothing", async () => {
    const history = world.cloud.readHistory(cvm.id);
    expect((await act("restart", { force: "now" })).status).to.equal(422);
    expect((await act("restart", [])).status).to.equal(422);
    expect((await act("explode")).status).to.equal(404);
    for (const [method, path] of [
      ["POST", "/cvms/cvm_nowhere/stop"],
      ["DELETE", "/cvms/cvm_nowhere"],
    ] as const) {
      expect((await request(world.cloud, method, path)).body).to.include({ error_code: "ERR-03-001" });
    }
    const headers = { "X-API-Key": "wrong" };
    expect((await act("stop", undefined, headers)).status).to.equal(401);
    expect((await request(world.cloud, "DELETE", `/cvms/${cvm.id}`, { headers })).status).to.equal(401);
    expect(world.cloud.readHistory(cvm.id)).to.deep.equal(history);
  });

  for (const version of ["2025-10-28", "2026-01-21"] as const) {
    it(`does all of it for the official client at ${version}`, async () => {
      const client = officialClient(world.cloud, version);
      for (const [run, status] of [
        [stopCvm, "stopped"],
        [startCvm, "running"],
        [shutdownCvm, "stopped"],
        [restartCvm, "running"],
      ] as const) {
        expect(await run(client, { id: cvm.id }))
          .to.have.property("id")
          .that.is.a("number");
        expect(await read()).to.include({ status });
      }
      await deleteCvm(client, { id: cvm.id });
      expect(await client.safeGetCvmInfo({ id: cvm.id })).to.have.nested.property("error.status", 404);
    });
  }
});

describe("the lifecycle on the clock", () => {
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

  it("names the target state of a busy CVM, and refuses other changes meanwhile", async () => {
    const cvm = await createOnChainCvm(world, { settle });
    const path = `/cvms/${cvm.id}`;
    for (const [action, status, target] of [
      ["stop", "stopping", "stopped"],
      ["start", "starting", "running"],
      ["restart", "restarting", "running"],
      ["shutdown", "stopping", "stopped"],
    ] as const) {
      await request(world.cloud, "POST", `${path}/${action}`);
      const { body } = await request(world.cloud, "GET", path);
      expect(body).to.include({ status, in_progress: true }).and.to.have.nested.property("progress.target", target);
      for (const [method, other] of [
        ["POST", "/start"],
        ["POST", "/stop"],
        ["POST", "/restart"],
        ["POST", "/shutdown"],
        ["DELETE", ""],
        ["PATCH", ""],
      ] as const) {
        const answer = await request(world.cloud, method, `${path}${other}`);
        expect(answer.status, `${method} ${other} while ${status}`).to.equal(409);
        expect(answer.body).to.have.keys("detail");
      }
      await settle();
    }
  });

  it("accepts one of two changes at the same time", async () => {
    const cvm = await createOnChainCvm(world, { settle });
    const post = (action: string) => request(world.cloud, "POST", `/cvms/${cvm.id}/${action}`);
    const answers = await Promise.all([post("restart"), post("stop")]);
    expect(answers.map(({ status }) => status).sort()).to.deep.equal([202, 409]);
    await settle();
  });
});
