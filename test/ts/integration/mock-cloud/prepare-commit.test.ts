import { commitCvmUpdate, patchCvm } from "@phala/cloud";
import { expect } from "chai";
import { network } from "hardhat";
import { encodeFunctionData } from "viem";
import { waitForTransactionReceipt, writeContract } from "viem/actions";
import { removeComposeHash } from "../../../../src/chain/remove-compose-hash.ts";
import { parseHashRegistration } from "../../../../src/cloud/protocol.ts";
import { parseComposeHash } from "../../../../src/core/ids.ts";
import { dstackAppAbi } from "../../../../src/generated/abi.ts";
import { startMockCloud } from "../../../../src/mock-cloud/index.ts";
import { deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { send } from "../../../support/hostile/page-requests.ts";
import { deployForwarder, forward } from "../../../support/mock-cloud/call-forwarder.ts";
import {
  type Answer,
  apiKey,
  type CloudWorld,
  createOffChainCvm,
  createOnChainCvm,
  encryptFor,
  officialClient,
  platformOf,
  registerHash,
  request,
  type TestCvm,
} from "../../../support/mock-cloud/cloud-world.ts";
import { type ManualClock, manualClock } from "../../../support/mock-cloud/manual-clock.ts";

const nextCompose = "services:\n  app:\n    image: nginx:2\n";
const prepare = { "X-Prepare-Only": "true" };
const fourteenDays = 14 * 24 * 60 * 60 * 1000;

describe("prepare and commit", () => {
  let world: CloudWorld;
  let clock: ManualClock;
  let cvm: TestCvm;

  before(async () => {
    const dstack = await deployDstack(await network.create("local"));
    clock = manualClock();
    const events: CloudWorld["events"] = [];
    const onEvent = (event: CloudWorld["events"][number]) => events.push(event);
    world = {
      dstack,
      cloud: await startMockCloud({ ...platformOf(dstack), clock, receiptAttempts: 1, onEvent }),
      events,
    };
  });
  after(() => world.cloud.close());
  beforeEach(async () => {
    cvm = await createOnChainCvm(world, { environment: [{ key: "MODE", value: "old" }] });
  });

  const patch = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    request(world.cloud, "PATCH", `/cvms/${cvm.id}${path}`, { body, headers });
  const read = async () => (await request(world.cloud, "GET", `/cvms/${cvm.id}`)).body;

  /** Without an API key: the token is the credential. */
  async function anonymous(method: string, url: string, body?: unknown): Promise<Answer> {
    const response = await fetch(url.startsWith("http") ? url : `${world.cloud.baseUrl}${url}`, {
      method,
      ...(body !== undefined && { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json") ?? false;
    return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : {} };
  }
  const commit = (body: unknown, id = cvm.id) => anonymous("POST", `/cvms/${id}/commit-update`, body);

  async function prepared(body: Record<string, unknown> = { docker_compose_file: nextCompose }) {
    const answer = await patch("", body, prepare);
    expect(answer.status, answer.text).to.equal(465);
    const { compose_hash, commit_token: token = "", ...rest } = parseHashRegistration(answer.body);
    expect(token).to.match(/^[0-9a-f-]{36}$/);
    return { ...rest, compose_hash, token };
  }

  async function expectRefusal(answer: Answer, status: number, errorCode: string, text?: string) {
    expect(answer.status, answer.text).to.equal(status);
    expect(answer.body).to.include({ error_code: errorCode });
    if (text) expect(answer.body.message).to.include(text);
    expect(await read()).to.include({ status: "running", compose_hash: cvm.composeHash.slice(2) });
  }

  async function expectInForce(composeHash: string) {
    await world.cloud.whenIdle();
    expect(await read()).to.include({ status: "running", compose_hash: composeHash });
  }

  it("returns a token, working links and the chain's view, and does not change the CVM", async () => {
    const history = world.cloud.readHistory(cvm.id);
    const { compose_hash, token, commit_url, api_commit_url, onchain_status } = await prepared();
    expect(onchain_status).to.deep.equal({
      compose_hash_allowed: false,
      device_id_allowed: true,
      is_allowed: false,
    });
    for (const url of [commit_url, api_commit_url])
      expect(new URL(String(url)).searchParams.get("token")).to.equal(token);
    expect(await read()).to.include({ status: "running", in_progress: false, compose_hash: cvm.composeHash.slice(2) });
    expect(world.cloud.readHistory(cvm.id)).to.deep.equal(history);

    const page = await anonymous("GET", String(commit_url));
    expect(page.status).to.equal(200);
    expect(page.headers.get("content-type")).to.include("text/html");
    expect(page.text).to.include(compose_hash);

    await registerHash(world, cvm.appId, compose_hash);
    const committed = await anonymous("POST", String(api_commit_url), {});
    expect(committed.status, committed.text).to.equal(200);
    await expectInForce(compose_hash);
  });

  it("uses its own address in links for each host name, and refuses frames for its page", async () => {
    const { port } = new URL(world.cloud.url);
    const path = `/api/v1/cvms/${cvm.id}`;
    const answer = await send(`http://127.0.0.1:${port}${path}`, {
      method: "PATCH",
      headers: { ...prepare, "X-API-Key": apiKey, "Content-Type": "application/json", Host: `world.localhost:${port}` },
      body: JSON.stringify({ docker_compose_file: nextCompose }),
    });
    expect(answer.status, answer.text).to.equal(465);
    expect(answer.text).to.not.include("world.localhost");
    const { commit_url = "", api_commit_url = "" } = parseHashRegistration(JSON.parse(answer.text));
    for (const url of [commit_url, api_commit_url]) expect(url).to.match(new RegExp(`^${world.cloud.url}/`));

    const { headers } = await send(commit_url);
    expect(headers["content-security-policy"]).to.equal(
      "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    );
    expect(headers).to.include({
      "x-frame-options": "DENY",
      "x-content-type-options": "nosniff",
      "referrer-policy": "same-origin",
      "cache-control": "no-store",
    });
    const { headers: refused } = await send(commit_url.replace(/token=.*/, "token=no"));
    expect(refused).to.include({ "x-frame-options": "DENY", "cache-control": "no-store" });
  });

  it("commits from the page's form", async () => {
    const { compose_hash, commit_url = "" } = await prepared();
    const transaction_hash = await registerHash(world, cvm.appId, compose_hash);
    const submit = (fields: Record<string, string>) =>
      fetch(commit_url, { method: "POST", body: new URLSearchParams(fields) });
    expect((await submit({ transaction_hash: "0x12" })).status).to.equal(422);
    expect((await submit({ transaction_hash })).status).to.equal(202);
    await expectInForce(compose_hash);
    expect((await submit({ transaction_hash })).status).to.equal(466);
  });

  const requests: [path: string, body: unknown, headers: Record<string, string>][] = [
    ["", { docker_compose_file: nextCompose }, {}],
    ["/docker-compose", nextCompose, { "Content-Type": "text/yaml" }],
    ["/pre-launch-script", "echo hello", { "Content-Type": "text/plain" }],
  ];
  for (const [path, body, headers] of requests) {
    it(`prepares a PATCH of ${path || "the CVM"} and commits it with a receipt`, async () => {
      const registration = parseHashRegistration((await patch(path, body, { ...headers, ...prepare })).body);
      const { compose_hash, commit_token: token } = registration;
      const transaction_hash = await registerHash(world, cvm.appId, compose_hash);
      const answer = await commit({ token, compose_hash: `0x${compose_hash}`, transaction_hash });
      expect(answer.status, answer.text).to.equal(200);
      expect(answer.body).to.include({ status: "in_progress" }).and.to.have.property("correlation_id");
      await expectInForce(compose_hash);
      expect(world.cloud.readHistory(cvm.id).at(-1)).to.include({ transactionHash: transaction_hash, state: "done" });
    });
  }

  it("prepares new names and values of the environment", async () => {
    const encrypted_env = await encryptFor(world.cloud, cvm.appId, [{ key: "LEVEL", value: "7" }]);
    const answer = await patch("/envs", { encrypted_env, env_keys: ["LEVEL"] }, prepare);
    const { compose_hash, commit_token: token } = parseHashRegistration(answer.body);
    await registerHash(world, cvm.appId, compose_hash);
    expect((await commit({ token, compose_hash: "", transaction_hash: "" })).status).to.equal(200);
    await expectInForce(compose_hash);
    expect(world.cloud.readEnvironment(cvm.id)).to.deep.equal([{ key: "LEVEL", value: "7" }]);
  });

  it("applies a change that needs no registration at once, as without the header", async () => {
    const encrypted_env = await encryptFor(world.cloud, cvm.appId, [{ key: "MODE", value: "new" }]);
    expect((await patch("", { encrypted_env }, prepare)).status).to.equal(202);
    cvm = await createOffChainCvm(world);
    expect((await patch("", { docker_compose_file: nextCompose }, prepare)).status).to.equal(202);
    await world.cloud.whenIdle();
    expect(await read()).to.include({ status: "running" });
  });

  it("describes a token by GET at each stage", async () => {
    const { token, compose_hash } = await prepared();
    const info = async () => (await anonymous("GET", `/cvms/${cvm.id}/commit-update?token=${token}`)).body;
    expect(await info()).to.deep.include({
      status: "pending",
      compose_hash,
      current_compose_hash: cvm.composeHash.slice(2),
      app_id: cvm.appId.slice(2),
      onchain_status: { compose_hash_allowed: false, device_id_allowed: true, is_allowed: false },
      expires_at: new Date(clock.now() + fourteenDays).toISOString(),
      correlation_id: null,
    });
    await registerHash(world, cvm.appId, compose_hash);
    expect(await info()).to.have.nested.property("onchain_status.is_allowed", true);
    const { correlation_id } = (await commit({ token })).body;
    expect(await info()).to.include({ status: "committed", correlation_id });
    await world.cloud.whenIdle();

    const second = await prepared({ pre_launch_script: "echo 1" });
    clock.advance(fourteenDays);
    const expired = await anonymous("GET", `/cvms/${cvm.id}/commit-update?token=${second.token}`);
    expect(expired.body).to.include({ status: "expired" });
    expect((await anonymous("GET", `/cvms/${cvm.id}/commit-update?token=nothing`)).status).to.equal(466);
    expect((await anonymous("GET", `/cvms/${cvm.id}/commit-update`)).status).to.equal(422);
  });

  it("accepts the receipt of a transaction to another contract, such as a Safe", async () => {
    const forwarder = await deployForwarder(world.dstack);
    const { client, owner } = world.dstack;
    const { token, compose_hash } = await prepared();
    const hash = await writeContract(client, {
      account: owner,
      chain: client.chain,
      address: cvm.appId,
      abi: dstackAppAbi,
      functionName: "transferOwnership",
      args: [forwarder],
    });
    await waitForTransactionReceipt(client, { hash });
    const call = (functionName: "acceptOwnership" | "addComposeHash") =>
      functionName === "acceptOwnership"
        ? encodeFunctionData({ abi: dstackAppAbi, functionName })
        : encodeFunctionData({ abi: dstackAppAbi, functionName, args: [parseComposeHash(compose_hash)] });
    await forward(world.dstack, forwarder, cvm.appId, call("acceptOwnership"));
    const transaction_hash = await forward(world.dstack, forwarder, cvm.appId, call("addComposeHash"));
    expect((await commit({ token, transaction_hash })).status).to.equal(200);
    await expectInForce(compose_hash);
  });

  it("checks only the contract's state for already-registered, and the receipt for a transaction", async () => {
    const { token, compose_hash } = await prepared();
    await expectRefusal(await commit({ token, transaction_hash: "already-registered" }), 468, "ERR-01-008");
    await expectRefusal(await commit({ token, transaction_hash: `0x${"77".repeat(32)}` }), 467, "ERR-01-007");
    const transaction_hash = await registerHash(world, cvm.appId, compose_hash);
    await removeComposeHash(world.dstack.client, {
      account: world.dstack.owner,
      appId: cvm.appId,
      composeHash: parseComposeHash(compose_hash),
    });
    await expectRefusal(await commit({ token, transaction_hash }), 468, "ERR-01-008");
    await registerHash(world, cvm.appId, compose_hash);
    expect((await commit({ token, transaction_hash: "already-registered" })).status).to.equal(200);
    await expectInForce(compose_hash);
  });

  it("commits a token once, also with several requests at the same time", async () => {
    const { token, compose_hash } = await prepared();
    await registerHash(world, cvm.appId, compose_hash);
    const answers = await Promise.all([commit({ token }), commit({ token }), commit({ token })]);
    expect(answers.filter(({ status }) => status === 200)).to.have.lengthOf(1);
    for (const { status } of answers) expect(status).to.be.oneOf([200, 409, 466]);
    await expectInForce(compose_hash);
    const late = await commit({ token });
    expect(late.status).to.equal(466);
    expect(late.body.message).to.include("Invalid").and.to.include("used before");
    expect(world.cloud.readHistory(cvm.id).filter(({ kind }) => kind === "update")).to.have.lengthOf(1);
  });

  it("refuses a token that is unknown, superseded, expired, outdated, or of another CVM or hash", async () => {
    await expectRefusal(await commit({ token: "nothing" }), 466, "ERR-01-006", "Invalid");
    const older = await prepared();
    const newer = await prepared();
    expect(newer.compose_hash).to.equal(older.compose_hash);
    await registerHash(world, cvm.appId, older.compose_hash);
    await expectRefusal(await commit({ token: older.token }), 466, "ERR-01-006", "superseded");
    const wrongHash = { token: newer.token, compose_hash: "ab".repeat(32) };
    await expectRefusal(await commit(wrongHash), 466, "ERR-01-006", newer.compose_hash);

    const neighbour = await createOnChainCvm(world, { allowedEnvs: ["X"] });
    await expectRefusal(await commit({ token: newer.token }, neighbour.id), 466, "ERR-01-006", "Invalid");
    clock.advance(fourteenDays - 1);
    const info = await anonymous("GET", `/cvms/${cvm.id}/commit-update?token=${newer.token}`);
    expect(info.body).to.include({ status: "pending" });
    clock.advance(1);
    await expectRefusal(await commit({ token: newer.token }), 466, "ERR-01-006", "expired");
  });

  it("refuses malformed commits, and tokens of a deleted CVM", async () => {
    const { token } = await prepared();
    for (const body of [
      {},
      { token: "" },
      { token: 7 },
      [],
      { token, compose_hash: "ab".repeat(31) },
      { token, transaction_hash: "0x12" },
    ]) {
      expect((await commit(body)).status, JSON.stringify(body)).to.equal(422);
    }
    expect((await patch("", { docker_compose_file: nextCompose }, { "X-Prepare-Only": "perhaps" })).status).to.equal(
      422,
    );
    await request(world.cloud, "DELETE", `/cvms/${cvm.id}`);
    expect((await commit({ token })).status).to.equal(404);
  });

  it("refuses an unknown API version like every other endpoint", async () => {
    const cvm = await createOnChainCvm(world);
    const headers = { "X-Phala-Version": "yesterday" };
    const path = `/cvms/${cvm.id}/commit-update?token=unknown`;
    expect((await request(world.cloud, "GET", path, { headers })).status).to.equal(422);
    expect((await request(world.cloud, "POST", path, { headers })).status).to.equal(422);
  });

  it("repeats no token in events and answers", async () => {
    world.events.length = 0;
    const { token, api_commit_url = "", compose_hash } = await prepared();
    await registerHash(world, cvm.appId, compose_hash);
    await anonymous("GET", api_commit_url);
    expect((await anonymous("POST", api_commit_url, {})).status).to.equal(200);
    await expectInForce(compose_hash);
    expect(JSON.stringify(world.events)).to.not.include(token);
    expect(world.events.map(({ type }) => type)).to.include("update.prepared");
  });

  for (const version of ["2025-10-28", "2026-01-21"] as const) {
    it(`works for the official client at ${version}`, async () => {
      const client = officialClient(world.cloud, version);
      const proposed = await patchCvm(client, { id: cvm.id, docker_compose_file: nextCompose, prepareOnly: true });
      if (!proposed.requiresOnChainHash || !proposed.commitToken) throw new Error("expected a token");
      const { composeHash, commitToken: token } = proposed;
      expect(proposed.onchainStatus).to.include({ is_allowed: false });
      const transactionHash = await registerHash(world, cvm.appId, composeHash);
      const committed = await commitCvmUpdate(client, { id: cvm.id, token, composeHash, transactionHash });
      expect(committed).to.include({ status: "in_progress" });
      await expectInForce(composeHash);
    });
  }
});
