import { join } from "node:path";
import { expect } from "chai";
import { concat } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { getCode, getTransaction, getTransactionCount } from "viem/actions";
import type { BatchTransaction } from "../../../../src/batch/run.ts";
import { sendBatch } from "../../../../src/batch/send-batch.ts";
import { undoDelegation } from "../../../../src/batch/undo-delegation.ts";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import { batchExecutorAddress } from "../../../../src/core/batch-executor.ts";
import { parseAppId, parseComposeHash } from "../../../../src/core/ids.ts";
import { addComposeHashCall } from "../../../../src/core/owner-calls.ts";
import { launchCvm } from "../../../../src/world/cvms.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

const hashes = ["1", "2", "3"].map((digit) => parseComposeHash(digit.repeat(64)));

describe("a batch in a local world", () => {
  let world: World;
  const directory = useTemporaryDirectory();

  before(async () => {
    world = await startWorld({ cvms: false });
  });

  after(() => world.close());

  it("is one transaction of the owner with the hash of its signed bytes, and can be undone", async () => {
    const { ownerClient: client, owner, cloudClient } = world;
    const { appId } = await launchCvm({
      cloud: cloudClient,
      chain: client,
      owner: owner.address,
      name: "batched",
      dockerCompose: "services:\n  app:\n    image: registry.example/app:1\n",
    });
    const app = parseAppId(appId);
    const calls = hashes.map((composeHash) => addComposeHashCall({ appId: app, composeHash }));
    const { mode, transactions } = await sendBatch(client, { calls, allowDelegation: true });
    expect(mode).to.equal("7702");
    expect(transactions).to.have.length(1);
    const [transaction] = transactions;
    if (transaction === undefined) throw new Error("there is one");
    expect(await getTransaction(client, { hash: transaction.transactionHash })).to.include({ type: "eip7702" });
    for (const composeHash of hashes)
      expect(await readAllowlist(client, { appId: app, composeHash })).to.include({ composeHashAllowed: true });
    expect(await getCode(client, { address: owner.address })).to.equal(concat(["0xef0100", batchExecutorAddress]));
    expect(await undoDelegation(client, {})).to.include({ previous: batchExecutorAddress });
    expect(await getCode(client, { address: owner.address })).to.equal(undefined);
  });

  it("is sent one by one for a key that the chain does not have", async () => {
    const { ownerClient: client, chain } = world;
    const account = privateKeyToAccount(generatePrivateKey());
    await chain.client.setBalance({ address: account.address, value: 10n ** 18n });
    const { appId } = await launchCvm({
      cloud: world.cloudClient,
      chain: client,
      owner: account.address,
      name: "other",
      dockerCompose: "services:\n  app:\n    image: registry.example/app:2\n",
    });
    const calls = hashes.map((composeHash) => addComposeHashCall({ appId: parseAppId(appId), composeHash }));
    const { mode, transactions } = await sendBatch(client, { calls, account, allowDelegation: true });
    expect(mode).to.equal("none");
    expect(transactions).to.have.length(3);
    expect(await getTransactionCount(client, { address: account.address })).to.equal(3);
  });

  it("exists again after a restart with a state file", async () => {
    const stateFile = join(directory.path, "world.db");
    const first = await startWorld({ stateFile });
    const appId = first.cvms.onChain?.appId;
    if (appId === undefined) throw new Error("the world has an app");
    const calls = hashes.map((composeHash) => addComposeHashCall({ appId, composeHash }));
    const { mode, transactions } = await sendBatch(first.ownerClient, { calls, allowDelegation: true });
    expect(mode).to.equal("7702");
    await first.close();

    const second = await startWorld({ stateFile });
    const { ownerClient: client, owner } = second;
    const [{ transactionHash: hash }] = transactions as [BatchTransaction];
    expect(await getTransaction(client, { hash })).to.include({ type: "eip7702" });
    expect(await getCode(client, { address: owner.address })).to.equal(concat(["0xef0100", batchExecutorAddress]));
    expect(await readAllowlist(client, { appId, composeHash: hashes[0] })).to.include({ composeHashAllowed: true });
    await second.close();
  });
});
