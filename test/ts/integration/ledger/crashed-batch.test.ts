import { stat } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import type { Account, Address } from "viem";
import { getTransactionCount } from "viem/actions";
import { planBatch } from "../../../../src/batch/plan-batch.ts";
import type { BatchResult } from "../../../../src/batch/run.ts";
import { type SendBatchParameters, sendBatch } from "../../../../src/batch/send-batch.ts";
import { undoDelegation } from "../../../../src/batch/undo-delegation.ts";
import { readDelegation } from "../../../../src/chain/code.ts";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import { readChainIdentity } from "../../../../src/chain/transactions/chain-identity.ts";
import { type Ledger, openLedger } from "../../../../src/chain/transactions/ledger.ts";
import { type LedgerTransaction, lastAttempt } from "../../../../src/chain/transactions/ledger-records.ts";
import { type ComposeHash, parseComposeHash } from "../../../../src/core/ids.ts";
import {
  addComposeHashCall,
  type OwnerCall,
  removeComposeHashCall,
  transferOwnershipCall,
} from "../../../../src/core/owner-calls.ts";
import {
  BatchStoppedError,
  NoEffectError,
  type NonceTakenError,
  UnsignedRecordError,
} from "../../../../src/errors/index.ts";
import { type Dstack, deployAppOf, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { installDeterministicDeployer } from "../../../support/chain/deterministic-deployer.ts";
import { interceptedClient, rpcError } from "../../../support/chain/intercepted-client.ts";
import {
  Crash,
  type CrashPoint,
  crashingLedger,
  crashingOnceRecorded,
} from "../../../support/ledger/crashing-ledger.ts";
import { putRecord } from "../../../support/ledger/signed-record.ts";
import { rejection } from "../../../support/rejection.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

const hashes = [1, 2, 3].map((digit) => parseComposeHash(`${digit}`.repeat(64))) as [
  ComposeHash,
  ComposeHash,
  ComposeHash,
];

async function deploy(connection: NetworkConnection): Promise<Dstack> {
  await installDeterministicDeployer(connection);
  return deployDstack(connection);
}

describe("a batch that crashed", () => {
  let connection: NetworkConnection;
  let dstack: Dstack;
  let path: string;
  const directory = useTemporaryDirectory();

  before(async () => {
    connection = await network.create({ network: "default", override: { chainId: 8453 } });
  });

  beforeEach(async () => {
    dstack = await connection.networkHelpers.loadFixture(deploy);
    path = join(directory.path, "ledger.sqlite");
  });

  function calls(): OwnerCall[] {
    const { appId, composeHash } = dstack;
    return [
      ...hashes.map((hash) => addComposeHashCall({ appId, composeHash: hash })),
      removeComposeHashCall({ appId, composeHash }),
    ];
  }

  async function count(address: Address = dstack.owner.address): Promise<number> {
    return getTransactionCount(dstack.client, { address });
  }

  /** One process's life: opens the ledger, sends, and dies where it is told to. */
  async function runOnce(
    parameters: Pick<SendBatchParameters, "calls"> & Partial<SendBatchParameters>,
    wrap: (ledger: Ledger) => Ledger = (ledger) => ledger,
  ): Promise<BatchResult | Crash | NoEffectError> {
    using ledger = openLedger(path);
    try {
      return await sendBatch(dstack.client, { account: dstack.owner, ...parameters, ledger: wrap(ledger) });
    } catch (error) {
      const cause = error instanceof BatchStoppedError ? error.cause : error;
      if (cause instanceof Crash || cause instanceof NoEffectError) return cause;
      throw error;
    }
  }

  async function expectAllDone(where: string): Promise<void> {
    const { client, appId } = dstack;
    for (const call of calls()) {
      const composeHash = parseComposeHash(String(call.args[0]));
      const { composeHashAllowed } = await readAllowlist(client, { appId, composeHash });
      expect(composeHashAllowed, where).to.equal(call.functionName === "addComposeHash");
    }
  }

  // Each transaction is recorded, marked as sent, and ended; at last the batch ends.
  for (const { mode, transactions, nonces } of [
    { mode: "none", transactions: 4, nonces: 4 },
    { mode: "7702", transactions: 2, nonces: 3 },
  ] as const)
    it(`(${mode}) at any write is finished by the same command, which pays nothing twice`, async () => {
      const last = 3 * transactions + 1;
      const points = Array.from({ length: last }, (_, index) => index + 1).flatMap((write): CrashPoint[] => [
        { write, when: "before" },
        { write, when: "after" },
      ]);
      for (const point of points) {
        const where = `crash ${point.when} write ${point.write}`;
        dstack = await connection.networkHelpers.loadFixture(deploy);
        path = join(directory.path, `${point.when}-${point.write}.sqlite`);
        const before = await count();
        const asked = { calls: calls(), mode, window: 1 } as const;
        const crashed = await runOnce(asked, (ledger) => crashingLedger(ledger, point));
        expect(crashed, where).to.be.instanceOf(Crash);
        const result = await runOnce(asked);
        await expectAllDone(where);
        expect((await count()) - before, where).to.equal(nonces);
        if (point.write === last && point.when === "after") {
          expect(result, "the batch had ended, so the command begins anew").to.be.instanceOf(NoEffectError);
          continue;
        }
        if (result instanceof Error) throw result;
        expect(
          result.calls.map(({ status }) => status),
          where,
        ).to.deep.equal(Array(4).fill("done"));
        expect(result.transactions, where).to.have.length(transactions);
        using ledger = openLedger(path);
        expect(ledger.transactions({ states: ["open"] }), where).to.deep.equal([]);
        expect(ledger.batches({ isOpen: true }), where).to.deep.equal([]);
      }
    });

  it("at any write of the end of a delegation is finished by the same command", async () => {
    for (const point of [1, 2, 3, 4].flatMap((write): CrashPoint[] => [
      { write, when: "before" },
      { write, when: "after" },
    ])) {
      dstack = await connection.networkHelpers.loadFixture(deploy);
      path = join(directory.path, `${point.when}-${point.write}.sqlite`);
      const { client, owner } = dstack;
      await sendBatch(client, { calls: calls(), account: owner, mode: "7702" });
      const before = await count();
      {
        using ledger = openLedger(path);
        const crashed = undoDelegation(client, { account: owner, ledger: crashingLedger(ledger, point) });
        expect(await rejection(crashed)).to.be.instanceOf(Crash);
      }
      using ledger = openLedger(path);
      await undoDelegation(client, { account: owner, ledger });
      const where = `crash ${point.when} write ${point.write}`;
      expect(await readDelegation(client, { address: owner.address }), where).to.deep.equal({ kind: "none" });
      expect((await count()) - before, where).to.equal(2);
      expect(ledger.transactions({ states: ["open"] }), where).to.deep.equal([]);
    }
  });

  it("repeatedly still pays each call once", async () => {
    const before = await count();
    for (let crashes = 0; ; crashes++) {
      const point = { write: (crashes % 3) + 1, when: crashes % 2 === 0 ? "after" : "before" } as const;
      const result = await runOnce({ calls: calls(), mode: "none" }, (ledger) => crashingLedger(ledger, point));
      if (!(result instanceof Crash)) break;
      expect(crashes).to.be.lessThan(60);
    }
    await expectAllDone("after many crashes");
    expect((await count()) - before).to.equal(4);
  });

  it("starts again when it is complete, and does not belong to another command", async () => {
    const { client, appId } = dstack;
    const [a, b] = hashes;
    const both = [a, b].map((composeHash) => addComposeHashCall({ appId, composeHash }));
    // Killed after A was mined: B was never signed.
    await runOnce({ calls: both, mode: "none", window: 1 }, (ledger) =>
      crashingLedger(ledger, { write: 4, when: "before" }),
    );
    const before = await count();
    const other = await runOnce({ calls: [removeComposeHashCall({ appId, composeHash: dstack.composeHash })] });
    if (other instanceof Error) throw other;
    expect(other.transactions, "the other command tells of its own alone").to.have.length(1);
    const rest = await runOnce({ calls: both, mode: "none" });
    if (rest instanceof Error) throw rest;
    expect(rest.transactions.map(({ isFromRecord }) => isFromRecord)).to.deep.equal([true, false]);
    expect(await count()).to.equal(before + 2);
    expect(await runOnce({ calls: both, mode: "none" })).to.be.instanceOf(NoEffectError);
    for (const composeHash of [a, b])
      expect((await readAllowlist(client, { appId, composeHash })).composeHashAllowed).to.equal(true);
  });

  it("sends a call of an earlier run again when the owner has undone it", async () => {
    const { client, appId } = dstack;
    const [a, b] = hashes;
    const both = [a, b].map((composeHash) => addComposeHashCall({ appId, composeHash }));
    await runOnce({ calls: both, mode: "none", window: 1 }, (ledger) =>
      crashingLedger(ledger, { write: 4, when: "before" }),
    );
    await runOnce({ calls: [removeComposeHashCall({ appId, composeHash: a })] });
    const result = await runOnce({ calls: both, mode: "none" });
    if (result instanceof Error) throw result;
    expect(result.calls.map(({ status }) => status)).to.deep.equal(["done", "done"]);
    for (const composeHash of [a, b])
      expect((await readAllowlist(client, { appId, composeHash })).composeHashAllowed).to.equal(true);
  });

  it("leaves a ledger that other users cannot read", async () => {
    await runOnce({ calls: calls().slice(0, 1) });
    for (const ending of ["", "-wal", "-shm"]) {
      const mode = await stat(`${path}${ending}`).then(
        (found) => found.mode & 0o777,
        () => 0o600, // SQLite removes them when the last process closes the file
      );
      expect(mode).to.equal(0o600);
    }
  });

  describe("with a key of the node", () => {
    let account: Address;
    let own: OwnerCall[];
    let chain: string;
    beforeEach(async () => {
      const [wallet] = await connection.viem.getWalletClients();
      if (wallet === undefined) throw new Error("Hardhat's chain has accounts");
      account = wallet.account.address;
      const appId = await deployAppOf(dstack, account);
      own = [addComposeHashCall({ appId, composeHash: hashes[0] })];
      ({ chain } = await readChainIdentity(dstack.client, 8453));
    });

    it("finds the transaction again by the hash that the node returned", async () => {
      // The third write is the transaction's end.
      await runOnce({ calls: own, account }, (ledger) => crashingLedger(ledger, { write: 3, when: "before" }));
      const nonce = await count(account);
      using ledger = openLedger(path);
      const [open] = ledger.transactions({ states: ["open"] });
      expect(open && lastAttempt(open).transactionHash).to.match(/^0x[0-9a-f]{64}$/);
      const result = await sendBatch(dstack.client, { calls: own, account, ledger });
      expect(result.transactions.map(({ isFromRecord }) => isFromRecord)).to.deep.equal([true]);
      expect(await count(account)).to.equal(nonce);
    });

    it("accepts no other transaction for the recorded one, even with the same event", async () => {
      const [add] = own;
      if (add === undefined) throw new Error("there is one");
      const { client } = dstack;
      const old = await sendBatch(client, { calls: own, account });
      const remove = { appId: add.to as typeof dstack.appId, composeHash: hashes[0] };
      await sendBatch(client, { calls: [removeComposeHashCall(remove)], account });
      await runOnce({ calls: own, account }, crashingOnceRecorded);
      const lie = old.transactions[0]?.transactionHash;
      if (lie === undefined) throw new Error("it was mined");
      using ledger = openLedger(path);
      const [open] = ledger.transactions({ states: ["open"] });
      if (open === undefined) throw new Error("it was recorded");
      ledger.markSent(open.id, lastAttempt(open).id, lie);
      const result = await sendBatch(client, { calls: own, account, ledger, confirmUnsigned: () => {} });
      expect(result.transactions.map(({ transactionHash }) => transactionHash)).to.not.include(lie);
      expect(result.calls.map(({ status }) => status)).to.deep.equal(["done"]);
    });

    async function putUnsigned(from: Address): Promise<LedgerTransaction> {
      const appId = from === dstack.owner.address ? dstack.appId : await deployAppOf(dstack, from);
      const call = transferOwnershipCall({ appId, newOwner: dstack.stranger.address });
      using ledger = openLedger(path);
      return putRecord(
        ledger,
        {
          ...{ chainId: 8453, from, to: call.to, data: call.data, functionName: call.functionName },
          nonce: await count(from),
          ...{ gas: 60_000n, maxFeePerGas: 10n ** 10n, maxPriorityFeePerGas: 1n },
        },
        { calls: [call], chain },
      );
    }

    it("sends nothing at all for a key in this process", async () => {
      const { client, owner } = dstack;
      await putUnsigned(owner.address);
      const nonce = await count();
      using ledger = openLedger(path);
      const asked: unknown[] = [];
      const parameters = {
        ...{ calls: calls(), account: owner as Account, ledger },
        confirmUnsigned: (transaction: unknown) => void asked.push(transaction),
      };
      for (const run of [
        () => sendBatch(client, parameters),
        () => planBatch(client, parameters),
        () => undoDelegation(client, parameters),
      ])
        expect(await rejection(run())).to.be.instanceOf(UnsignedRecordError);
      expect([await count(), asked]).to.deep.equal([nonce, []]);
    });

    it("makes the node sign it only when the caller confirms that record", async () => {
      const { client } = dstack;
      await putUnsigned(account);
      const nonce = await count(account);
      using ledger = openLedger(path);
      const ask = { calls: [], account, ledger };
      expect(await rejection(sendBatch(client, ask))).to.be.instanceOf(UnsignedRecordError);
      const no = new Error("no");
      expect(await rejection(sendBatch(client, { ...ask, confirmUnsigned: () => Promise.reject(no) }))).to.equal(no);
      expect(await count(account)).to.equal(nonce);
      const asked: LedgerTransaction[] = [];
      await sendBatch(client, { ...ask, confirmUnsigned: (transaction) => void asked.push(transaction) });
      expect(asked.map(({ functionName }) => functionName)).to.deep.equal(["transferOwnership"]);
      expect(await count(account)).to.equal(nonce + 1);
    });
  });

  for (const [what, change] of Object.entries({
    "another target": { to: `0x${"ab".repeat(20)}` },
    "another calldata": { input: "0x12345678" },
    "another chain": { chainId: "0x1", to: `0x${"ab".repeat(20)}` },
  }))
    it(`gives up no signed transaction on the word of an endpoint that shows ${what} in the mined one`, async () => {
      const [call] = calls();
      if (call === undefined) throw new Error("there are four");
      await runOnce({ calls: [call] }, (ledger) => crashingLedger(ledger, { write: 3, when: "before" }));
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
      using ledger = openLedger(path);
      const stopped = await rejection(sendBatch(lying.client, { calls: [call], account: dstack.owner, ledger }));
      expect((stopped as NonceTakenError).taker).to.deep.equal({ kind: "notFound" });
      expect(ledger.transactions({ states: ["open"] })).to.have.length(1);
      expect(await count()).to.equal(nonce);
    });
});
