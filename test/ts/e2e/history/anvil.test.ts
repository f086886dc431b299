import { expect } from "chai";
import { createTestClient, http, numberToHex, type TestClient } from "viem";
import { base } from "viem/chains";
import { addComposeHash } from "../../../../src/chain/add-compose-hash.ts";
import { addDevice } from "../../../../src/chain/add-device.ts";
import { deployApp } from "../../../../src/chain/deploy-app.ts";
import { removeComposeHash } from "../../../../src/chain/remove-compose-hash.ts";
import { removeDevice } from "../../../../src/chain/remove-device.ts";
import { setAllowAnyDevice } from "../../../../src/chain/set-allow-any-device.ts";
import { waitForReceipt } from "../../../../src/chain/transactions/receipt.ts";
import { deployedApp } from "../../../../src/core/events.ts";
import { type AppId, parseComposeHash, parseDeviceId, type TransactionHash } from "../../../../src/core/ids.ts";
import { currentSlots } from "../../../../src/history/proof.ts";
import type { AllowlistProof } from "../../../../src/history/prove-allowlist.ts";
import { createOwnerClient, devAccount, type OwnerClient } from "../../../../src/world/chain/client.ts";
import { deployContracts } from "../../../../src/world/contracts.ts";
import { type Anvil, startAnvil } from "../../../support/chain/anvil.ts";
import { projectOf, runTask, type TaskRun } from "../../../support/hardhat/run-task.ts";

const [kept, gone, hidden] = ["a1", "a2", "a3"].map((byte) => parseComposeHash(byte.repeat(32))) as [
  ReturnType<typeof parseComposeHash>,
  ReturnType<typeof parseComposeHash>,
  ReturnType<typeof parseComposeHash>,
];
const goneDevice = parseDeviceId("d1".repeat(32));

describe("history --prove on anvil, which keeps zero words in its storage trie", () => {
  let anvil: Anvil;
  let client: OwnerClient;
  let node: TestClient;
  let appId: AppId;

  const mined = async (transactionHash: Promise<TransactionHash>) =>
    waitForReceipt(client, { transactionHash: await transactionHash, functionName: "a change" });
  const prove = async (args: Record<string, unknown>): Promise<TaskRun> => {
    const { rpcUrl } = anvil;
    const hre = await projectOf({
      chain: { id: base.id, rpcUrl },
      cloud: { baseUrl: "http://127.0.0.1:1" },
      apiKey: "",
    });
    return runTask(hre, ["history"], { app: appId, prove: true, store: ":memory:", ...args });
  };

  before(async () => {
    anvil = await startAnvil(base.id);
    node = createTestClient({ mode: "anvil", transport: http(anvil.rpcUrl) });
    const owner = devAccount(0);
    client = createOwnerClient({ rpcUrl: anvil.rpcUrl, chain: base, owner, pollingMs: 20 });
    const { kms } = await deployContracts(client);
    appId = deployedApp(await mined(deployApp(client, { kms, owner: owner.address, composeHash: kept })), { kms });
    await mined(addComposeHash(client, { appId, composeHash: gone }));
    await mined(removeComposeHash(client, { appId, composeHash: gone }));
    await mined(addDevice(client, { appId, deviceId: goneDevice }));
    await mined(removeDevice(client, { appId, deviceId: goneDevice }));
    for (const allowAnyDevice of [true, false]) await mined(setAllowAnyDevice(client, { appId, allowAnyDevice }));
  });
  after(() => anvil?.stop());

  it("proves the list, and says that the node keeps empty words", async () => {
    const told = await prove({});
    expect(told.exitCode, told.stdout + told.stderr).to.equal(0);
    expect(told.stdout).to.match(/nothingElse +proven/);
    expect(told.stdout).to.include("This node keeps 4 empty words in its storage trie, as anvil does.");
    const { proof } = (await prove({ json: true })).json<{ proof: AllowlistProof }>();
    expect(proof).to.include({ isProven: true, emptyWords: 4 });
  });

  it("still finds a hash that no event named", async () => {
    const index = currentSlots.composeHash(hidden);
    await node.setStorageAt({ address: appId, index, value: numberToHex(1, { size: 32 }) });
    await node.mine({ blocks: 1 });
    const told = await prove({ json: true });
    expect(told.exitCode).to.equal(6);
    const { proof } = told.json<{ proof: AllowlistProof }>();
    expect(proof.claims.nothingElse).to.include({ isProven: false, reason: "storageDiffers" });
    expect(proof.claims.entries).to.deep.equal({ isProven: true });
  });
});
