import { expect } from "chai";
import { network } from "hardhat";
import { withoutPrefix } from "../../../../src/core/ids.ts";
import { adminKey, adminRequest } from "../../../support/mock-cloud/admin-request.ts";
import {
  type CloudWorld,
  createOffChainCvm,
  createOnChainCvm,
  registerHash,
  request,
  startCloudWorld,
  type TestCvm,
} from "../../../support/mock-cloud/cloud-world.ts";
import { rejection } from "../../../support/rejection.ts";

// Every CVM starts with version 1.
let version = 1;
function nextCompose(): string {
  version += 1;
  return `services:\n  app:\n    image: nginx:${version}\n`;
}

describe("faults", () => {
  let world: CloudWorld;
  let cvm: TestCvm;
  let other: TestCvm;
  let onChain: TestCvm;
  before(async () => {
    world = await startCloudWorld(await network.create("local"), { admin: { key: adminKey } });
    cvm = await createOffChainCvm(world);
    other = await createOffChainCvm(world);
    onChain = await createOnChainCvm(world);
  });
  afterEach(() => world.cloud.clearFaults());
  after(() => world.cloud.close());

  const get = (id: string) => request(world.cloud, "GET", `/cvms/${id}`);
  const update = (id: string) =>
    request(world.cloud, "PATCH", `/cvms/${id}`, { body: { docker_compose_file: nextCompose() } });

  /** Phase 1, the registration on chain, and the headers of phase 2. */
  async function register(): Promise<Record<string, string>> {
    const proposed = await update(onChain.id);
    expect(proposed.status, proposed.text).to.equal(465);
    const hash = String(proposed.body.compose_hash);
    return { "X-Compose-Hash": hash, "X-Transaction-Hash": await registerHash(world, onChain.appId, hash) };
  }
  const confirm = (headers: Record<string, string>) =>
    request(world.cloud, "PATCH", `/cvms/${onChain.id}`, { body: {}, headers });

  describe("of requests", () => {
    it("answer 429 and 503 with Retry-After, as often as their count", async () => {
      world.cloud.setFault({ kind: "too-many-requests", times: 1, seconds: 7 });
      world.cloud.setFault({ kind: "service-unavailable", times: 1, seconds: 9 });
      const answers = [await get(cvm.id), await get(cvm.id), await get(cvm.id)];
      expect(answers.map(({ status, headers }) => [status, headers.get("retry-after")])).to.deep.equal([
        [429, "7"],
        [503, "9"],
        [200, null],
      ]);
    });

    it("do not affect other endpoints and other CVMs", async () => {
      world.cloud.setFault({ kind: "service-unavailable", method: "GET", route: "/cvms/:cvm_id", cvm: cvm.id });
      expect((await get(cvm.id)).status).to.equal(503);
      expect((await get(withoutPrefix(cvm.appId))).status, "by another of its names").to.equal(503);
      expect((await get(other.id)).status).to.equal(200);
      expect((await request(world.cloud, "GET", `/cvms/${cvm.id}/state`)).status).to.equal(200);
    });

    it("answer a busy CVM's 409, without a code, and change nothing", async () => {
      world.cloud.setFault({ kind: "busy", method: "PATCH", times: 1 });
      const before = world.cloud.readHistory(cvm.id);
      const answer = await update(cvm.id);
      expect(answer.status).to.equal(409);
      expect(answer.body).to.have.all.keys("detail");
      expect(world.cloud.readHistory(cvm.id)).to.deep.equal(before);
    });

    it("drop the answer after the work was done", async () => {
      world.cloud.setFault({ kind: "dropped-response", method: "PATCH", times: 1 });
      const before = world.cloud.readHistory(cvm.id).length;
      expect(await rejection(update(cvm.id))).to.be.instanceOf(TypeError);
      await world.cloud.whenIdle();
      expect(world.cloud.readHistory(cvm.id)).to.have.lengthOf(before + 1);
    });

    it("delay an answer by the cloud's clock", async () => {
      world.cloud.setFault({ kind: "latency", ms: 60 * 60 * 1000, times: 1 });
      const answer = get(cvm.id);
      while (
        !world.events.some(
          ({ type, ...event }) => type === "fault.struck" && "kind" in event && event.kind === "latency",
        )
      ) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      await world.cloud.advance(60 * 60 * 1000);
      expect((await answer).status).to.equal(200);
    });
  });

  describe("of the backend's chain", () => {
    it("hide a receipt from the first reads", async () => {
      const headers = await register();
      world.cloud.setFault({ kind: "receipt-invisible", cvm: onChain.id, times: 2 });
      const early = await confirm(headers);
      expect(early.status).to.equal(467);
      expect((await confirm(headers)).status).to.equal(202);
      await world.cloud.whenIdle();
    });

    it("fail and time out, which is never read as a refusal", async () => {
      const headers = await register();
      world.cloud.setFault({ kind: "rpc-error", rpcMethod: "eth_getTransactionReceipt" });
      expect((await confirm(headers)).status).to.equal(503);
      world.cloud.clearFaults();
      world.cloud.setFault({ kind: "rpc-timeout", ms: 1 });
      expect((await confirm(headers)).status).to.equal(503);
      world.cloud.clearFaults();
      expect((await confirm(headers)).status).to.equal(202);
      await world.cloud.whenIdle();
    });

    it("fail during a call, which is never read as the contract's answer", async () => {
      const headers = await register();
      const { composeHash } = onChain;
      const question = { compose_hash: composeHash };
      world.cloud.setFault({ kind: "rpc-error", rpcMethod: "eth_call" });
      expect((await confirm(headers)).status).to.equal(503);
      const path = `/cvms/${onChain.id}/is-allowed`;
      expect((await request(world.cloud, "POST", path, { body: question })).status).to.equal(503);
      const app = `/apps/${withoutPrefix(onChain.appId)}`;
      expect((await request(world.cloud, "GET", `${app}/device-allowlist`)).status).to.equal(503);
      const all = await request(world.cloud, "POST", `${app}/cvms/is-allowed`, { body: {} });
      expect(all.body).to.include({ denied_count: 0, error_count: 1 });
      world.cloud.clearFaults();
      expect((await confirm(headers)).status).to.equal(202);
      await world.cloud.whenIdle();
    });

    it("make a CVM wait at the boot gate until there is an answer", async () => {
      world.cloud.setFault({ kind: "rpc-error", rpcMethod: "eth_call", cvm: onChain.id, times: 3 });
      expect((await request(world.cloud, "POST", `/cvms/${onChain.id}/restart`, { body: {} })).status).to.equal(202);
      await world.cloud.whenIdle();
      expect(world.cloud.readHistory(onChain.id).at(-1)).to.include({ kind: "restart", state: "done" });
      const verdicts = world.events.filter(
        (event) => event.type === "boot.judged" && event.cvmId === onChain.id && event.verdict === "unreadable",
      );
      expect(verdicts).to.have.lengthOf(3);
    });

    it("affect every read for one CVM, and no read for another", async () => {
      const path = `/cvms/${onChain.id}`;
      const prepare = { "X-Prepare-Only": "true" };
      const foreign = await createOnChainCvm(world);
      world.cloud.setFault({ kind: "rpc-error", cvm: onChain.id });
      const isAllowed = (id: string) => request(world.cloud, "POST", `/cvms/${id}/is-allowed`, { body: {} });
      expect((await isAllowed(onChain.id)).status).to.equal(503);
      expect((await isAllowed(foreign.id)).status).to.equal(200);
      expect((await request(world.cloud, "POST", `${path}/replicas`, { body: {} })).status).to.equal(503);
      const prepared = await request(world.cloud, "PATCH", path, {
        body: { docker_compose_file: nextCompose() },
        headers: prepare,
      });
      expect(prepared.status).to.equal(465);
      expect(prepared.text).to.include("commit_token").and.not.include("onchain_status");
    });

    it("show an older state to the verifier, which notices it, and to the boot gate, which cannot", async () => {
      const headers = await register();
      world.cloud.setFault({ kind: "stale-state", blocks: 1 });
      expect((await confirm(headers)).status).to.equal(503);
      world.cloud.clearFaults();
      world.cloud.setFault({ kind: "slow-rollover", ms: 3_600_000 });
      expect((await confirm(headers)).status).to.equal(202);
      world.cloud.setFault({ kind: "stale-state", blocks: 1 });
      await world.cloud.advance(3_600_000);
      await world.cloud.whenIdle();
      expect(world.cloud.readHistory(onChain.id).at(-1)?.failure).to.match(/compose hash/i);
    });
  });

  describe("of a rollover", () => {
    it("refuse the boot with a reason once, and the CVM runs the old document", async () => {
      world.cloud.setFault({ kind: "boot-failure", cvm: cvm.id, reason: "The disk is full", times: 1 });
      expect((await update(cvm.id)).status).to.equal(202);
      await world.cloud.whenIdle();
      expect(world.cloud.readHistory(cvm.id).at(-1)).to.include({ state: "failed", failure: "The disk is full" });
      expect((await get(cvm.id)).body).to.include({ status: "running" });
    });

    it("take the given time, by the cloud's clock", async () => {
      world.cloud.setFault({ kind: "slow-rollover", cvm: cvm.id, ms: 3_600_000 });
      await update(cvm.id);
      await update(other.id);
      await world.cloud.advance(3_500_000);
      expect((await get(cvm.id)).body.status).to.equal("updating");
      await world.cloud.advance(100_000);
      await world.cloud.whenIdle();
      expect((await get(cvm.id)).body.status).to.equal("running");
    });
  });

  it("make one rollover slow, also after a snapshot is restored", async () => {
    world.cloud.setFault({ kind: "slow-rollover", cvm: cvm.id, ms: 3_600_000, times: 1 });
    await update(cvm.id);
    const snapshot = await world.cloud.snapshot();
    for (const time of ["once", "again"]) {
      await world.cloud.advance(3_500_000);
      expect((await get(cvm.id)).body.status, time).to.equal("updating");
      await world.cloud.advance(100_000);
      await world.cloud.whenIdle();
      expect((await get(cvm.id)).body.status, time).to.equal("running");
      await world.cloud.restore(snapshot);
    }
    await world.cloud.advance(3_600_000);
    await world.cloud.whenIdle();
  });

  it("are reported, each with the request it affected", async () => {
    const { id } = world.cloud.setFault({ kind: "too-many-requests", times: 1 });
    await get(cvm.id);
    expect(world.events).to.deep.include({
      type: "fault.struck",
      id,
      kind: "too-many-requests",
      cvmId: cvm.id,
      where: `GET /cvms/${cvm.id}`,
    });
  });

  it("are set, listed and removed over HTTP", async () => {
    const { cloud } = world;
    const set = await adminRequest(cloud, "POST", "/faults", { kind: "busy", cvm: cvm.id, times: 3 });
    expect(set.status).to.equal(201);
    const { id } = set.body as { id: string };
    expect((await update(cvm.id)).status).to.equal(409);
    const listed = { id, struck: 1, kind: "busy", cvm: cvm.id, times: 3, seed: 1 };
    expect((await adminRequest(cloud, "GET", "/faults")).body).to.deep.equal({ items: [listed] });
    expect((await adminRequest(cloud, "DELETE", `/faults/${id}`)).status).to.equal(204);
    expect((await adminRequest(cloud, "DELETE", `/faults/${id}`)).status).to.equal(404);
    expect((await adminRequest(cloud, "POST", "/faults", { kind: "nonsense" })).status).to.equal(422);
    cloud.setFault({ kind: "busy" });
    expect((await adminRequest(cloud, "DELETE", "/faults")).status).to.equal(204);
    expect((await adminRequest(cloud, "GET", "/faults")).body).to.deep.equal({ items: [] });
  });
});
