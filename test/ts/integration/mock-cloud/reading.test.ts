import { verifyEnvEncryptPublicKey } from "@phala/cloud";
import { expect } from "chai";
import { network } from "hardhat";
import { getAddress } from "viem";
import { appPublicKeySchema, kmsListSchema } from "../../../../src/cloud/protocol.ts";
import { recoverEncryptionKeySigner } from "../../../../src/core/encryption-key-signature.ts";
import {
  apiKey,
  type CloudWorld,
  createOnChainCvm,
  dockerCompose,
  request,
  startCloudWorld,
  type TestCvm,
} from "../../../support/mock-cloud/cloud-world.ts";

const flat = { headers: { "X-Phala-Version": "2025-10-28" } };
/** The last version at which every KMS node is listed by itself. */
const byNode = { headers: { "X-Phala-Version": "2026-05-22" } };

describe("reading from the mock cloud", () => {
  let world: CloudWorld;
  let cvm: TestCvm;

  before(async () => {
    world = await startCloudWorld(await network.create("local"), {
      workspaces: [
        { name: "Test", apiKeys: [{ key: apiKey, username: "tess", email: "tess@example.com" }] },
        { name: "Other", apiKeys: [{ key: "the-other-key" }] },
      ],
    });
    cvm = await createOnChainCvm(world, { name: "reading-cvm" });
  });
  after(() => world.cloud.close());

  const get = (path: string, options = {}) => request(world.cloud, "GET", path, options);

  it("answers 401 with a text to a missing, wrong or empty key, on every path below the API", async () => {
    for (const key of ["", "wrong", undefined]) {
      const headers = key === undefined ? {} : { "X-API-Key": key };
      for (const path of [`/cvms/${cvm.id}`, "/kms", "/auth/me"]) {
        const response = await fetch(`${world.cloud.baseUrl}${path}`, { headers });
        expect(response.status).to.equal(401);
        expect(await response.json()).to.deep.equal({ detail: "Invalid or missing API key." });
      }
    }
  });

  it("shows a CVM flat with a number as id at 2025-10-28", async () => {
    const { status, body } = await get(`/cvms/${cvm.id}`, flat);
    expect(status).to.equal(200);
    expect(body).to.include({
      name: "reading-cvm",
      status: "running",
      in_progress: false,
      app_id: cvm.appId.slice(2),
      contract_address: cvm.appId,
      base_image: "dstack-0.5.7",
      vcpu: 1,
      memory: 2048,
      disk_size: 40,
    });
    expect(body.id).to.be.a("number");
    expect(body.kms_info).to.include({ chain_id: 8453, slug: "kms-base-1" });
    expect(Object.keys(body.kms_info as object)).to.have.members([
      "id",
      "slug",
      "url",
      "version",
      "chain_id",
      "kms_contract_address",
      "gateway_app_id",
    ]);
  });

  it("shows a CVM nested with a hashid from 2026-01-21 on, and without a version", async () => {
    for (const version of ["2026-01-21", "2026-05-22", "2026-06-23", "latest", undefined]) {
      const { body } = await get(`/cvms/${cvm.id}`, version ? { headers: { "X-Phala-Version": version } } : {});
      expect(body).to.include({ id: cvm.id, kms_type: "base", compose_hash: cvm.composeHash.slice(2), progress: null });
      expect(body.resource).to.include({ vcpu: 1, memory_in_gb: 2, disk_in_gb: 40 });
      expect(body.kms_info).to.include({ chain_id: 8453, dstack_app_address: cvm.appId });
      expect(body).to.not.have.property("manifest_version");
    }
  });

  it("finds a CVM by each of its identifiers, in any letter case", async () => {
    const { body } = await get(`/cvms/${cvm.id}`, flat);
    const uuid = String(body.vm_uuid);
    const appId = cvm.appId.slice(2);
    const identifiers = [
      cvm.id,
      String(body.id),
      uuid,
      uuid.replaceAll("-", ""),
      uuid.toUpperCase(),
      `app_${appId}`,
      `app_${appId.toUpperCase()}`,
      cvm.appId,
      getAddress(cvm.appId),
      appId,
      `instance_${body.instance_id}`,
      // The form in which official clients send an instance id.
      `app_${body.instance_id}`,
      "reading-cvm",
    ];
    for (const identifier of identifiers) {
      const found = await get(`/cvms/${identifier}`);
      expect(found.status, identifier).to.equal(200);
      expect(found.body.id, identifier).to.equal(cvm.id);
    }
  });

  it("answers 404 with ERR-03-001 to an unknown id, and to another workspace's CVM", async () => {
    for (const identifier of ["cvm_nowhere", "999999", "no-such-name", `app_${"00".repeat(20)}`]) {
      const { status, body } = await get(`/cvms/${identifier}`);
      expect(status).to.equal(404);
      expect(body).to.include({ error_code: "ERR-03-001" });
      expect(body.message).to.include(identifier);
    }
    const foreign = await get(`/cvms/${cvm.id}`, { headers: { "X-API-Key": "the-other-key" } });
    expect(foreign.status).to.equal(404);
    expect((await get("/no-such-path")).body).to.deep.equal({ detail: "Not Found" });
  });

  it("answers 422 to a version that is not a date", async () => {
    const { status, body } = await get(`/cvms/${cvm.id}`, { headers: { "X-Phala-Version": "v2" } });
    expect(status).to.equal(422);
    expect(body.detail).to.deep.include.members([
      { loc: ["header", "X-Phala-Version"], msg: "Must be a date such as 2026-01-21, or latest.", type: "value_error" },
    ]);
  });

  it("returns the documents in force as text, and the app-compose as an object", async () => {
    const compose = await get(`/cvms/${cvm.id}/docker-compose.yml`);
    expect(compose.headers.get("content-type")).to.match(/^text\/plain/);
    expect(compose.text).to.equal(dockerCompose);
    const script = await get(`/cvms/${cvm.id}/pre-launch-script`);
    expect(script.headers.get("content-type")).to.match(/^text\/plain/);
    expect(script.text).to.match(/^#!\/bin\/sh\n# dstack-toolkit mock cloud, pre-launch script/);
    const { body } = await get(`/cvms/${cvm.id}/compose_file`);
    expect(body).to.include({ docker_compose_file: dockerCompose, runner: "docker-compose", manifest_version: 2 });
  });

  it("returns a CVM's state without empty keys", async () => {
    const { body } = await get(`/cvms/${cvm.id}/state`);
    expect(body).to.include({ name: "reading-cvm", status: "running" });
    expect(body).to.not.have.any.keys("id", "boot_error", "exited_at");
  });

  it("lists KMS in a page of the exact shape, filtered by the place of their policy", async () => {
    const all = kmsListSchema.strict().parse((await get("/kms", byNode)).body);
    expect(all.items.map(({ slug }) => slug)).to.deep.equal(["kms-phala-1", "kms-base-1"]);
    const onChain = kmsListSchema.parse((await get("/kms?page_size=100&is_onchain=true", byNode)).body);
    expect(onChain).to.include({ total: 1, page: 1, page_size: 100, pages: 1 });
    expect(onChain.items[0]?.kms_contract_address).to.equal(world.dstack.kms.toLowerCase());
    const secondPage = kmsListSchema.parse((await get("/kms?page=2&page_size=1", byNode)).body);
    expect(secondPage.items.map(({ slug }) => slug)).to.deep.equal(["kms-base-1"]);
    expect((await get("/kms?page=0")).status).to.equal(422);
  });

  it("signs an app's key with the KMS's, for each name of the KMS and notation of the app id", async () => {
    const [, kms] = kmsListSchema.parse((await get("/kms", byNode)).body).items;
    const appId = cvm.appId.slice(2);
    const answers = await Promise.all(
      [
        `/kms/${kms?.id}/pubkey/${appId}`,
        `/kms/kms-base-1/pubkey/${cvm.appId}`,
        `/kms/base/pubkey/${appId.toUpperCase()}`,
        `/kms/base/pubkey/${getAddress(cvm.appId)}`,
      ].map((path) => get(path)),
    );
    const [answer, ...others] = answers.map(({ body }) => appPublicKeySchema.strict().parse(body));
    if (!answer) throw new Error("no answer");
    for (const other of others) expect(other).to.deep.equal(answer);

    const { public_key, signature } = answer;
    const signer = world.cloud.kmsPublicKey("base");
    const [key, proof] = [public_key, signature].map((hex) => Buffer.from(hex, "hex"));
    if (!key || !proof) throw new Error("no key");
    expect(verifyEnvEncryptPublicKey(key, proof, appId)).to.equal(signer);
    expect(recoverEncryptionKeySigner({ appId: cvm.appId, publicKey: public_key, signature })).to.equal(signer);
    expect((await get(`/cvms/${cvm.id}`, flat)).body.encrypted_env_pubkey).to.equal(public_key);
  });

  it("gives each app and each KMS keys of their own", async () => {
    const keys = await Promise.all(
      ["base", "phala"].flatMap((kms) =>
        ["11", "22"].map(async (byte) => (await get(`/kms/${kms}/pubkey/${byte.repeat(20)}`)).body.public_key),
      ),
    );
    expect(new Set(keys).size).to.equal(4);
    expect(world.cloud.kmsPublicKey("base")).to.not.equal(world.cloud.kmsPublicKey("phala"));
  });

  it("answers 404 with ERR-02-011 to an unknown KMS, and 422 to a malformed app id", async () => {
    expect((await get("/kms/ethereum")).body).to.include({ error_code: "ERR-02-011" });
    expect((await get("/kms/nowhere/pubkey/1234")).status).to.equal(404);
    const malformed = await get("/kms/base/pubkey/1234");
    expect(malformed.status).to.equal(422);
    expect(malformed.body.detail).to.have.nested.property("[0].loc").that.deep.equals(["path", "app_id"]);
  });

  it("returns the user of a key, in the shape of the version", async () => {
    const nested = await get("/auth/me");
    expect(nested.body).to.have.nested.property("user.username", "tess");
    expect(nested.body).to.have.nested.property("workspace.name", "Test");
    expect((await get("/auth/me", flat)).body).to.include({ username: "tess", team_name: "Test" });
  });

  it("describes every path, every status and both keys", async () => {
    const response = await fetch(`${world.cloud.url}/openapi.json`);
    expect(response.status).to.equal(200);
    const text = await response.text();
    const document = JSON.parse(text) as {
      openapi: string;
      components: { schemas: Record<string, unknown> };
      paths: Record<string, Record<string, { responses: Record<string, unknown> }>>;
    };
    expect(document.openapi).to.equal("3.1.0");
    const references = [...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name);
    expect([...new Set(references)]).to.have.members(Object.keys(document.components.schemas));
    expect(text).to.not.include("Default Response");
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path.replace("/api/v1", "")}`),
    );
    expect(operations).to.include.members([
      "get /auth/me",
      "get /kms",
      "get /kms/{kms}",
      "get /kms/{kms}/pubkey/{app_id}",
      "post /cvms",
      "post /cvms/provision",
      "get /cvms/{cvm_id}",
      "patch /cvms/{cvm_id}",
      "post /cvms/{cvm_id}",
      "post /cvms/{cvm_id}/confirm-patch",
      "get /cvms/{cvm_id}/state",
      "get /cvms/{cvm_id}/compose_file",
      "patch /cvms/{cvm_id}/compose_file",
      "post /cvms/{cvm_id}/compose_file/provision",
      "get /cvms/{cvm_id}/docker-compose.yml",
      "patch /cvms/{cvm_id}/docker-compose",
      "get /cvms/{cvm_id}/pre-launch-script",
      "patch /cvms/{cvm_id}/pre-launch-script",
      "patch /cvms/{cvm_id}/envs",
    ]);
    const patch = document.paths["/api/v1/cvms/{cvm_id}"]?.patch;
    expect(Object.keys(patch?.responses ?? {})).to.include.members([
      "202",
      "401",
      "409",
      "465",
      "466",
      "467",
      "468",
      "503",
    ]);
  });
});
