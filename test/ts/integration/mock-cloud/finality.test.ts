import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { network } from "hardhat";
import { getTransactionReceipt } from "viem/actions";
import { removeComposeHash } from "../../../../src/chain/remove-compose-hash.ts";
import { memoryLedger } from "../../../../src/chain/transactions/ledger.ts";
import { getCvm } from "../../../../src/cloud/get-cvm.ts";
import type { TransactionHash } from "../../../../src/core/ids.ts";
import { parseComposeHash } from "../../../../src/core/ids.ts";
import type { MockCloudEvent } from "../../../../src/mock-cloud/index.ts";
import { type RunningMockCloud, type StartMockCloudOptions, startMockCloud } from "../../../../src/mock-cloud/index.ts";
import type { UpdateEvent } from "../../../../src/update/events.ts";
import { updateCvm } from "../../../../src/update/update-cvm.ts";
import { startWorld } from "../../../../src/world/start-world.ts";
import { type Dstack, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import {
  createOffChainCvm,
  createOnChainCvm,
  encryptFor,
  platformOf,
  registerHash,
  request,
  type TestCvm,
} from "../../../support/mock-cloud/cloud-world.ts";
import { type FaultyRpc, faultyRpc } from "../../../support/mock-cloud/faulty-rpc.ts";
import { until } from "../../../support/until.ts";

const nextCompose = "services:\n  app:\n    image: nginx:2\n";
const otherCompose = "services:\n  app:\n    image: nginx:3\n";
const replace = { "X-Replace-Pending-Update": "true" };

describe("finality of a registration", () => {
  let dstack: Dstack;
  let rpc: FaultyRpc;
  let events: MockCloudEvent[];
  let cloud: RunningMockCloud;
  let cvm: TestCvm;
  let folder: string;
  /** The numbers of the blocks with these tags, and whether the endpoint answers at all. */
  let chain: { safe: bigint; finalized: bigint; isDown: boolean };

  before(async () => {
    dstack = await deployDstack(await network.create("local"));
    const { provider } = dstack.connection;
    rpc = faultyRpc(provider);
  });

  function followTags() {
    const { provider } = dstack.connection;
    rpc.setFault((method, params) => {
      if (chain.isDown) return Promise.reject(new Error("The endpoint is down."));
      const [tag] = (params ?? []) as [string];
      if (method !== "eth_getBlockByNumber" || (tag !== "safe" && tag !== "finalized")) return undefined;
      return provider.request({ method, params: [`0x${chain[tag].toString(16)}`, false] });
    });
  }

  async function start(options: StartMockCloudOptions = {}) {
    events = [];
    const onEvent = (event: MockCloudEvent) => void events.push(event);
    cloud = await startMockCloud({ ...platformOf(dstack, rpc.transport), finality: "safe", onEvent, ...options });
    return cloud;
  }

  beforeEach(async () => {
    chain = { safe: 0n, finalized: 0n, isDown: false };
    followTags();
    folder = mkdtempSync(join(tmpdir(), "finality-"));
    await start({ stateFile: join(folder, "cloud.db") });
    cvm = await createOnChainCvm({ dstack, cloud }, { environment: [{ key: "MODE", value: "old" }] });
  });
  afterEach(async () => {
    await cloud.close();
    rmSync(folder, { recursive: true });
  });

  const patch = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    request(cloud, "PATCH", `/cvms/${cvm.id}${path}`, { body, headers });
  const read = async (path = "", headers: Record<string, string> = {}) =>
    (await request(cloud, "GET", `/cvms/${cvm.id}${path}`, { headers })).body;
  const blockOf = async (hash: TransactionHash) => (await getTransactionReceipt(dstack.client, { hash })).blockNumber;
  const lastOperation = () => cloud.readHistory(cvm.id).at(-1);

  async function propose(docker_compose_file = nextCompose, headers: Record<string, string> = {}) {
    const answer = await patch("", { docker_compose_file }, headers);
    expect(answer.status, answer.text).to.equal(465);
    return String(answer.body.compose_hash);
  }

  async function confirm(composeHash: string, transactionHash: string) {
    const answer = await patch("", {}, { "X-Compose-Hash": composeHash, "X-Transaction-Hash": transactionHash });
    expect(answer.status, answer.text).to.equal(202);
    return answer.body;
  }

  async function update(docker_compose_file = nextCompose) {
    const composeHash = await propose(docker_compose_file);
    const transactionHash = await registerHash({ dstack }, cvm.appId, composeHash);
    const { correlation_id, message } = await confirm(composeHash, transactionHash);
    return { composeHash, transactionHash, correlationId: String(correlation_id), message };
  }

  async function expectInForce(composeHash: string) {
    await until(async () => (await read()).compose_hash === composeHash && (await read()).status === "running");
  }

  it("is waited for before the rollover, and the CVM's state says so", async () => {
    const { composeHash, transactionHash, correlationId, message } = await update();
    expect(message).to.equal("The CVM will be updated when the registration of the compose hash is safe.");
    const finality = { awaited_tag: "safe", compose_hash: composeHash, transaction_hash: transactionHash };
    for (const body of [await read(), await read("", { "X-Phala-Version": "2025-10-28" }), await read("/state")]) {
      expect(body.status).to.equal("awaiting_finality");
      expect(body.finality).to.deep.include(finality);
    }
    const detail = await read();
    expect(detail).to.include({ in_progress: true, compose_hash: cvm.composeHash.slice(2) });
    expect(detail.progress).to.include({ target: "running", correlation_id: correlationId });
    expect(await read("/state")).to.have.property("uptime");
    const batch = await request(cloud, "POST", "/status/batch", { body: { vm_uuids: [detail.vm_uuid] } });
    expect(batch.body[String(detail.vm_uuid)]).to.include({ status: "awaiting_finality", in_progress: true });

    chain.safe = (await blockOf(transactionHash)) - 1n;
    expect((await confirm(composeHash, transactionHash)).correlation_id).to.equal(correlationId);
    expect(await read()).to.include({ status: "awaiting_finality" });
    chain.safe += 1n;
    await expectInForce(composeHash);
    expect(await read()).to.not.have.property("finality");
    expect(lastOperation()).to.include({ correlationId, state: "done" });
    const told = events.filter(({ type }) => /^(finality|operation)/.test(type)).slice(-4);
    expect(told.map(({ type }) => type)).to.deep.equal([
      "finality.awaited",
      "finality.judged",
      "operation.started",
      "operation.finished",
    ]);
    expect(told[1]).to.include({ verdict: "reached", tag: "safe" });
  });

  it("is set for each KMS, and the default is the latest block", async () => {
    await cloud.close();
    const { kms = [] } = platformOf(dstack, rpc.transport);
    await start({
      finality: "latest",
      kms: kms.map((one) => (one.chainId ? { ...one, finality: "finalized" as const } : one)),
    });
    cvm = await createOnChainCvm({ dstack, cloud });
    const { composeHash, transactionHash } = await update();
    chain.safe = await blockOf(transactionHash);
    expect((await read()).finality).to.deep.include({ awaited_tag: "finalized" });
    chain.finalized = chain.safe;
    await expectInForce(composeHash);
    cvm = await createOffChainCvm({ cloud });
    expect((await patch("", { docker_compose_file: nextCompose })).status).to.equal(202);
    await cloud.whenIdle();
    expect(lastOperation()).to.include({ state: "done" });

    await cloud.close();
    await start({ finality: undefined });
    cvm = await createOnChainCvm({ dstack, cloud });
    const atOnce = await update();
    expect(atOnce.message).to.equal("The CVM is being updated.");
    await expectInForce(atOnce.composeHash);
  });

  it("that a reorganisation prevents is refused with 467, and the CVM keeps its document", async () => {
    const { provider } = dstack.connection;
    const composeHash = await propose();
    const snapshot = await provider.request({ method: "evm_snapshot" });
    const transactionHash = await registerHash({ dstack }, cvm.appId, composeHash);
    const { correlation_id: correlationId } = await confirm(composeHash, transactionHash);
    await provider.request({ method: "evm_revert", params: [snapshot] });
    await cloud.whenIdle();
    const reason =
      `Transaction ${transactionHash} was not found on chain 8453. ` +
      "(HTTP 467, ERR-01-007, before the registration was safe)";
    expect(lastOperation()).to.include({ correlationId, state: "failed", failure: reason });
    expect(await read()).to.include({ status: "running", compose_hash: cvm.composeHash.slice(2), in_progress: false });
    expect(await read("/state")).to.include({ status: "running", boot_error: reason });
    expect(cloud.readEnvironment(cvm.id)).to.deep.equal([{ key: "MODE", value: "old" }]);
    const headers = { "X-Compose-Hash": composeHash, "X-Transaction-Hash": transactionHash };
    const repeated = await patch("", {}, headers);
    expect([repeated.status, repeated.body.error_code]).to.deep.equal([467, "ERR-01-007"]);

    const again = await registerHash({ dstack }, cvm.appId, composeHash);
    chain.safe = await blockOf(again);
    await confirm(composeHash, again);
    await expectInForce(composeHash);
  });

  it("of a hash that is removed meanwhile is refused with 468", async () => {
    const { composeHash, transactionHash } = await update();
    const { client, owner } = dstack;
    await removeComposeHash(client, { account: owner, appId: cvm.appId, composeHash: parseComposeHash(composeHash) });
    await cloud.whenIdle();
    expect(lastOperation()?.failure).to.include("HTTP 468, ERR-01-008");
    expect(await read()).to.include({ compose_hash: cvm.composeHash.slice(2), status: "running" });
    chain.safe = await blockOf(transactionHash);
    const repeated = await patch("", { compose_hash: composeHash, transaction_hash: transactionHash });
    expect(repeated.status).to.equal(468);
  });

  it("keeps an update from being replaced without a confirmation", async () => {
    const first = await update();
    const encrypted_env = await encryptFor(cloud, cvm.appId, [{ key: "MODE", value: "new" }]);
    const yaml = { "Content-Type": "text/yaml" };
    for (const [method, path, body, headers] of [
      ["PATCH", "", { docker_compose_file: otherCompose }, {}],
      ["PATCH", "", { docker_compose_file: otherCompose }, { "X-Prepare-Only": "true" }],
      ["PATCH", "/docker-compose", otherCompose, yaml],
      ["PATCH", "/envs", { encrypted_env }, {}],
      ["PATCH", "/visibility", { public_logs: false, public_sysinfo: false }, {}],
      ["PATCH", "/resources", { vcpu: 2 }, {}],
      ["PATCH", "/os-image", { os_image_name: "dstack-0.5.8" }, {}],
      ["POST", "/compose_file/provision", { docker_compose_file: otherCompose }, {}],
      ["POST", "/restart", {}, {}],
      ["POST", "/stop", undefined, {}],
      ["DELETE", "", undefined, { "X-Replace-Pending-Update": "false" }],
    ] as const) {
      const refused = await request(cloud, method, `/cvms/${cvm.id}${path}`, { body, headers });
      expect([refused.status, refused.body.error_code], `${method} ${path}`).to.deep.equal([409, "ERR-01-409"]);
      expect(refused.body.details).to.deep.include({ field: "pending_correlation_id", value: first.correlationId });
    }
    expect((await patch("/resources", { vcpu: 2 }, { "X-Replace-Pending-Update": "perhaps" })).status).to.equal(422);
    expect(await read()).to.include({ status: "awaiting_finality" });

    const composeHash = await propose(otherCompose, replace);
    expect(lastOperation(), "a proposal replaces nothing").to.include({ state: "running" });
    const transactionHash = await registerHash({ dstack }, cvm.appId, composeHash);
    await confirm(composeHash, transactionHash);
    const [replaced, second] = cloud.readHistory(cvm.id).slice(-2);
    expect(replaced).to.include({
      correlationId: first.correlationId,
      state: "failed",
      failure: "A later request replaced the update while it waited for finality.",
    });
    expect(second).to.include({ state: "running", composeHash: `0x${composeHash}` });
    expect(await read("/state")).to.not.have.property("boot_error");
    chain.safe = await blockOf(transactionHash);
    await expectInForce(composeHash);
  });

  it("keeps no CVM from being stopped or deleted with a confirmation", async () => {
    await update();
    expect((await request(cloud, "POST", `/cvms/${cvm.id}/stop`, { headers: replace })).status).to.equal(202);
    await cloud.whenIdle();
    expect(await read()).to.include({ status: "stopped", compose_hash: cvm.composeHash.slice(2) });
    const { composeHash, transactionHash } = await update(otherCompose);
    chain.safe = await blockOf(transactionHash);
    await until(async () => (await read()).compose_hash === composeHash);
    expect(await read()).to.include({ status: "stopped" });
    chain.safe = 0n;
    await update();
    expect((await request(cloud, "DELETE", `/cvms/${cvm.id}`, { headers: replace })).status).to.equal(204);
    await cloud.whenIdle();
    expect(events.at(-2)).to.include({ type: "operation.finished", kind: "delete" });
  });

  it("survives a restart of the cloud and an outage of its endpoint", async () => {
    const { composeHash, transactionHash, correlationId } = await update();
    expect((await patch("/listed", { listed: true })).status).to.equal(200);
    await cloud.close();
    chain.isDown = true;
    await start({ stateFile: join(folder, "cloud.db"), finality: "latest" });
    expect(await read()).to.include({ status: "awaiting_finality", listed: true });
    chain.isDown = false;
    chain.safe = await blockOf(transactionHash);
    await expectInForce(composeHash);
    expect(lastOperation()).to.include({ correlationId, state: "done" });
    expect(await read()).to.include({ listed: true });
  });

  it("is kept by a snapshot of the cloud", async () => {
    const { composeHash, transactionHash } = await update();
    const snapshot = await cloud.snapshot();
    chain.safe = await blockOf(transactionHash);
    await expectInForce(composeHash);
    chain.safe = 0n;
    await cloud.restore(snapshot);
    expect(await read()).to.include({ status: "awaiting_finality", compose_hash: cvm.composeHash.slice(2) });
    chain.safe = await blockOf(transactionHash);
    await expectInForce(composeHash);
  });

  it("counts for a confirmation without a transaction, for a commit token and for a revision", async () => {
    const composeHash = await propose();
    const registered = await blockOf(await registerHash({ dstack }, cvm.appId, composeHash));
    await confirm(composeHash, "already-registered");
    chain.safe = registered - 1n;
    expect(await read()).to.include({ status: "awaiting_finality" });
    chain.safe = registered;
    await expectInForce(composeHash);

    chain.safe = 0n;
    const { body } = await request(cloud, "GET", `/apps/${cvm.appId.slice(2)}/revisions`);
    const [, { revision_id }] = body.revisions as [unknown, { revision_id: string }];
    const path = `/apps/${cvm.appId.slice(2)}/revisions/${revision_id}/redeploy`;
    expect((await request(cloud, "POST", path, { body: {} })).status).to.equal(202);
    expect(await read()).to.include({ status: "awaiting_finality" });
    expect((await request(cloud, "POST", path, { body: {} })).body).to.include({ error_code: "ERR-01-409" });
    chain.safe = registered;
    await expectInForce(cvm.composeHash.slice(2));

    chain.safe = 0n;
    const prepared = await patch("", { docker_compose_file: otherCompose }, { "X-Prepare-Only": "true" });
    const details = prepared.body.details as { field: string; value: unknown }[];
    const token = details.find(({ field }) => field === "commit_token")?.value;
    const transaction_hash = await registerHash({ dstack }, cvm.appId, String(prepared.body.compose_hash));
    const committed = await request(cloud, "POST", `/cvms/${cvm.id}/commit-update`, {
      body: { token, transaction_hash },
    });
    expect(committed.status, committed.text).to.equal(200);
    expect(committed.body.message).to.include("is safe");
    chain.safe = await blockOf(transaction_hash);
    await expectInForce(String(prepared.body.compose_hash));
  });
});

describe("finality in a world whose tags lag", () => {
  it("is waited for by this toolkit's own update, on the world's clock", async () => {
    const world = await startWorld({ safeLagSeconds: 73, cloud: { rolloverMs: 0, finality: "safe" } });
    try {
      const cvm = "onchain-app";
      const waits: UpdateEvent[] = [];
      const rolloverMs = 2_000;
      const updated = updateCvm({
        ...{ cloud: world.cloudClient, chain: world.ownerClient, ledger: memoryLedger(), waitForRollover: true },
        ...{ cvm, dockerCompose: nextCompose, pollChainMs: 10, pollCloudMs: 10, timeouts: { rolloverMs } },
        onStep: (event) => event.kind === "awaitingFinality" && waits.push(event),
      });
      const isWaiting = async () => (await getCvm(world.cloudClient, { cvm })).status === "awaiting_finality";
      await Promise.race([until(isWaiting), updated]);
      expect(await isWaiting()).to.equal(true);
      await Promise.race([until(() => waits.length > 0), updated]);
      const since = performance.now();
      await Promise.race([until(() => performance.now() - since > 1.1 * rolloverMs), updated]);
      expect(waits).to.have.length(1);
      expect(waits[0]).to.include({ step: "followRollover", tag: "safe", typicalMs: 75_000 });
      await world.advance(73);
      expect((await updated).outcome).to.equal("updated");
      expect(await getCvm(world.cloudClient, { cvm })).to.include({ status: "running", busy: false });
    } finally {
      await world.close();
    }
  });
});
