import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { network } from "hardhat";
import { startMockCloud } from "../../../../src/mock-cloud/index.ts";
import { type Dstack, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { type CloudProcess, startCloudProcess, untilRunning } from "../../../support/mock-cloud/cloud-process.ts";
import {
  apiKey,
  createOffChainCvm,
  createOnChainCvm,
  encryptFor,
  platformOf,
  registerHash,
  request,
  type TestCvm,
} from "../../../support/mock-cloud/cloud-world.ts";
import { manualClock } from "../../../support/mock-cloud/manual-clock.ts";
import { serveRpc } from "../../../support/mock-cloud/rpc-server.ts";

const nextCompose = "services:\n  app:\n    image: nginx:2\n";
const secretValue = "a value that stays secret";

describe("state that outlives the process", () => {
  let dstack: Dstack;
  let folder: string;
  let stateFile: string;

  before(async () => {
    dstack = await deployDstack(await network.create("local"));
  });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "mock-cloud-"));
    stateFile = join(folder, "cloud.db");
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("continues an update that waited for its confirmation", async () => {
    const first = await startMockCloud({ ...platformOf(dstack), stateFile });
    const cvm = await createOnChainCvm({ dstack, cloud: first }, { environment: [{ key: "MODE", value: "old" }] });
    const encrypted_env = await encryptFor(first, cvm.appId, [{ key: "MODE", value: "new" }]);
    const body = { docker_compose_file: nextCompose, encrypted_env };
    const { body: proposed } = await request(first, "PATCH", `/cvms/${cvm.id}`, { body });
    await first.close();

    const second = await startMockCloud({ ...platformOf(dstack), stateFile });
    const transactionHash = await registerHash({ dstack }, cvm.appId, String(proposed.compose_hash));
    const headers = { "X-Compose-Hash": String(proposed.compose_hash), "X-Transaction-Hash": transactionHash };
    const confirmed = await request(second, "PATCH", `/cvms/${cvm.id}`, { body: {}, headers });
    expect(confirmed.status, confirmed.text).to.equal(202);
    await second.whenIdle();
    expect(second.readEnvironment(cvm.id)).to.deep.equal([{ key: "MODE", value: "new" }]);
    await second.close();
  });

  it("finishes a running rollover when its time is over", async () => {
    const clock = manualClock();
    const options = { ...platformOf(dstack), stateFile, clock, rolloverMs: 1000 };
    const first = await startMockCloud({ ...options, rolloverMs: 0 });
    const cvm = await createOffChainCvm({ cloud: first });
    await first.close();
    const second = await startMockCloud(options);
    const accepted = await request(second, "PATCH", `/cvms/${cvm.id}`, { body: { docker_compose_file: nextCompose } });
    expect(accepted.status).to.equal(202);
    await second.close();

    const third = await startMockCloud(options);
    const meanwhile = await request(third, "GET", `/cvms/${cvm.id}`);
    expect(meanwhile.body).to.include({ status: "updating" });
    expect(meanwhile.body.progress).to.include({ correlation_id: accepted.body.correlation_id });
    clock.advance(1000);
    await third.whenIdle();
    expect((await request(third, "GET", `/cvms/${cvm.id}`)).body).to.include({ status: "running", progress: null });
    expect(third.readHistory(cvm.id).at(-1)).to.include({ correlationId: accepted.body.correlation_id, state: "done" });
    await third.close();
  });

  it("pauses a rollover whose KMS is missing at the next start, and says so", async () => {
    const clock = manualClock();
    const first = await startMockCloud({ ...platformOf(dstack), stateFile, clock });
    const cvm = await createOffChainCvm({ cloud: first });
    await first.close();
    const second = await startMockCloud({ stateFile, clock, rolloverMs: 0, bootRetryMs: 10 });
    await request(second, "PATCH", `/cvms/${cvm.id}`, { body: { docker_compose_file: nextCompose } });
    const { body } = await request(second, "GET", `/cvms/${cvm.id}`);
    expect(body).to.include({ status: "updating" });
    expect(body.kms_info).to.include({ encrypted_env_pubkey: null });
    expect((await request(second, "GET", `/kms/phala/pubkey/${"11".repeat(20)}`)).status).to.equal(503);
    second.seed(platformOf(dstack));
    clock.advance(10);
    await second.whenIdle();
    expect((await request(second, "GET", `/cvms/${cvm.id}`)).body).to.include({ status: "running" });
    await second.close();
  });

  it("writes no API key, environment, secret or endpoint into its files", async () => {
    const rootSecret = "5e".repeat(32);
    const rpcServer = await serveRpc(dstack.connection.provider);
    const rpc = `${rpcServer.url}/key-in-the-url`;
    const kms = [{ slug: "kms-base-1", chainId: 8453, contractAddress: dstack.kms, rpc, rootSecret }];
    const cloud = await startMockCloud({ ...platformOf(dstack), kms, stateFile });
    const cvm = await createOnChainCvm({ dstack, cloud }, { environment: [{ key: "PASSWORD", value: secretValue }] });
    expect(cloud.readEnvironment(cvm.id)).to.deep.equal([{ key: "PASSWORD", value: secretValue }]);
    const openFiles = readdirSync(folder).map((name) => readFileSync(join(folder, name)));
    await cloud.close();
    await rpcServer.close();
    const closedFiles = readdirSync(folder).map((name) => readFileSync(join(folder, name)));
    const contents = Buffer.concat([...openFiles, ...closedFiles]);
    expect(contents.includes(cvm.appId)).to.equal(true);
    for (const secret of [apiKey, secretValue, rootSecret, Buffer.from(rootSecret, "hex"), "key-in-the-url"]) {
      expect(contents.includes(secret), String(secret)).to.equal(false);
    }
  });

  it("refuses a state file of a newer version", async () => {
    const cloud = await startMockCloud({ stateFile });
    await cloud.close();
    const { DatabaseSync } = await import("node:sqlite");
    const database = new DatabaseSync(stateFile);
    database.exec("PRAGMA user_version = 999");
    database.close();
    await startMockCloud({ stateFile }).then(
      () => expect.fail("it started"),
      (error) => expect(String(error)).to.include("schema 999"),
    );
  });

  describe("in a process that is killed", () => {
    let rpcServer: Awaited<ReturnType<typeof serveRpc>>;
    let seedFile: string;
    let cloud: CloudProcess | undefined;

    beforeEach(async () => {
      rpcServer = await serveRpc(dstack.connection.provider);
      seedFile = join(folder, "seed.json");
      const { nodes, osImages } = platformOf(dstack);
      const kms = [{ slug: "kms-base-1", chainId: 8453, contractAddress: dstack.kms }];
      writeFileSync(seedFile, JSON.stringify({ kms, nodes, osImages }));
    });
    afterEach(async () => {
      await cloud?.stop("SIGKILL");
      cloud = undefined;
      await rpcServer.close();
    });

    async function start(rolloverMs: number): Promise<CloudProcess> {
      cloud = await startCloudProcess({
        args: ["--seed", seedFile, "--state", stateFile, "--rollover-ms", String(rolloverMs)],
        env: { DSTACK_CLOUD_API_KEY: apiKey, DSTACK_CLOUD_RPC_URL: rpcServer.url },
      });
      return cloud;
    }

    async function createIn(cloud: CloudProcess): Promise<TestCvm> {
      const cvm = await createOnChainCvm({ dstack, cloud }, { settle: async () => {} });
      await untilRunning(cloud, cvm.id);
      return cvm;
    }

    it("keeps a proposed update, and one that is verified before its rollover", async () => {
      const first = await start(0);
      const cvm = await createIn(first);
      const { body: proposed } = await request(first, "PATCH", `/cvms/${cvm.id}`, {
        body: { docker_compose_file: nextCompose },
      });
      const composeHash = String(proposed.compose_hash);
      await first.stop("SIGKILL");

      const second = await start(600_000);
      const transactionHash = await registerHash({ dstack }, cvm.appId, composeHash);
      const body = { compose_hash: composeHash, transaction_hash: transactionHash };
      const confirmed = await request(second, "PATCH", `/cvms/${cvm.id}`, { body });
      expect(confirmed.status, confirmed.text).to.equal(202);
      await second.stop("SIGKILL");

      const third = await start(0);
      expect(await untilRunning(third, cvm.id)).to.include({ compose_hash: composeHash });
      const repeated = await request(third, "PATCH", `/cvms/${cvm.id}`, { body });
      expect(repeated.body.correlation_id).to.equal(confirmed.body.correlation_id);
    });

    it("ends cleanly on SIGTERM, and logs no key and no environment", async () => {
      const cloud = await start(0);
      await createIn(cloud);
      expect(await cloud.stop("SIGTERM")).to.equal(0);
      expect(cloud.log()).to.include("operation.finished").and.to.not.include(apiKey);
    });
  });
});
