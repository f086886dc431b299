import { expect } from "chai";
import { createCloudClient } from "../../../../src/cloud/index.ts";
import { hashAppComposeText, writeAppCompose } from "../../../../src/core/compose-hash.ts";
import { parseAppId } from "../../../../src/core/ids.ts";
import { CloudUnreachableError, InvalidArgumentError } from "../../../../src/errors/index.ts";
import { type CvmSeed, type RunningMockCloud, startMockCloud } from "../../../../src/mock-cloud/index.ts";
import { readAdoptedCvms } from "../../../../src/world/index.ts";
import { catchError } from "../../../support/update/catch-error.ts";

const apiKey = "the-key";
const kms = `0x${"5e".repeat(20)}`;
const [shop, bank, cafe] = ["2b", "3c", "4d"].map((byte) => parseAppId(byte.repeat(20))) as [
  ReturnType<typeof parseAppId>,
  ReturnType<typeof parseAppId>,
  ReturnType<typeof parseAppId>,
];
const document = { manifest_version: 2, runner: "docker-compose", docker_compose_file: "services: {}\n" };
/** The cloud has one more machine. */
const allowlist = {
  ...{ is_onchain_kms: true, allow_any_device: false, chain_id: 8453, app_contract_address: shop.slice(2) },
  devices: ["d1", "d3"].map((byte) => ({
    ...{ device_id: byte.repeat(32), node_name: null, cvm_ids: [], allowed_onchain: true, status: "" },
  })),
};
/** As no tool writes it. */
const oddText = `{\n\n"runner": "docker-compose", "manifest_version": 2, "docker_compose_file": "services: {}\\n"}\n`;

function seedOf(id: string, appId: string, composeFile: string, changes: Partial<CvmSeed> = {}): CvmSeed {
  const composeHash = hashAppComposeText(composeFile);
  const place = { kms: "kms-base-1", node: "node-1", osImage: "dstack-0.5.7" };
  return { ...{ id, name: id.slice(4), appId, composeFile, composeHash }, ...place, ...changes };
}

describe("readAdoptedCvms", () => {
  let cloud: RunningMockCloud;

  before(async () => {
    cloud = await startMockCloud({
      workspaces: [{ name: "Local", apiKeys: [{ key: apiKey }] }],
      kms: [
        { slug: "kms-base-1", chainId: 8453, contractAddress: kms, rpc: "http://127.0.0.1:1" },
        { slug: "kms-base-2", chainId: 8453, contractAddress: `0x${"6f".repeat(20)}`, rpc: "http://127.0.0.1:1" },
        { slug: "kms-phala-1" },
      ],
      nodes: ["d1", "d2"].map((byte, index) => ({
        id: index + 1,
        name: `node-${index + 1}`,
        deviceId: byte.repeat(32),
      })),
      osImages: [{ name: "dstack-0.5.7", version: "0.5.7", osImageHash: "05".repeat(32) }],
      cvms: [
        seedOf("cvm_canonical", shop, writeAppCompose(document)),
        seedOf("cvm_odd", shop, oddText, { status: "stopped", node: "node-2" }),
        seedOf("cvm_bank", bank, oddText, { kms: "kms-base-2" }),
        seedOf("cvm_cafe", cafe, oddText, { kms: "kms-phala-1" }),
      ],
    });
  });

  after(() => cloud.close());

  /** A client of the cloud whose answers of a path are rewritten on their way. */
  function clientOf(rewrite: (path: string, body: string) => string = (_, body) => body) {
    return createCloudClient({
      ...{ apiKey, baseUrl: cloud.baseUrl },
      fetch: async (input, init) => {
        const path = new URL(String(input instanceof Request ? input.url : input)).pathname;
        // The cloud would ask the chain here, which there is none of.
        if (path.endsWith("/device-allowlist")) return Response.json(allowlist);
        const answer = await fetch(input, init);
        return new Response(rewrite(path, await answer.text()), { status: answer.status, headers: answer.headers });
      },
    });
  }

  const refusal = async (rewrite: (path: string, body: string) => string) =>
    (await catchError(readAdoptedCvms(clientOf(rewrite), { appIds: [shop] }), InvalidArgumentError)).message;

  it("has the exact bytes of each document, also of one that no tool writes", async () => {
    const { cvms, nodes, ...policy } = await readAdoptedCvms(clientOf(), { appIds: [shop] });
    expect(policy).to.deep.equal({ chainId: 8453, kms });
    expect(cvms.map(({ id, composeFile, status }) => [id, composeFile, status])).to.deep.equal([
      ["cvm_canonical", writeAppCompose(document), "running"],
      ["cvm_odd", oddText, "stopped"],
    ]);
    expect(nodes.map(({ name, deviceId }) => [name, deviceId])).to.deep.equal([
      ["node-1", `0x${"d1".repeat(32)}`],
      ["node-2", `0x${"d2".repeat(32)}`],
      ["node-d3d3d3d3", `0x${"d3".repeat(32)}`],
    ]);
  });

  it("does not believe the cloud that a document is the one that runs", async () => {
    const forge = (body: string) => body.replaceAll("services: {}", "services: {x: 1}");
    const forged = hashAppComposeText(forge(writeAppCompose(document)));
    const message = await refusal((_, body) => forge(body));
    expect(message)
      .to.include(`runs ${hashAppComposeText(writeAppCompose(document))}`)
      .and.include(`the hash ${forged}`);
  });

  it("adopts no CVM of which the cloud does not tell what a boot depends on", async () => {
    const without = (pattern: RegExp, value = "null") =>
      refusal((path, body) => (path.endsWith("/cvms") ? body.replaceAll(pattern, value) : body));
    expect(await without(/"0505[0-9a-f]+"/g)).to.include("has no OS image hash");
    expect(await without(/"d1d1[0-9a-f]+"/g)).to.include("has no device");
    expect(await without(new RegExp(`"app_id":"${shop.slice(2)}"`, "g"), `"app_id":"${bank.slice(2)}"`)).to.include(
      `is of app ${bank}`,
    );
    expect(await without(/"in_progress":false/g, '"in_progress":true')).to.include("is changing now");
  });

  it("refuses apps without CVMs, without a contract, or of two KMSs", async () => {
    const read = async (...appIds: readonly (typeof shop)[]) =>
      (await catchError(readAdoptedCvms(clientOf(), { appIds }), InvalidArgumentError)).message;
    const nobody = parseAppId("99".repeat(20));
    expect(await read(nobody)).to.include(`has no CVM of app ${nobody}`);
    expect(await read(cafe)).to.include("keeps its policy off chain");
    expect(await read(shop, bank))
      .to.include("do not have one KMS")
      .and.include(kms);
    expect(await read()).to.include("no app");
  });

  it("tells an outage from an app without CVMs", async () => {
    const gone = createCloudClient({ apiKey, baseUrl: "http://127.0.0.1:1/api/v1", retry: { attempts: 1 } });
    await catchError(readAdoptedCvms(gone, { appIds: [shop] }), CloudUnreachableError);
  });
});
