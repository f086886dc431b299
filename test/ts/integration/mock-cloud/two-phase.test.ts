import { expect } from "chai";
import { network } from "hardhat";
import { parseHashRegistration } from "../../../../src/cloud/protocol.ts";
import { checkAppCompose } from "../../../../src/core/app-compose.ts";
import { hashAppComposeText, writeAppCompose } from "../../../../src/core/compose-hash.ts";
import type { JsonObject } from "../../../../src/core/json.ts";
import { startMockCloud } from "../../../../src/mock-cloud/index.ts";
import { deployDstack } from "../../../support/chain/deploy-dstack.ts";
import {
  type Answer,
  type CloudWorld,
  createOffChainCvm,
  createOnChainCvm,
  dockerCompose,
  encryptFor,
  platformOf,
  registerHash,
  request,
  type TestCvm,
} from "../../../support/mock-cloud/cloud-world.ts";
import { type ManualClock, manualClock } from "../../../support/mock-cloud/manual-clock.ts";

const nextCompose = "services:\n  app:\n    image: nginx:2\n";
const otherCompose = "services:\n  app:\n    image: nginx:3\n";
const yaml = { "Content-Type": "text/yaml" };
const fourteenDays = 14 * 24 * 60 * 60 * 1000;

describe("updates in two phases", () => {
  let world: CloudWorld;
  let clock: ManualClock;
  let cvm: TestCvm;

  before(async () => {
    const dstack = await deployDstack(await network.create("local"));
    clock = manualClock();
    const events: CloudWorld["events"] = [];
    const cloud = await startMockCloud({
      ...platformOf(dstack),
      clock,
      receiptAttempts: 1,
      onEvent: (event) => events.push(event),
    });
    world = { dstack, cloud, events };
  });
  after(() => world.cloud.close());

  beforeEach(async () => {
    cvm = await createOnChainCvm(world, { environment: [{ key: "MODE", value: "old" }] });
  });

  const patch = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    request(world.cloud, "PATCH", `/cvms/${cvm.id}${path}`, { body, headers });
  const get = (path = "") => request(world.cloud, "GET", `/cvms/${cvm.id}${path}`);
  const confirmation = (composeHash: string, transactionHash: string) => ({
    "X-Compose-Hash": composeHash,
    "X-Transaction-Hash": transactionHash,
  });

  function registrationOf(answer: Answer): string {
    expect(answer.status, answer.text).to.equal(465);
    return parseHashRegistration(answer.body).compose_hash;
  }

  async function expectInForce(composeHash: string) {
    await world.cloud.whenIdle();
    expect((await get()).body).to.include({ status: "running", compose_hash: composeHash });
  }

  it("asks for the registration of a new document, with every field that a client reads", async () => {
    const answer = await patch("", { docker_compose_file: nextCompose });
    const composeHash = registrationOf(answer);
    const values = {
      compose_hash: composeHash,
      app_id: cvm.appId.slice(2),
      device_id: world.dstack.deviceId.slice(2),
      kms_info: (await request(world.cloud, "GET", "/kms/base", { headers: { "X-Phala-Version": "2026-01-21" } })).body,
    };
    expect(answer.body).to.deep.include({ error_code: "ERR-01-005", ...values });
    expect(answer.body.details).to.deep.equal(Object.entries(values).map(([field, value]) => ({ field, value })));
    expect(answer.body.request_id).to.equal(answer.headers.get("X-Request-ID"));
    expect(JSON.stringify(answer.body)).to.not.include("commit_token");
    expect((await get()).body).to.include({ status: "running", compose_hash: cvm.composeHash.slice(2) });
  });

  it("applies the first phase's payload when headers confirm with an empty object", async () => {
    const encrypted_env = await encryptFor(world.cloud, cvm.appId, [{ key: "MODE", value: "new" }]);
    const composeHash = registrationOf(await patch("", { docker_compose_file: nextCompose, encrypted_env, vcpu: 2.0 }));
    const transactionHash = await registerHash(world, cvm.appId, composeHash);
    const answer = await patch("", {}, confirmation(composeHash, transactionHash));
    expect(answer.status).to.equal(202);
    expect(answer.body).to.include({ status: "in_progress" });
    expect(answer.body.correlation_id).to.be.a("string");
    await expectInForce(composeHash);
    expect((await get()).body.resource).to.include({ vcpu: 2 });
    expect(world.cloud.readEnvironment(cvm.id)).to.deep.equal([{ key: "MODE", value: "new" }]);
  });

  it("accepts a confirmation in the body, with hashes in each notation", async () => {
    const composeHash = registrationOf(await patch("", { docker_compose_file: nextCompose }));
    const transaction_hash = (await registerHash(world, cvm.appId, composeHash)).toUpperCase().replace("0X", "0x");
    const answer = await patch("", { compose_hash: `0x${composeHash.toUpperCase()}`, transaction_hash });
    expect(answer.status, answer.text).to.equal(202);
    await expectInForce(composeHash);
  });

  it("accepts the update guide's names of both hashes in each body", async () => {
    for (const [method, path, image] of [
      ["POST", "/confirm-patch", 4],
      ["PATCH", "", 5],
    ] as const) {
      const composeHash = registrationOf(
        await patch("", { docker_compose_file: nextCompose.replace("2", `${image}`) }),
      );
      const transactionHash = await registerHash(world, cvm.appId, composeHash);
      const answer = await request(world.cloud, method, `/cvms/${cvm.id}${path}`, {
        // A field that no endpoint has is not a change.
        body: { composeHash, transactionHash, id: cvm.id },
      });
      expect(answer.status, answer.text).to.equal(202);
      await expectInForce(composeHash);
    }
  });

  it("serves the two POST paths of the update guide too", async () => {
    const proposed = await request(world.cloud, "POST", `/cvms/${cvm.id}`, {
      body: { docker_compose_file: nextCompose },
    });
    const composeHash = registrationOf(proposed);
    const transaction_hash = await registerHash(world, cvm.appId, composeHash);
    const confirmed = await request(world.cloud, "POST", `/cvms/${cvm.id}/confirm-patch`, {
      body: { compose_hash: composeHash, transaction_hash },
    });
    expect(confirmed.status).to.equal(202);
    await expectInForce(composeHash);
  });

  const encodings: [
    name: string,
    encode: (field: string, text: string) => [body: unknown, headers: Record<string, string>],
  ][] = [
    ["raw text", (_, text) => [text, yaml]],
    ["JSON", (field, text) => [{ [field]: text }, {}]],
    ["a form", (_, text) => formOf(text)],
  ];
  for (const [name, encode] of encodings) {
    for (const [path, field, text] of [
      ["/docker-compose", "docker_compose_file", nextCompose],
      ["/pre-launch-script", "pre_launch_script", "#!/bin/sh\necho hello\n"],
    ] as const) {
      it(`replaces ${field} sent as ${name} in both phases`, async () => {
        const [body, headers] = encode(field, text);
        const composeHash = registrationOf(await patch(path, body, headers));
        const transactionHash = await registerHash(world, cvm.appId, composeHash);
        const answer = await patch(path, body, { ...headers, ...confirmation(composeHash, transactionHash) });
        expect(answer.status, answer.text).to.equal(202);
        expect(answer.body)
          .to.include({ status: "in_progress" })
          .and.to.have.keys("status", "message", "correlation_id");
        await expectInForce(composeHash);
        expect((await get(path === "/docker-compose" ? "/docker-compose.yml" : path)).text).to.equal(text);
      });
    }
  }

  it("confirms a new compose file without the text, and removes a script with an empty one", async () => {
    const composeHash = registrationOf(await patch("/pre-launch-script", { pre_launch_script: "echo hello" }));
    const transactionHash = await registerHash(world, cvm.appId, composeHash);
    expect((await patch("/pre-launch-script", undefined, confirmation(composeHash, transactionHash))).status).to.equal(
      202,
    );
    await expectInForce(composeHash);

    const withoutScript = registrationOf(await patch("/pre-launch-script", { pre_launch_script: "" }));
    const { body: document } = await get("/compose_file");
    const { pre_launch_script: _, ...rest } = document;
    expect(withoutScript).to.equal(hashAppComposeText(writeAppCompose(checkAppCompose(rest as JsonObject))).slice(2));
  });

  it("changes the allowed names of variables in two phases, and their values in one", async () => {
    const encrypted_env = await encryptFor(world.cloud, cvm.appId, [
      { key: "MODE", value: "new" },
      { key: "LEVEL", value: "7" },
    ]);
    const valuesOnly = await patch("/envs", {
      encrypted_env,
      env_keys: null,
      compose_hash: null,
      transaction_hash: null,
    });
    expect(valuesOnly.status).to.equal(202);
    expect(valuesOnly.body).to.include({ status: "in_progress", allowed_envs_changed: false });
    await expectInForce(cvm.composeHash.slice(2));
    expect(world.cloud.readEnvironment(cvm.id)).to.deep.equal([{ key: "MODE", value: "new" }]);

    const request = { encrypted_env, env_keys: ["MODE", "LEVEL"] };
    const composeHash = registrationOf(await patch("/envs", request));
    const transaction_hash = await registerHash(world, cvm.appId, composeHash);
    const confirmed = await patch("/envs", { ...request, compose_hash: composeHash, transaction_hash });
    expect(confirmed.status).to.equal(202);
    expect(confirmed.body).to.include({ status: "in_progress", allowed_envs_changed: true });
    await expectInForce(composeHash);
    expect(world.cloud.readEnvironment(cvm.id)).to.have.lengthOf(2);
    expect((await get("/compose_file")).body.allowed_envs).to.deep.equal(["MODE", "LEVEL"]);
  });

  it("replaces the environment as a whole", async () => {
    const encrypted_env = await encryptFor(world.cloud, cvm.appId, []);
    expect((await patch("/envs", { encrypted_env })).status).to.equal(202);
    await world.cloud.whenIdle();
    expect(world.cloud.readEnvironment(cvm.id)).to.deep.equal([]);
  });

  it("uses the environment of the confirmation, which may be encrypted again", async () => {
    const encrypt = (value: string) => encryptFor(world.cloud, cvm.appId, [{ key: "OTHER", value }]);
    const env_keys = ["OTHER"];
    const composeHash = registrationOf(await patch("/envs", { encrypted_env: await encrypt("first"), env_keys }));
    const transaction_hash = await registerHash(world, cvm.appId, composeHash);
    const encrypted_env = await encrypt("second");
    const confirmed = await patch("/envs", { encrypted_env, env_keys, compose_hash: composeHash, transaction_hash });
    expect(confirmed.status).to.equal(202);
    await world.cloud.whenIdle();
    expect(world.cloud.readEnvironment(cvm.id)).to.deep.equal([{ key: "OTHER", value: "second" }]);
  });

  it("keeps the first phase's environment when the confirmation has only the compose file", async () => {
    const encrypted_env = await encryptFor(world.cloud, cvm.appId, [{ key: "MODE", value: "new" }]);
    const composeHash = registrationOf(await patch("", { docker_compose_file: nextCompose, encrypted_env, vcpu: 2 }));
    const headers = confirmation(composeHash, await registerHash(world, cvm.appId, composeHash));
    expect((await patch("/docker-compose", nextCompose, { ...yaml, ...headers })).status).to.equal(202);
    await expectInForce(composeHash);
    expect(world.cloud.readEnvironment(cvm.id)).to.deep.equal([{ key: "MODE", value: "new" }]);
    expect((await get()).body.resource).to.include({ vcpu: 2 });
  });

  it("keeps an environment that was replaced while a document waited for its registration", async () => {
    const composeHash = registrationOf(await patch("/docker-compose", nextCompose, yaml));
    const encrypted_env = await encryptFor(world.cloud, cvm.appId, [{ key: "MODE", value: "between" }]);
    expect((await patch("/envs", { encrypted_env })).status).to.equal(202);
    await world.cloud.whenIdle();
    const transactionHash = await registerHash(world, cvm.appId, composeHash);
    expect((await patch("", {}, confirmation(composeHash, transactionHash))).status).to.equal(202);
    await expectInForce(composeHash);
    expect(world.cloud.readEnvironment(cvm.id)).to.deep.equal([{ key: "MODE", value: "between" }]);
  });

  it("asks for no registration when the document stays the same", async () => {
    const history = world.cloud.readHistory(cvm.id).length;
    for (const body of [{}, { docker_compose_file: dockerCompose }, { public_logs: true, listed: false }]) {
      const answer = await patch("", body);
      expect(answer.status).to.equal(202);
      expect(answer.body).to.include({ status: "no_change" });
      expect(answer.body.correlation_id).to.be.a("string");
    }
    const script = (await get("/pre-launch-script")).text;
    for (const [version, status] of [
      ["2025-10-28", "in_progress"],
      ["2026-01-21", "in_progress"],
      ["2026-05-22", "no_change"],
      ["2026-06-23", "no_change"],
      [undefined, "no_change"],
    ] as const) {
      const headers = { ...yaml, ...(version && { "X-Phala-Version": version }) };
      for (const [path, text] of [
        ["/docker-compose", dockerCompose],
        ["/pre-launch-script", script],
      ] as const) {
        const unchanged = await patch(path, text, headers);
        expect([unchanged.status, unchanged.body.status], `${path} ${version}`).to.deep.equal([202, status]);
        expect(unchanged.body).to.include({ message: "Nothing to change." });
      }
    }
    expect(world.cloud.readHistory(cvm.id)).to.have.lengthOf(history);

    const resized = await patch("", { memory: 4096 });
    expect(resized.body).to.include({ status: "in_progress" });
    await world.cloud.whenIdle();
    expect((await get()).body.resource).to.include({ memory_in_gb: 4 });
  });

  it("treats a change of each manifest field as a new document", async () => {
    const hashes = new Set<string>();
    for (const body of [
      { public_logs: false },
      { public_sysinfo: false },
      { public_tcbinfo: false },
      { secure_time: true },
    ]) {
      hashes.add(registrationOf(await patch("", body)));
    }
    expect(hashes.size).to.equal(4);
  });

  it("expires a proposed update after fourteen days, to the millisecond", async () => {
    const composeHash = registrationOf(await patch("", { docker_compose_file: nextCompose }));
    const transactionHash = await registerHash(world, cvm.appId, composeHash);
    clock.advance(fourteenDays);
    const late = await patch("", {}, confirmation(composeHash, transactionHash));
    expect(late.status).to.equal(466);
    expect(late.body).to.include({ error_code: "ERR-01-006" });
    expect(late.body.message).to.include("has expired");

    registrationOf(await patch("", { docker_compose_file: nextCompose }));
    clock.advance(fourteenDays - 1);
    expect((await patch("", {}, confirmation(composeHash, transactionHash))).status).to.equal(202);
    await expectInForce(composeHash);
  });

  it("supersedes a proposed update by a newer one of the same CVM, and of no other", async () => {
    const neighbour = await createOnChainCvm(world, { allowedEnvs: ["X"] });
    const older = registrationOf(await patch("", { docker_compose_file: nextCompose }));
    const newer = registrationOf(await patch("", { docker_compose_file: otherCompose }));
    await request(world.cloud, "PATCH", `/cvms/${neighbour.id}`, { body: { docker_compose_file: nextCompose } });
    const olderTransaction = await registerHash(world, cvm.appId, older);
    const newerTransaction = await registerHash(world, cvm.appId, newer);

    const refused = await patch("", {}, confirmation(older, olderTransaction));
    expect(refused.status).to.equal(466);
    expect(refused.body.message).to.include("superseded");
    expect((await patch("", {}, confirmation(newer, newerTransaction))).status).to.equal(202);
    await expectInForce(newer);
  });

  it("answers 466 to a hash without a proposal, and to text with another hash", async () => {
    const unknown = await patch("", {}, confirmation("ab".repeat(32), `0x${"77".repeat(32)}`));
    expect(unknown.status).to.equal(466);
    expect(unknown.body.message).to.include("was started");

    const composeHash = registrationOf(await patch("/docker-compose", nextCompose, yaml));
    const transactionHash = await registerHash(world, cvm.appId, composeHash);
    const swapped = await patch("/docker-compose", otherCompose, {
      ...yaml,
      ...confirmation(composeHash, transactionHash),
    });
    expect(swapped.status).to.equal(466);
    await expectInForce(cvm.composeHash.slice(2));
  });

  it("answers a repeated confirmation with the operation of the first", async () => {
    const composeHash = registrationOf(await patch("", { docker_compose_file: nextCompose }));
    const headers = confirmation(composeHash, await registerHash(world, cvm.appId, composeHash));
    const [first, twin] = await Promise.all([patch("", {}, headers), patch("", {}, headers)]);
    await world.cloud.whenIdle();
    const late = await patch("", {}, headers);
    for (const answer of [first, twin, late]) {
      expect(answer.status, answer.text).to.equal(202);
      expect(answer.body.correlation_id).to.equal(first.body.correlation_id);
    }
    expect(world.cloud.readHistory(cvm.id).filter(({ kind }) => kind === "update")).to.have.lengthOf(1);
  });

  it("refuses a confirmation with one value", async () => {
    const composeHash = registrationOf(await patch("", { docker_compose_file: nextCompose }));
    for (const [headers, field] of [
      [{ "X-Compose-Hash": composeHash }, "transaction_hash"],
      [{ "X-Transaction-Hash": "already-registered" }, "compose_hash"],
      [{ "X-Compose-Hash": composeHash, "X-Transaction-Hash": "" }, "transaction_hash"],
    ] as const) {
      const answer = await patch("", {}, headers);
      expect(answer.status).to.equal(422);
      expect(answer.body.detail).to.have.nested.property("[0].loc").that.deep.equals(["body", field]);
    }
  });

  it("provisions a document and puts it in force once the contract allows it", async () => {
    const { body: current } = await get("/compose_file");
    const provisioned = await request(world.cloud, "POST", `/cvms/${cvm.id}/compose_file/provision`, {
      body: { ...current, docker_compose_file: nextCompose, update_env_vars: null },
    });
    expect(provisioned.status, provisioned.text).to.equal(200);
    expect(provisioned.body).to.include({ app_id: cvm.appId.slice(2), device_id: world.dstack.deviceId.slice(2) });
    const compose_hash = String(provisioned.body.compose_hash);

    const early = await patch("/compose_file", { compose_hash });
    expect(early.status).to.equal(468);
    await registerHash(world, cvm.appId, compose_hash);
    const encrypted_env = await encryptFor(world.cloud, cvm.appId, [{ key: "MODE", value: "new" }]);
    expect((await patch("/compose_file", { compose_hash, encrypted_env })).status).to.equal(202);
    await expectInForce(compose_hash);
    expect(world.cloud.readEnvironment(cvm.id)).to.deep.equal([{ key: "MODE", value: "new" }]);
    expect((await patch("/compose_file", { compose_hash: "ab".repeat(32) })).status).to.equal(466);
  });

  it("reports events without a secret", async () => {
    world.events.length = 0;
    const encrypted_env = await encryptFor(world.cloud, cvm.appId, [{ key: "MODE", value: "very secret" }]);
    const composeHash = registrationOf(await patch("", { docker_compose_file: nextCompose, encrypted_env }));
    const transactionHash = await registerHash(world, cvm.appId, composeHash);
    await patch("", {}, confirmation(composeHash, transactionHash));
    await expectInForce(composeHash);
    expect(world.events.map(({ type }) => type).filter((type) => type !== "request")).to.deep.equal([
      "update.proposed",
      "registration.judged",
      "operation.started",
      "boot.judged",
      "operation.finished",
    ]);
    expect(JSON.stringify(world.events)).to.not.include(encrypted_env.slice(0, 40)).and.to.not.include("very secret");
  });

  describe("on an off-chain KMS", () => {
    beforeEach(async () => {
      cvm = await createOffChainCvm(world, { environment: [{ key: "MODE", value: "old" }] });
    });

    it("accepts every change at once", async () => {
      const encrypted_env = await encryptFor(world.cloud, cvm.appId, [{ key: "MODE", value: "new" }], "phala");
      for (const [path, body, headers] of [
        ["", { docker_compose_file: nextCompose, encrypted_env }, {}],
        ["/docker-compose", otherCompose, yaml],
        ["/pre-launch-script", "echo hello", { "Content-Type": "text/plain" }],
        ["/envs", { encrypted_env, env_keys: ["MODE", "LEVEL"] }, {}],
      ] as const) {
        const answer = await patch(path, body, headers);
        expect(answer.status, answer.text).to.equal(202);
        expect(answer.body).to.include({ status: "in_progress" });
        await world.cloud.whenIdle();
      }
      expect((await get("/docker-compose.yml")).text).to.equal(otherCompose);
      expect((await get("/pre-launch-script")).text).to.equal("echo hello");
      expect((await get("/compose_file")).body.allowed_envs).to.deep.equal(["MODE", "LEVEL"]);
      expect(world.cloud.readEnvironment(cvm.id)).to.deep.equal([{ key: "MODE", value: "new" }]);
      expect(world.cloud.readHistory(cvm.id).map(({ state }) => state)).to.deep.equal(Array(5).fill("done"));
    });

    it("does not commit a document that was made from one no longer in force", async () => {
      const provisioned = await request(world.cloud, "POST", `/cvms/${cvm.id}/compose_file/provision`, {
        body: { docker_compose_file: nextCompose },
      });
      expect((await patch("/docker-compose", otherCompose, yaml)).status).to.equal(202);
      await world.cloud.whenIdle();
      const late = await patch("/compose_file", { compose_hash: provisioned.body.compose_hash });
      expect(late.status).to.equal(466);
      expect(late.body.message).to.include("changed after");
    });

    it("creates the CVM on the KMS it was planned for, though another plan has the same hash", async () => {
      const plan = (kms: string) =>
        request(world.cloud, "POST", "/cvms/provision", {
          body: { name: `planned-for-${kms}`, compose_file: { docker_compose_file: nextCompose, name: "both" }, kms },
        });
      const offChain = await plan("phala");
      const onChain = await plan("base");
      expect(onChain.body.compose_hash).to.equal(offChain.body.compose_hash);
      const { app_id, compose_hash } = offChain.body;
      const created = await request(world.cloud, "POST", "/cvms", { body: { app_id, compose_hash } });
      await world.cloud.whenIdle();
      expect((await request(world.cloud, "GET", `/cvms/${created.body.id}`)).body).to.include({ kms_type: "phala" });
      const byNode = { headers: { "X-Phala-Version": "2026-01-21" } };
      const kms_id = (await request(world.cloud, "GET", "/kms/base", byNode)).body.id;
      const refused = await request(world.cloud, "POST", "/cvms", {
        body: { app_id: "ab".repeat(20), compose_hash, kms_id: "nowhere" },
      });
      expect(refused.status).to.equal(404);
      const chosen = await request(world.cloud, "POST", "/cvms", {
        body: { app_id: "ab".repeat(20), compose_hash, kms_id },
      });
      await world.cloud.whenIdle();
      const { body } = await request(world.cloud, "GET", `/cvms/${chosen.body.id}`);
      expect(body).to.include({ kms_type: "base", status: "error" });
    });

    it("provisions and commits a document in two calls", async () => {
      const provisioned = await request(world.cloud, "POST", `/cvms/${cvm.id}/compose_file/provision`, {
        body: { docker_compose_file: nextCompose },
      });
      const { compose_hash } = provisioned.body;
      expect((await patch("/compose_file", { compose_hash })).status).to.equal(202);
      await expectInForce(String(compose_hash));
    });
  });
});

/** A form as fetch would write it, with its content type. */
function formOf(text: string): [body: string, headers: Record<string, string>] {
  const boundary = "----boundary";
  const head = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\nContent-Type: text/yaml\r\n\r\n`;
  return [`${head}${text}\r\n--${boundary}--\r\n`, { "Content-Type": `multipart/form-data; boundary=${boundary}` }];
}
