import { expect } from "chai";
import { network } from "hardhat";
import { type RunningMockCloud, startMockCloud } from "../../../../src/mock-cloud/index.ts";
import { deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { adminKey, adminRequest } from "../../../support/mock-cloud/admin-request.ts";
import {
  type CloudWorld,
  createOffChainCvm,
  createOnChainCvm,
  platformOf,
  registerHash,
  request,
  type TestCvm,
} from "../../../support/mock-cloud/cloud-world.ts";
import { faultyRpc, type Provider } from "../../../support/mock-cloud/faulty-rpc.ts";
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

  it("restore the same state repeatedly, including later ids", async () => {
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

  it("stop running operations, and continue those of the snapshot", async () => {
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

  it("set the clock back to their time", async () => {
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

  it("are refused when they do not exist", async () => {
    expect((await adminRequest(cloud, "POST", "/snapshots/snapshot_9/restore")).status).to.equal(404);
    expect(await rejection(cloud.restore("snapshot_9"))).to.include({ status: 404 });
  });
});

describe("snapshots while a request is being answered", () => {
  let world: CloudWorld;
  let cvm: TestCvm;
  let id: string;
  /** A promise that every request of the cloud to its chain waits for, and a callback for each request. */
  let answering: Promise<void>;
  let onQuestion: () => void;

  async function start(options: { readonly drainMs?: number } = {}): Promise<void> {
    answering = Promise.resolve();
    onQuestion = () => {};
    const connection = await network.create("local");
    const dstack = await deployDstack(connection);
    const provider: Provider = connection.provider;
    const { transport: rpc } = faultyRpc({
      request: async (call) => {
        onQuestion();
        await answering;
        return provider.request(call);
      },
    });
    const kms = [{ slug: "kms-base-1", chainId: 8453, contractAddress: dstack.kms, rpc }];
    const cloud = await startMockCloud({ ...platformOf(dstack), ...options, kms, admin: { key: adminKey } });
    world = { dstack, cloud, events: [] };
    cvm = await createOnChainCvm(world);
    id = await cloud.snapshot();
  }
  afterEach(() => world.cloud.close());

  /** Confirms an update and stops the cloud in the middle of it, where it asks the chain. */
  async function confirmSlowly() {
    const body = { docker_compose_file: "services:\n  app:\n    image: nginx:2\n" };
    const proposed = await request(world.cloud, "PATCH", `/cvms/${cvm.id}`, { body });
    const compose_hash = String(proposed.body.compose_hash);
    const transaction_hash = await registerHash(world, cvm.appId, compose_hash);
    let release = () => {};
    answering = new Promise((resolve) => {
      release = resolve;
    });
    const asked = new Promise<void>((resolve) => {
      onQuestion = resolve;
    });
    const answer = request(world.cloud, "PATCH", `/cvms/${cvm.id}`, { body: { compose_hash, transaction_hash } });
    await asked;
    return { answer, release };
  }

  it("wait until it is answered, and delay later requests", async () => {
    await start();
    const { cloud } = world;
    const { answer, release } = await confirmSlowly();
    const restored = cloud.restore(id).then(() => "restored");
    const next = request(cloud, "GET", `/cvms/${cvm.id}`).then(({ body }) => body);
    const first = Promise.race([restored, next, new Promise((resolve) => setTimeout(resolve, 50, "neither"))]);
    expect(await first).to.equal("neither");
    release();
    expect((await answer).status, "answered with what it did").to.equal(202);
    expect(await restored).to.equal("restored");
    expect(await next, "came after").to.include({ status: "running", compose_hash: cvm.composeHash.slice(2) });
    expect(cloud.readHistory(cvm.id), "nothing of it is left").to.have.lengthOf(1);
  });

  it("are refused when the answer takes too long, and change nothing", async () => {
    await start({ drainMs: 20 });
    const { cloud } = world;
    const { answer, release } = await confirmSlowly();
    expect(await rejection(cloud.restore(id))).to.include({ status: 503 });
    expect(await rejection(cloud.snapshot())).to.include({ status: 503 });
    const refused = await adminRequest(cloud, "POST", `/snapshots/${id}/restore`);
    expect(refused.status).to.equal(503);
    expect(refused.body).to.include({ error_code: "ERR-00-503" });
    expect((await request(cloud, "GET", "/auth/me")).status, "others go on").to.equal(200);
    release();
    expect((await answer).status).to.equal(202);
    await cloud.whenIdle();
    expect(cloud.readHistory(cvm.id)).to.have.lengthOf(2);
    await cloud.restore(id);
    expect(cloud.readHistory(cvm.id)).to.have.lengthOf(1);
  });
});
