import { expect } from "chai";
import { writeAppCompose } from "../../../../src/core/compose-hash.ts";
import { hashAppComposeText } from "../../../../src/index.ts";
import { buildMockCloud, type CvmSeed, type MockCloudSeed } from "../../../../src/mock-cloud/index.ts";
import { parseSeed } from "../../../../src/mock-cloud/parse-seed.ts";
import { rejection } from "../../../support/rejection.ts";

const apiKey = "the-key";
const composeFile = `{"manifest_version": 2, "runner": "docker-compose", "allowed_envs": ["TOKEN"],
  "docker_compose_file": "services:\\n  web:\\n    image: nginx\\n"}`;
const cvm: CvmSeed = {
  id: "cvm_8fR2kQ",
  vmUuid: "0f8fad5b-d9cb-469f-a165-70867728950e",
  instanceId: "1a".repeat(20),
  name: "shop",
  appId: "2b".repeat(20),
  kms: "kms-phala-1",
  node: "node-1",
  osImage: "dstack-0.5.7",
  composeFile,
  composeHash: hashAppComposeText(composeFile),
};
const parse = (...cvms: readonly object[]) => parseSeed({ cvms }, { apiKey, rpcUrl: undefined });

describe("CVMs of a seed", () => {
  async function withCloud(
    seed: MockCloudSeed,
    act: (
      get: (path: string) => Promise<Record<string, unknown>>,
      cloud: Awaited<ReturnType<typeof buildMockCloud>>,
    ) => Promise<void>,
  ) {
    const cloud = await buildMockCloud({ ...seed, rolloverMs: 0 });
    const headers = { "x-api-key": apiKey, "x-phala-version": "2026-01-21" };
    try {
      await act(async (path) => (await cloud.app.inject({ url: `/api/v1${path}`, headers })).json(), cloud);
    } finally {
      await cloud.close();
    }
  }

  it("exist under all their names, with the document byte for byte, without a boot", () =>
    withCloud(parse(cvm), async (get, cloud) => {
      for (const name of [cvm.id, cvm.vmUuid, `app_${cvm.appId}`, `instance_${cvm.instanceId}`, cvm.name]) {
        expect(await get(`/cvms/${name}`), name).to.include({
          ...{ id: cvm.id, status: "running", in_progress: false },
          compose_hash: hashAppComposeText(composeFile).slice(2),
        });
      }
      const { revisions } = (await get(`/apps/${cvm.appId}/revisions`)) as { revisions: { revision_id: string }[] };
      const [revision] = revisions;
      expect(revisions).to.have.lengthOf(1);
      const path = `/apps/${cvm.appId}/revisions/${revision?.revision_id}?raw_compose_file=true`;
      expect(await get(path)).to.include({ compose_file: composeFile, encrypted_env: "" });
      expect(cloud.readEnvironment(cvm.id)).to.deep.equal([]);
    }));

  it("are not seeded twice, even after they were deleted", () =>
    withCloud(parse(cvm), async (get, cloud) => {
      cloud.seed(parse({ ...cvm, name: "other" }));
      expect(await get(`/cvms/${cvm.id}`)).to.include({ name: "shop" });
      await cloud.app.inject({ method: "DELETE", url: `/api/v1/cvms/${cvm.id}`, headers: { "x-api-key": apiKey } });
      cloud.seed(parse(cvm));
      expect(await get("/apps")).to.include({ total: 0 });
    }));

  it("restart, and update, as CVMs that the cloud created", () =>
    withCloud(
      parse(cvm, { ...cvm, id: "cvm_2", vmUuid: undefined, instanceId: undefined, status: "stopped" }),
      async (get, cloud) => {
        const send = (method: "PATCH" | "POST", path: string, payload: object) =>
          cloud.app.inject({ method, url: `/api/v1/cvms/${path}`, payload, headers: { "x-api-key": apiKey } });
        expect((await send("POST", `${cvm.id}/restart`, {})).statusCode).to.be.oneOf([200, 202]);
        expect((await send("PATCH", "cvm_2", { public_logs: true })).statusCode).to.equal(202);
        await cloud.whenIdle();
        expect(await get(`/cvms/${cvm.id}`)).to.include({ status: "running" });
        const after = writeAppCompose({ ...JSON.parse(composeFile), public_logs: true });
        expect(await get("/cvms/cvm_2")).to.include({
          status: "stopped",
          compose_hash: hashAppComposeText(after).slice(2),
        });
      },
    ));

  const invalid: readonly [string, object, string][] = [
    ["an id of another kind", { id: "shop" }, "at cvms[0].id: must begin with cvm_"],
    ["an unknown status", { status: "busy" }, "at cvms[0].status: must be running or stopped"],
    ["a short hash", { composeHash: "0x12" }, "at cvms[0].composeHash: must be 32 bytes of hex"],
    ["a UUID of another form", { vmUuid: "12" }, "at cvms[0].vmUuid: must be a UUID"],
    ["an environment", { env: {} }, 'at cvms[0]: Unrecognized key: "env"'],
  ];
  for (const [what, change, words] of invalid) {
    it(`are refused in a file with ${what}`, () => {
      expect(() => parse({ ...cvm, ...change })).to.throw(words);
    });
  }

  it("are refused in a file with the same id twice", () => {
    expect(() => parse(cvm, { ...cvm, vmUuid: undefined, instanceId: undefined })).to.throw(
      "at cvms[1].id: occurs twice",
    );
  });

  const unfit: readonly [string, Partial<CvmSeed>, string][] = [
    [
      "another document than the hash it runs",
      { composeHash: "0c".repeat(32) },
      `runs 0x${"0c".repeat(32)}, but its document has the hash ${cvm.composeHash}`,
    ],
    ["an unknown KMS", { kms: "kms-base-9" }, "names KMS kms-base-9, which is not in the seed"],
    ["an unknown node", { node: "node-9" }, "names node node-9, which is not in the seed"],
    ["an unknown OS image", { osImage: "dstack-9" }, "names OS image dstack-9, which is not in the seed"],
    ["a document that is no JSON", { composeFile: "{", composeHash: hashAppComposeText("{") }, "app-compose"],
  ];
  for (const [what, change, words] of unfit) {
    it(`stop the start with ${what}`, async () => {
      const error = await rejection(buildMockCloud(parse({ ...cvm, ...change })));
      expect(String(error)).to.include(words);
    });
  }

  it("stop the start when two of them are one machine", async () => {
    const twin = { ...cvm, id: "cvm_2", vmUuid: cvm.vmUuid?.toUpperCase() };
    const error = await rejection(buildMockCloud(parse(cvm, { ...twin, instanceId: undefined })));
    expect(String(error)).to.include(`has the same vmUuid as ${cvm.id}`);
  });
});
