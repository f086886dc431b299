import { join } from "node:path";
import { expect } from "chai";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { createTestClient, http, parseGwei, type TestClient } from "viem";
import { getBlock, getTransactionCount } from "viem/actions";
import { base } from "viem/chains";
import { sendBatch } from "../../../../src/batch/index.ts";
import { deployApp } from "../../../../src/chain/deploy-app.ts";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import { openLedger } from "../../../../src/chain/transactions/ledger.ts";
import { waitForReceipt } from "../../../../src/chain/transactions/receipt.ts";
import { deployedApp } from "../../../../src/core/events.ts";
import { type AppId, type ComposeHash, parseComposeHash } from "../../../../src/core/ids.ts";
import { addComposeHashCall } from "../../../../src/core/owner-calls.ts";
import { BatchStoppedError } from "../../../../src/errors/index.ts";
import { createOwnerClient, devAccount, type OwnerClient } from "../../../../src/world/chain/client.ts";
import { deployContracts } from "../../../../src/world/contracts.ts";
import { type Anvil, startAnvil } from "../../../support/chain/anvil.ts";
import { projectOf, runTask } from "../../../support/hardhat/run-task.ts";
import { rejection } from "../../../support/rejection.ts";
import { until } from "../../../support/until.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

describe("a transaction that is stuck on anvil below a risen base fee", () => {
  const directory = useTemporaryDirectory();
  const owner = devAccount(0);
  let anvil: Anvil;
  let node: TestClient;
  let client: OwnerClient;
  let appId: AppId;
  let hre: HardhatRuntimeEnvironment;

  before(async () => {
    anvil = await startAnvil(base.id);
    const { rpcUrl } = anvil;
    node = createTestClient({ mode: "anvil", transport: http(rpcUrl) });
    client = createOwnerClient({ rpcUrl, chain: base, owner, pollingMs: 20 });
    const { kms } = await deployContracts(client);
    const transactionHash = await deployApp(client, { kms, owner: owner.address });
    appId = deployedApp(await waitForReceipt(client, { transactionHash, functionName: "deployAndRegisterApp" }), {
      kms,
    });
    hre = await projectOf({ chain: { id: base.id, rpcUrl }, cloud: { baseUrl: "http://127.0.0.1:1" }, apiKey: "" });
  });
  beforeEach(() => node.setAutomine(false));
  afterEach(() => node.setAutomine(true));
  after(() => anvil?.stop());

  const isAllowed = async (composeHash: ComposeHash) =>
    (await readAllowlist(client, { appId, composeHash })).composeHashAllowed;
  const count = () => getTransactionCount(client, { address: owner.address });

  async function raiseBaseFee(gwei: string): Promise<void> {
    await node.setNextBlockBaseFeePerGas({ baseFeePerGas: parseGwei(gwei) });
    await node.mine({ blocks: 1 });
    expect((await getBlock(client)).baseFeePerGas).to.equal(parseGwei(gwei));
  }

  it("is replaced by dstack tx replace with its hash", async () => {
    const ledgerPath = join(directory.path, "ledger.sqlite");
    const composeHash = parseComposeHash("a1".repeat(32));
    using ledger = openLedger(ledgerPath);
    const calls = [addComposeHashCall({ appId, composeHash })];
    expect(await rejection(sendBatch(client, { calls, ledger, timeoutMs: 200 }))).to.be.instanceOf(BatchStoppedError);
    const nonce = await count();
    await raiseBaseFee("60");
    expect(await count(), "the block does not take it").to.equal(nonce);

    const [stuck] = ledger.transactions();
    const transaction = stuck?.attempts[0]?.transactionHash;
    const running = runTask(hre, ["tx", "replace"], { transaction, ledger: ledgerPath, yes: true });
    await until(() => ledger.transactions()[0]?.attempts[1]?.isSent);
    await node.mine({ blocks: 1 });
    const replaced = await running;
    expect(replaced.exitCode, replaced.stderr).to.equal(0);
    expect(ledger.transactions()[0]).to.include({ state: "mined", nonce });
    expect(await count()).to.equal(nonce + 1);
    expect(await isAllowed(composeHash)).to.equal(true);
  });

  it("is replaced by the task that sent it, up to the price of --replace", async () => {
    await raiseBaseFee("1");
    const ledgerPath = join(directory.path, "ledger.sqlite");
    const composeHash = parseComposeHash("a2".repeat(32));
    const nonce = await count();
    const args = { hashes: [composeHash], app: appId, ledger: ledgerPath, yes: true, replace: "200" };
    const running = runTask(hre, ["hash", "add"], args);
    using ledger = openLedger(ledgerPath);
    await until(() => ledger.transactions()[0]?.attempts[0]?.isSent);
    await raiseBaseFee("60");
    await until(() => ledger.transactions()[0]?.attempts[1]?.isSent);
    await node.mine({ blocks: 1 });
    const done = await running;
    expect(done.exitCode, done.stderr).to.equal(0);
    expect(done.stdout).to.contain("the base fee is 60 gwei: it waits").and.contain("now pays at most");
    expect(ledger.transactions()[0]).to.include({ state: "mined", nonce });
    expect(await count()).to.equal(nonce + 1);
    expect(await isAllowed(composeHash)).to.equal(true);
  });
});
