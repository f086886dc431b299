import { appendFile, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { getTransactionCount } from "viem/actions";
import { sendBatch } from "../../../../src/batch/send-batch.ts";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import { type BatchJournal, openBatchJournal } from "../../../../src/chain/transactions/journal.ts";
import { parseComposeHash } from "../../../../src/core/ids.ts";
import { addComposeHashCall, type PolicyCall, removeComposeHashCall } from "../../../../src/core/owner-calls.ts";
import {
  type BatchStoppedError,
  isDstackError,
  JournalCorruptError,
  JournalLockedError,
} from "../../../../src/errors/index.ts";
import { type Dstack, deployAppOf, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { installDeterministicDeployer } from "../../../support/chain/deterministic-deployer.ts";
import { rejection } from "../../../support/rejection.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

const crash = new Error("crash");
const hashes = [1, 2, 3].map((digit) => parseComposeHash(`${digit}`.repeat(64)));

/** Dies at its n-th write, before or after the line is on the disk, and at every write after it. */
function crashingAt(journal: BatchJournal, at: number, isWritten: boolean): BatchJournal & { readonly writes: number } {
  let writes = 0;
  const crashing = async (write: () => Promise<void>) => {
    writes += 1;
    if (writes > at || (writes === at && !isWritten)) throw crash;
    await write();
    if (writes === at) throw crash;
  };
  return {
    get open() {
      return journal.open;
    },
    get writes() {
      return writes;
    },
    prepared: (entry) => crashing(() => journal.prepared(entry)),
    sent: (entry, hash) => crashing(() => journal.sent(entry, hash)),
    ended: (entry, end) => crashing(() => journal.ended(entry, end)),
  };
}

async function deploy(connection: NetworkConnection): Promise<Dstack> {
  await installDeterministicDeployer(connection);
  return deployDstack(connection);
}

describe("a batch journal on disk", () => {
  let connection: NetworkConnection;
  let dstack: Dstack;
  let path: string;
  const directory = useTemporaryDirectory();

  before(async () => {
    connection = await network.create({ network: "default", override: { chainId: 8453 } });
  });

  beforeEach(async () => {
    dstack = await connection.networkHelpers.loadFixture(deploy);
    path = join(directory.path, "batch.jsonl");
  });

  function calls(): PolicyCall[] {
    const { appId, composeHash } = dstack;
    return [
      ...hashes.map((hash) => addComposeHashCall({ appId, composeHash: hash })),
      removeComposeHashCall({ appId, composeHash }),
    ];
  }

  async function count(): Promise<number> {
    return getTransactionCount(dstack.client, { address: dstack.owner.address });
  }

  /** As a task does: what is recorded first, then whatever the chain still lacks. */
  async function rerun(mode: "none" | "7702"): Promise<void> {
    await using journal = await openBatchJournal(path);
    const { client, appId, owner } = dstack;
    await sendBatch(client, { calls: [], account: owner, journal });
    const left = [];
    for (const call of calls()) {
      const composeHash = parseComposeHash(String(call.args[0]));
      const { composeHashAllowed } = await readAllowlist(client, { appId, composeHash });
      if (composeHashAllowed !== (call.functionName === "addComposeHash")) left.push(call);
    }
    await sendBatch(client, { calls: left, account: owner, journal, mode });
    expect(journal.open).to.deep.equal([]);
  }

  for (const { mode, writes, nonces } of [
    { mode: "none", writes: 8, nonces: 4 },
    { mode: "7702", writes: 4, nonces: 3 },
  ] as const)
    it(`brings a batch (${mode}) to its end after a crash at any write, and pays nothing twice`, async () => {
      for (let at = 1; at <= writes; at++)
        for (const isWritten of [false, true]) {
          dstack = await connection.networkHelpers.loadFixture(deploy);
          path = join(directory.path, `${at}-${isWritten}.jsonl`);
          const before = await count();
          const file = await openBatchJournal(path);
          const journal = crashingAt(file, at, isWritten);
          const { client, owner } = dstack;
          const failed = await rejection(
            sendBatch(client, { calls: calls(), account: owner, mode, journal, window: 1 }),
          );
          expect(failed === crash || (failed as BatchStoppedError).cause === crash, `${failed}`).to.equal(true);
          await file.close();
          await rerun(mode);
          const where = `crash ${isWritten ? "after" : "before"} write ${at}`;
          expect((await count()) - before, where).to.be.within(nonces, mode === "none" ? nonces : nonces + 1);
          for (const call of calls()) {
            const composeHash = parseComposeHash(String(call.args[0]));
            const { composeHashAllowed } = await readAllowlist(client, { appId: dstack.appId, composeHash });
            expect(composeHashAllowed, where).to.equal(call.functionName === "addComposeHash");
          }
        }
    });

  it("keeps signed transactions from other users, and no key", async () => {
    await using journal = await openBatchJournal(path);
    const [first] = calls();
    if (first === undefined) throw new Error("there are four");
    await sendBatch(dstack.client, { calls: [first], account: dstack.owner, journal });
    expect((await stat(path)).mode & 0o777).to.equal(0o600);
    const text = await readFile(path, "utf8");
    expect(text.split("\n")).to.have.length(3);
    expect(text).to.contain(first.data);
  });

  it("finds a transaction again that a node signed, by the hash it told", async () => {
    const [wallet] = await connection.viem.getWalletClients();
    if (wallet === undefined) throw new Error("Hardhat's chain has accounts");
    const account = wallet.account.address;
    const appId = await deployAppOf(dstack, account);
    const [composeHash] = hashes;
    if (composeHash === undefined) throw new Error("there are three");
    const { client } = dstack;
    const own = [addComposeHashCall({ appId, composeHash })];
    const file = await openBatchJournal(path);
    // The third write would be the transaction's end.
    await rejection(sendBatch(client, { calls: own, account, mode: "none", journal: crashingAt(file, 3, false) }));
    await file.close();
    const nonce = await getTransactionCount(client, { address: account });

    await using reopened = await openBatchJournal(path);
    expect(reopened.open[0]?.transaction.transactionHash).to.match(/^0x[0-9a-f]{64}$/);
    const result = await sendBatch(client, { calls: own, account, mode: "none", journal: reopened });
    expect(result.transactions.map(({ isFromRecord }) => isFromRecord)).to.deep.equal([true]);
    expect(await getTransactionCount(client, { address: account })).to.equal(nonce);
  });

  it("takes no other transaction for a recorded one, though it has the same event", async () => {
    const [wallet] = await connection.viem.getWalletClients();
    if (wallet === undefined) throw new Error("Hardhat's chain has accounts");
    const account = wallet.account.address;
    const appId = await deployAppOf(dstack, account);
    const [composeHash] = hashes;
    if (composeHash === undefined) throw new Error("there are three");
    const { client } = dstack;
    const add = [addComposeHashCall({ appId, composeHash })];
    const old = await sendBatch(client, { calls: add, account, mode: "none" });
    await sendBatch(client, { calls: [removeComposeHashCall({ appId, composeHash })], account, mode: "none" });

    const file = await openBatchJournal(path);
    await rejection(sendBatch(client, { calls: add, account, mode: "none", journal: crashingAt(file, 1, true) }));
    await file.close();
    const line = JSON.parse((await readFile(path, "utf8")).trimEnd());
    const { v, at, chainId, from, nonce } = line;
    const { transactionHash } = old.transactions[0] ?? {};
    const lie = { v, at, type: "sent", chainId, from, nonce, transactionHash };
    await appendFile(path, `${JSON.stringify(lie)}\n`);

    await using reopened = await openBatchJournal(path);
    const result = await sendBatch(client, { calls: [], account, mode: "none", journal: reopened });
    expect(result.transactions.map((each) => each.transactionHash)).to.not.include(transactionHash);
    expect((await readAllowlist(client, { appId, composeHash })).composeHashAllowed).to.equal(true);
  });

  it("is one process's at a time", async () => {
    await using _mine = await openBatchJournal(path);
    expect(await rejection(openBatchJournal(path))).to.be.instanceOf(JournalLockedError);
  });

  it("forgets a torn last line, and refuses to go on behind any other damage", async () => {
    const failed = await openBatchJournal(path);
    const journal = crashingAt(failed, 2, false);
    const { client, owner } = dstack;
    await rejection(sendBatch(client, { calls: calls(), account: owner, mode: "none", journal, window: 1 }));
    await failed.close();
    const text = await readFile(path, "utf8");
    await appendFile(path, '{"v":1,"type":"ended"');
    const reopened = await openBatchJournal(path);
    expect(reopened.open).to.have.length(1);
    await reopened.close();
    for (const damaged of [
      text.replace("prepared", "prepaired"),
      text + text,
      text.replace(/"data":"0x/g, '"data":"0x00'),
    ]) {
      await writeFile(path, damaged);
      const error = await rejection(openBatchJournal(path));
      expect(error).to.be.instanceOf(JournalCorruptError);
      expect(isDstackError(error) && error.context).to.include({ path });
      expect(isDstackError(error) && error.context.line).to.equal(damaged === text + text ? 2 : 1);
    }
  });
});
