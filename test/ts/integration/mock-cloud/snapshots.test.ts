import { expect } from "chai";
import { type RunningMockCloud, startMockCloud } from "../../../../src/mock-cloud/index.ts";
import { adminKey, adminRequest } from "../../../support/mock-cloud/admin-request.ts";
import { createOffChainCvm, request, type TestCvm } from "../../../support/mock-cloud/cloud-world.ts";
import { manualClock } from "../../../support/mock-cloud/manual-clock.ts";
import { offChainPlatform } from "../../../support/mock-cloud/off-chain-platform.ts";
import { rejection } from "../../../support/rejection.ts";

const hour = 3_600_000;

describe("snapshots", () => {
  const base = manualClock();
  let cloud: RunningMockCloud;
  let cvm: TestCvm;
  beforeEach(async () => {
    cloud = await startMockCloud({ ...offChainPlatform(), clock: base, admin: { key: adminKey } });
    cvm = await createOffChainCvm({ cloud });
  });
  afterEach(() => cloud.close());

  const update = (image: string) => {
    const body = { docker_compose_file: `services:\n  app:\n    image: ${image}\n` };
    return request(cloud, "PATCH", `/cvms/${cvm.id}`, { body });
  };
  const read = async () => (await request(cloud, "GET", `/cvms/${cvm.id}`)).text;

  it("bring back the same state, as often as one likes, ids to come included", async () => {
    const id = await cloud.snapshot();
    const before = await read();
    const seen = [];
    for (const image of ["nginx:2", "nginx:3"]) {
      await update(image);
      const other = await createOffChainCvm({ cloud }, { name: "a-later-cvm" });
      const { body } = await request(cloud, "GET", `/cvms/${other.id}`, {
        headers: { "X-Phala-Version": "2025-10-28" },
      });
      seen.push(body.id);
      await cloud.advance(hour);
      await cloud.restore(id);
      expect(await read()).to.equal(before);
      expect((await request(cloud, "GET", "/cvms/a-later-cvm")).status).to.equal(404);
      expect(cloud.readHistory(cvm.id)).to.have.lengthOf(1);
    }
    expect(seen[0]).to.be.a("number").that.equals(seen[1]);
  });

  it("stop what is under way, and take up what was under way then", async () => {
    cloud.setFault({ kind: "slow-rollover", ms: hour });
    const accepted = await update("nginx:2");
    const id = await cloud.snapshot();
    await cloud.advance(hour);
    await cloud.whenIdle();
    await update("nginx:3");
    await cloud.restore(id);
    const { body } = await request(cloud, "GET", `/cvms/${cvm.id}`);
    expect(body.progress).to.include({ correlation_id: accepted.body.correlation_id });
    await cloud.advance(hour);
    await cloud.whenIdle();
    expect(cloud.readHistory(cvm.id).map(({ kind, state }) => [kind, state])).to.deep.equal([
      ["create", "done"],
      ["update", "done"],
    ]);
  });

  it("turn the clock back to their time", async () => {
    const clock = async () => (await adminRequest(cloud, "GET", "/clock")).body;
    await cloud.advance(hour);
    const now = await clock();
    const taken = await adminRequest(cloud, "POST", "/snapshots");
    expect(taken.status).to.equal(201);
    await cloud.advance(hour);
    base.advance(hour);
    const { id } = taken.body as { id: string };
    expect(await adminRequest(cloud, "POST", `/snapshots/${id}/restore`)).to.deep.equal({ status: 200, body: now });
    expect(await clock()).to.deep.equal(now);
  });

  it("have to exist", async () => {
    expect((await adminRequest(cloud, "POST", "/snapshots/snapshot_9/restore")).status).to.equal(404);
    expect(await rejection(cloud.restore("snapshot_9"))).to.include({ status: 404 });
  });
});
