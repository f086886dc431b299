import { appendFile, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import type { Address } from "viem";
import { getTransactionCount } from "viem/actions";
import { planBatch } from "../../../../src/batch/plan-batch.ts";
import { sendBatch } from "../../../../src/batch/send-batch.ts";
import { giveUpReplaced } from "../../../../src/batch/send-transactions.ts";
import { undoDelegation } from "../../../../src/batch/undo-delegation.ts";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import { type BatchEntry, type BatchJournal, openBatchJournal } from "../../../../src/chain/transactions/journal.ts";
import { parseComposeHash } from "../../../../src/core/ids.ts";
import {
  addComposeHashCall,
  type OwnerCall,
  removeComposeHashCall,
  transferOwnershipCall,
} from "../../../../src/core/owner-calls.ts";
import {
  type BatchStoppedError,
  isDstackError,
  JournalCorruptError,
  JournalLockedError,
  type NonceTakenError,
  UnsignedRecordError,
} from "../../../../src/errors/index.ts";
import { type Dstack, deployAppOf, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { installDeterministicDeployer } from "../../../support/chain/deterministic-deployer.ts";
import { interceptedClient, rpcError } from "../../../support/chain/intercepted-client.ts";
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

  function calls(): OwnerCall[] {
    const { appId, composeHash } = dstack;
    return [
      ...hashes.map((hash) => addComposeHashCall({ appId, composeHash: hash })),
      removeComposeHashCall({ appId, composeHash }),
    ];
  }

  async function count(): Promise<number> {
    return getTransactionCount(dstack.client, { address: dstack.owner.address });
  }

  /** As a task does: first what is recorded, then the calls that the chain still lacks. */
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
    const ask = { account, mode: "none", journal: reopened, confirmUnsigned: () => {} } as const;
    const result = await sendBatch(client, { calls: [], ...ask });
    expect(result.transactions.map((each) => each.transactionHash)).to.not.include(transactionHash);
    expect((await readAllowlist(client, { appId, composeHash })).composeHashAllowed).to.equal(true);
  });

  describe("with a line without signed bytes", () => {
    async function writeUnsigned(from: Address) {
      const appId = from === dstack.owner.address ? dstack.appId : await deployAppOf(dstack, from);
      const call = transferOwnershipCall({ appId, newOwner: dstack.stranger.address });
      const file = await openBatchJournal(path);
      await file.prepared({
        transaction: {
          ...{ chainId: 8453, from, to: call.to, data: call.data, functionName: call.functionName },
          nonce: await getTransactionCount(dstack.client, { address: from }),
          ...{ gas: 60_000n, maxFeePerGas: 10n ** 10n, maxPriorityFeePerGas: 1n },
        },
        calls: [call],
        authorizes: false,
      });
      await file.close();
    }

    it("sends nothing at all for a key in this process", async () => {
      const { client, owner } = dstack;
      await writeUnsigned(owner.address);
      const nonce = await count();
      await using journal = await openBatchJournal(path);
      const asked: unknown[] = [];
      const parameters = {
        calls: calls(),
        account: owner,
        journal,
        confirmUnsigned: (entry: unknown) => void asked.push(entry),
      };
      for (const run of [
        sendBatch(client, parameters),
        planBatch(client, parameters),
        undoDelegation(client, parameters),
      ])
        expect(await rejection(run)).to.be.instanceOf(UnsignedRecordError);
      expect([await count(), asked]).to.deep.equal([nonce, []]);
    });

    it("has a node sign it only if the caller confirms that very line", async () => {
      const { client } = dstack;
      const [wallet] = await connection.viem.getWalletClients();
      if (wallet === undefined) throw new Error("Hardhat's chain has accounts");
      const account = wallet.account.address;
      await writeUnsigned(account);
      const nonce = await getTransactionCount(client, { address: account });
      await using journal = await openBatchJournal(path);
      const unasked = await rejection(sendBatch(client, { calls: [], account, journal }));
      expect(unasked).to.be.instanceOf(UnsignedRecordError);
      const no = new Error("no");
      const refused = sendBatch(client, { calls: [], account, journal, confirmUnsigned: () => Promise.reject(no) });
      expect(await rejection(refused)).to.equal(no);
      expect(await getTransactionCount(client, { address: account })).to.equal(nonce);
      const asked: BatchEntry[] = [];
      await sendBatch(client, { calls: [], account, journal, confirmUnsigned: (entry) => void asked.push(entry) });
      expect(asked.map(({ calls: [call] }) => call?.functionName)).to.deep.equal(["transferOwnership"]);
      expect(await getTransactionCount(client, { address: account })).to.equal(nonce + 1);
    });
  });

  for (const [what, change] of Object.entries({
    "another target": { to: `0x${"ab".repeat(20)}` },
    "another calldata": { input: "0x12345678" },
    "another chain": { chainId: "0x1", to: `0x${"ab".repeat(20)}` },
  }))
    it(`gives up no signed transaction on the word of an endpoint that shows ${what} in the mined one`, async () => {
      const { owner } = dstack;
      const [call] = calls();
      if (call === undefined) throw new Error("there are four");
      const file = await openBatchJournal(path);
      await rejection(
        sendBatch(dstack.client, { calls: [call], account: owner, mode: "none", journal: crashingAt(file, 2, false) }),
      );
      await file.close();
      const nonce = await count();
      const lying = interceptedClient(connection, {
        intercept: async ({ method, params }, pass) => {
          if (method === "eth_sendRawTransaction") throw rpcError(-32000, "nonce too low");
          if (method === "eth_getTransactionByHash" || method === "eth_getTransactionReceipt") return null;
          const answer = await pass();
          if (method !== "eth_getBlockByNumber" || params?.[1] !== true) return answer;
          const block = answer as { transactions: object[] };
          return { ...block, transactions: block.transactions.map((each) => ({ ...each, ...change })) };
        },
      });
      await using journal = await openBatchJournal(path);
      const stopped = await rejection(sendBatch(lying.client, { calls: [call], account: owner, journal }));
      expect((stopped as NonceTakenError).taker).to.deep.equal({ kind: "notFound" });
      await giveUpReplaced({ client: lying.client, account: owner, chainId: 8453, journal });
      expect(journal.open).to.have.length(1);
      expect(await count()).to.equal(nonce);
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
