// What a user of the package writes: every entry point, resolved through the package's exports alone.
import { strict as assert } from "node:assert";
import { expect, use } from "chai";
import {
  type AppId,
  buildAppCompose,
  computeComposeHash,
  isDstackError,
  memoryLedger,
  parseAppId,
  updateCvm,
  validateDockerCompose,
} from "dstack-toolkit";
import { dstackAppAbi, dstackKmsAbi } from "dstack-toolkit/abi";
import { type ReadAllowlistReturnType, readAllowlist } from "dstack-toolkit/chain";
import { createCloudClient, getCvm, safeGetCvm } from "dstack-toolkit/cloud";
import dstackKms from "dstack-toolkit/ignition/dstack-kms";
import { startMockCloud } from "dstack-toolkit/mock-cloud";
import { deployDstack, dstackMatchers } from "dstack-toolkit/testing";
import { type DstackApp, DstackApp__factory } from "dstack-toolkit/typechain";
import { updateCvm as sameUpdateCvm, type UpdateResult } from "dstack-toolkit/update";
import { startWorld } from "dstack-toolkit/world";
import { Interface } from "ethers";
import { createPublicClient, custom, encodeFunctionData, toFunctionSelector } from "viem";

const appId: AppId = parseAppId(`0x${"12".repeat(20)}`);
// @ts-expect-error a bare string is no AppId: an address typed by hand must be parsed first
const notParsed: AppId = "0x12";
assert.equal(notParsed.length, 4);

// Bindings for viem: names and arguments are typed.
const data = encodeFunctionData({ abi: dstackAppAbi, functionName: "removeDevice", args: [`0x${"34".repeat(32)}`] });
assert.equal(data.slice(0, 10), toFunctionSelector("removeDevice(bytes32)"));
// @ts-expect-error no such function
assert.throws(() => encodeFunctionData({ abi: dstackKmsAbi, functionName: "removeDevices", args: [] }));

// Bindings for ethers.
const app: DstackApp = DstackApp__factory.connect(appId);
assert.equal(app.interface.encodeFunctionData("removeDevice", [`0x${"34".repeat(32)}`]), data);
assert.ok(new Interface(DstackApp__factory.abi).getEvent("ComposeHashAdded"));
assert.match(DstackApp__factory.bytecode, /^0x60/);

// The compose hash.
const dockerCompose = "services:\n  web:\n    image: nginx\n";
assert.match(computeComposeHash(buildAppCompose({ name: "demo", dockerCompose })), /^0x[0-9a-f]{64}$/);
assert.throws(
  () => parseAppId("0x12"),
  (error) => isDstackError(error) && error.code === "DSTK-1001",
);

// The check of compose files, which reads the schema in the package.
assert.deepEqual(await validateDockerCompose(dockerCompose), []);
assert.equal((await validateDockerCompose(`${dockerCompose}    prots: []\n`))[0]?.path, "services.web.prots");

// A chain action, against a node that is down.
const down = custom({ request: () => Promise.reject(new Error("down")) }, { retryCount: 0 });
const chain = createPublicClient({ transport: down });
const allowlist: Promise<ReadAllowlistReturnType> = readAllowlist(chain, { appId });
await assert.rejects(allowlist, isDstackError);

// The mock cloud, over HTTP, with the client and the update flow.
const mockCloud = await startMockCloud({ workspaces: [{ name: "Mine", apiKeys: [{ key: "local-key" }] }] });
try {
  const cloud = createCloudClient({ apiKey: "local-key", baseUrl: mockCloud.baseUrl });
  await assert.rejects(getCvm(cloud, { cvm: "absent" }), { name: "CvmNotFoundError", code: "DSTK-3005" });
  const answer = await safeGetCvm(cloud, { cvm: "absent" });
  assert.equal(answer.success, false);
  const update: Promise<UpdateResult> = updateCvm({
    cloud,
    chain,
    ledger: memoryLedger(),
    cvm: "absent",
    dockerCompose,
  });
  await assert.rejects(update, { name: "CvmNotFoundError" });
  assert.equal(updateCvm, sameUpdateCvm);
} finally {
  await mockCloud.close();
}

// A whole world: chain, contracts, mock cloud and two CVMs.
const world = await startWorld({ cloud: { rolloverMs: 0 } });
try {
  const cvm = await getCvm(world.cloudClient, { cvm: "onchain-app" });
  assert.equal(cvm.status, "running");
  assert.ok(cvm.appId);
  const allowed = await readAllowlist(world.chain.client, { appId: cvm.appId, composeHash: cvm.composeHash });
  assert.equal(allowed.composeHashAllowed, true);

  // What tests of contracts use: a fixture and matchers.
  use(dstackMatchers);
  const { app: testApp, composeHash, bootInfo, kms } = await deployDstack(world.ownerClient);
  await expect(testApp).to.allowComposeHash(composeHash);
  await expect(kms).to.refuseBoot("Device not allowed", bootInfo({ deviceId: `0x${"99".repeat(32)}` }));
} finally {
  await world.close();
}

assert.equal(dstackKms.id, "DstackKms");
console.log("consumer ok");
