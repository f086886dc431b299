import { statSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect } from "chai";
import { createHardhatRuntimeEnvironment } from "hardhat/hre";
import { getCode } from "viem/actions";
import { sendBatch } from "../../../../../src/batch/send-batch.ts";
import { readChainIdentity } from "../../../../../src/chain/transactions/chain-identity.ts";
import { openLedger } from "../../../../../src/chain/transactions/ledger.ts";
import { batchExecutorAddress } from "../../../../../src/core/batch-executor.ts";
import { parseComposeHash } from "../../../../../src/core/ids.ts";
import { addComposeHashCall, transferOwnershipCall } from "../../../../../src/core/owner-calls.ts";
import dstack from "../../../../../src/hardhat/index.ts";
import { devPrivateKey } from "../../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../../src/world/start-world.ts";
import { runTask } from "../../../../support/hardhat/run-task.ts";
import { putRecord } from "../../../../support/ledger/signed-record.ts";
import { useTemporaryDirectory } from "../../../../support/update/temporary-directory.ts";

describe("task dstack batch undo-delegation", () => {
  let world: World;
  const directory = useTemporaryDirectory();

  before(async () => {
    world = await startWorld();
  });
  after(() => world.close());

  async function undo(args: Record<string, unknown> = {}) {
    await writeFile(join(directory.path, "package.json"), "{}");
    const hre = await createHardhatRuntimeEnvironment(
      {
        plugins: [dstack],
        networks: { world: { type: "http", chainType: "op", chainId: world.chain.id, url: world.chain.rpcUrl } },
        dstack: { ownerKey: devPrivateKey(0) },
      },
      { network: "world" },
      directory.path,
    );
    return runTask(hre, ["batch", "undo-delegation"], args);
  }

  it("reports when there is nothing to undo; asks, undoes, and keeps a ledger in the project", async () => {
    const { owner, ownerClient: client, cvms } = world;
    const none = await undo({ json: true });
    expect(none.json()).to.deep.include({ account: owner.address, chainId: 8453, previous: null });

    const appId = cvms.onChain?.appId;
    if (appId === undefined) throw new Error("the world has an app");
    const hashes = ["1", "2"].map((digit) => parseComposeHash(digit.repeat(64)));
    const calls = hashes.map((composeHash) => addComposeHashCall({ appId, composeHash }));
    await sendBatch(client, { calls, mode: "7702" });
    expect((await undo()).exitCode).to.equal(2); // the task cannot ask
    expect(await getCode(client, { address: owner.address })).to.not.equal(undefined);

    const foreign = await undo({ yes: true, json: true, delegate: world.contracts.kms });
    expect(foreign.json<{ error: { name: string } }>().error.name).to.equal("ForeignDelegationError");

    const undone = await undo({ yes: true });
    expect(undone.exitCode, undone.stderr).to.equal(0);
    expect(undone.stdout).to.contain(batchExecutorAddress).and.to.contain("Ended the delegation of");
    expect(await getCode(client, { address: owner.address })).to.equal(undefined);
    expect(statSync(join(directory.path, ".dstack")).mode & 0o777).to.equal(0o700);
    using ledger = openLedger(join(directory.path, ".dstack", "ledger.sqlite"));
    expect(ledger.transactions().map(({ state, functionName }) => [state, functionName])).to.deep.equal([
      ["mined", "the end of the delegation"],
    ]);
  });
});

describe("a ledger with a record without a signature", () => {
  let world: World;
  const directory = useTemporaryDirectory();

  before(async () => {
    world = await startWorld();
  });
  after(() => world.close());

  for (const [whose, ownerKey] of [
    ["a key of the configuration", devPrivateKey(0)],
    ["a key that the node holds", undefined],
  ] as const)
    it(`is not sent by hash add --yes with ${whose}`, async () => {
      const appId = world.cvms.onChain?.appId;
      if (appId === undefined) throw new Error("the world has an app");
      await writeFile(join(directory.path, "package.json"), "{}");
      const hre = await createHardhatRuntimeEnvironment(
        {
          plugins: [dstack],
          networks: { world: { type: "http", chainType: "op", chainId: world.chain.id, url: world.chain.rpcUrl } },
          dstack: { ...(ownerKey && { ownerKey }) },
        },
        { network: "world" },
        directory.path,
      );
      const { client } = world.chain;
      const from = world.owner.address;
      const path = join(directory.path, ".dstack", "ledger.sqlite");
      await mkdir(dirname(path), { mode: 0o700 });
      const { chain } = await readChainIdentity(client, 8453);
      const call = transferOwnershipCall({ appId, newOwner: "0x00000000000000000000000000000000deadbeef" });
      const fees = { gas: 60_000n, maxFeePerGas: 10n ** 10n, maxPriorityFeePerGas: 1n };
      const nonce = await client.getTransactionCount({ address: from });
      const ledger = openLedger(path);
      putRecord(ledger, { chainId: 8453, from, nonce, ...call, ...fees }, { calls: [call], chain });
      ledger.close();
      const add = { hashes: [`0x${"11".repeat(32)}`], app: appId, yes: true, json: true };
      const outcome = await runTask(hre, ["hash", "add"], add);
      expect(outcome.json<{ error: { name: string } }>().error.name, outcome.stdout).to.equal("UnsignedRecordError");
      expect(outcome.exitCode).to.equal(3);
      expect(await client.getTransactionCount({ address: from })).to.equal(nonce);
    });
});
