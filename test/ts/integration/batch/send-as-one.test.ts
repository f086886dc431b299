import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { type Address, concat, keccak256, zeroAddress } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { getBalance, getCode, getTransaction, getTransactionCount, sendTransaction } from "viem/actions";
import { base } from "viem/chains";
import { planBatch } from "../../../../src/batch/plan-batch.ts";
import type { BatchEvent, BatchResult } from "../../../../src/batch/run.ts";
import { type SendBatchParameters, sendBatch } from "../../../../src/batch/send-batch.ts";
import { undoDelegation } from "../../../../src/batch/undo-delegation.ts";
import type { ChainClient } from "../../../../src/chain/client.ts";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import { memoryLedger } from "../../../../src/chain/transactions/ledger.ts";
import {
  batchExecutorAddress,
  batchExecutorCodeHash,
  deterministicDeployer,
} from "../../../../src/core/batch-executor.ts";
import { type ComposeHash, parseAppId, parseComposeHash } from "../../../../src/core/ids.ts";
import { addOsImageHashCall } from "../../../../src/core/kms-owner-calls.ts";
import { addComposeHashCall, type OwnerCall, removeComposeHashCall } from "../../../../src/core/owner-calls.ts";
import {
  BatchStoppedError,
  ContractOwnerError,
  DelegationUnsupportedError,
  ExecutorMismatchError,
  ForeignDelegationError,
  NoContractError,
  NotOwnerError,
} from "../../../../src/errors/index.ts";
import { type Dstack, deployAppOf, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { installDeterministicDeployer } from "../../../support/chain/deterministic-deployer.ts";
import { interceptedClient, rpcError } from "../../../support/chain/intercepted-client.ts";
import { crashingOnceRecorded } from "../../../support/ledger/crashing-ledger.ts";
import { rejection } from "../../../support/rejection.ts";

function hashes(count: number, from = 0): ComposeHash[] {
  return Array.from({ length: count }, (_, index) => parseComposeHash((0xa000 + from + index).toString(16).repeat(16)));
}

async function deployWithProxy(connection: NetworkConnection): Promise<Dstack> {
  await installDeterministicDeployer(connection);
  return deployDstack(connection);
}

async function deployWithoutProxy(connection: NetworkConnection): Promise<Dstack> {
  await connection.networkHelpers.setCode(deterministicDeployer, "0x");
  return deployDstack(connection);
}

describe("sendBatch, all calls in one transaction (EIP-7702)", () => {
  let connection: NetworkConnection;
  let dstack: Dstack;

  before(async () => {
    // The simulated OP stack chain cannot read transactions of type 4; this one has Base's id and reads them.
    connection = await network.create({ network: "default", override: { chainId: 8453 } });
  });

  beforeEach(async () => {
    dstack = await connection.networkHelpers.loadFixture(deployWithProxy);
  });

  /** As a user who has allowed the delegation. */
  function send(calls: readonly OwnerCall[], more: Partial<SendBatchParameters> = {}): Promise<BatchResult> {
    return sendBatch(dstack.client, { calls, account: dstack.owner, allowDelegation: true, ...more });
  }

  function additions(count: number, from = 0): OwnerCall[] {
    return hashes(count, from).map((composeHash) => addComposeHashCall({ appId: dstack.appId, composeHash }));
  }

  async function isAllowed(composeHash: ComposeHash): Promise<boolean | undefined> {
    return (await readAllowlist(dstack.client, { appId: dstack.appId, composeHash })).composeHashAllowed;
  }

  function codeOf(address: Address, client: ChainClient = dstack.client) {
    return getCode(client, { address });
  }

  it("deploys the executor at its address, delegates and makes all calls, with the exact cost", async () => {
    const { client, appId, kms, owner, composeHash } = dstack;
    const before = await getBalance(client, { address: owner.address });
    const calls = [
      ...additions(3),
      removeComposeHashCall({ appId, composeHash }),
      addOsImageHashCall({ kms, osImageHash: `0x${"15".repeat(32)}` }),
    ];
    const result = await send(calls, { mode: "7702" });
    expect(result.calls.map(({ status }) => status)).to.deep.equal(Array(5).fill("done"));
    expect(result.transactions.map((transaction) => transaction.calls)).to.deep.equal([0, 5]);
    expect(new Set(result.calls.map(({ transactionHash }) => transactionHash))).to.have.length(1);
    expect(await getBalance(client, { address: owner.address })).to.equal(before - result.costWei);
    expect(keccak256((await codeOf(batchExecutorAddress)) ?? "0x")).to.equal(batchExecutorCodeHash);
    expect(await codeOf(owner.address)).to.equal(concat(["0xef0100", batchExecutorAddress]));
    for (const added of hashes(3)) expect(await isAllowed(added)).to.equal(true);
    expect(await isAllowed(composeHash)).to.equal(false);
  });

  it("needs no deployment and authorisation the next time, and the account can still sign", async () => {
    const { client, owner, stranger } = dstack;
    await send(additions(2), { mode: "7702" });
    const result = await send(additions(2, 2));
    expect(result.mode).to.equal("7702");
    expect(result.transactions).to.have.length(1);
    const [transaction] = result.transactions;
    if (transaction === undefined) throw new Error("there is one");
    expect((await getTransaction(client, { hash: transaction.transactionHash })).type).to.equal("eip1559");
    expect((await send(additions(1, 9))).mode).to.equal("none");
    await sendTransaction(client, { account: stranger, chain: base, to: owner.address, value: 5n });
  });

  it("chooses the mode by the state of the account, and says why", async () => {
    const few = await send(additions(2));
    expect(few.mode).to.equal("none");
    expect(few.reason).to.contain("deploying the batch executor costs");
    expect((await send(additions(31, 300))).mode).to.equal("none");
    const many = await send(additions(32, 10));
    expect(many.mode).to.equal("7702");
    expect(many.transactions.map(({ calls }) => calls)).to.deep.equal([0, 32]);
  });

  it("pays for no executor before a simulation of the first call to each contract", async () => {
    const { client, owner, stranger, composeHash } = dstack;
    const foreign = await deployAppOf(dstack, stranger.address);
    const nonce = await getTransactionCount(client, { address: owner.address });
    const calls = [...additions(40), removeComposeHashCall({ appId: foreign, composeHash })];
    expect(await rejection(send(calls))).to.be.instanceOf(NotOwnerError);
    expect(await getTransactionCount(client, { address: owner.address })).to.equal(nonce);
    expect(await codeOf(batchExecutorAddress)).to.equal(undefined);
  });

  it("refuses an executor without its code, and an account with other code", async () => {
    const { owner } = dstack;
    const executor: Address = `0x${"77".repeat(20)}`;
    const absent = await rejection(send(additions(2), { mode: "7702", executor }));
    expect(absent).to.be.instanceOf(DelegationUnsupportedError);
    expect((absent as Error).message).to.contain(executor);
    await connection.networkHelpers.setCode(owner.address, "0x00");
    expect(await rejection(send(additions(2), { mode: "7702" }))).to.be.instanceOf(DelegationUnsupportedError);
    expect(await codeOf(owner.address)).to.equal("0x00");
  });

  it("sends nothing to an address without code", async () => {
    const { client, owner } = dstack;
    await send(additions(2), { mode: "7702" });
    const nonce = await getTransactionCount(client, { address: owner.address });
    const [composeHash] = hashes(1, 9);
    if (composeHash === undefined) throw new Error("asked for one");
    const nowhere = addComposeHashCall({ appId: parseAppId("77".repeat(20)), composeHash });
    expect(await rejection(send([...additions(2, 5), nowhere], { mode: "7702" }))).to.be.instanceOf(NoContractError);
    expect(await getTransactionCount(client, { address: owner.address })).to.equal(nonce);
  });

  describe("by the node's own estimate", () => {
    /** A node that estimates so much for a batch of so many calls; undefined: what it really takes. */
    function estimating(estimate: (calls: number) => bigint | undefined) {
      return interceptedClient(connection, {
        intercept: ({ method, params }, pass) => {
          if (method !== "eth_estimateGas") return pass();
          const { data = "" } = Object(params?.[0]) as { data?: string };
          const gas = estimate(countCalls(data));
          return gas === undefined ? pass() : Promise.resolve(`0x${gas.toString(16)}`);
        },
      }).client;
    }
    const countCalls = (data: string) => data.split(additions(1)[0]?.data.slice(2, 10) ?? "").length - 1;

    it("halves a batch that does not fit, and keeps every call", async () => {
      await send(additions(2, 100), { mode: "7702" });
      const client = estimating((calls) => (calls > 2 ? 290_000n * BigInt(calls) : undefined));
      const calls = additions(5);
      const result = await sendBatch(client, { calls, account: dstack.owner, mode: "7702", gasCeiling: 700_000n });
      expect(result.transactions.map((transaction) => transaction.calls)).to.deep.equal([2, 1, 2]);
      expect(result.calls.map(({ status }) => status)).to.deep.equal(Array(5).fill("done"));
      for (const added of hashes(5)) expect(await isAllowed(added)).to.equal(true);
    });

    it("adds a margin to the estimate, up to the gas limit", async () => {
      await send(additions(2, 100), { mode: "7702" });
      const limitAt = async (estimate: bigint, from: number) => {
        const client = estimating(() => estimate);
        const calls = additions(2, from);
        const { transactions } = await sendBatch(client, {
          calls,
          account: dstack.owner,
          mode: "7702",
          gasCeiling: 600_000n,
        });
        const hash = transactions[0]?.transactionHash ?? "0x";
        return (await getTransaction(client, { hash })).gas;
      };
      expect(await limitAt(300_000n, 0)).to.equal(360_000n);
      expect(await limitAt(550_000n, 2)).to.equal(600_000n);
    });

    it("does not use an estimate without the authorisation, for each number of calls", async () => {
      const { owner } = dstack;
      await send(additions(2, 100), { mode: "7702" });
      await undoDelegation(dstack.client, { account: owner });
      const forgetful = interceptedClient(connection, {
        intercept: ({ method, params = [] }, pass) => {
          if (method !== "eth_estimateGas") return pass();
          const { authorizationList: _, ...call } = Object(params[0]) as Record<string, unknown>;
          return connection.provider.request({ method, params: [call, ...params.slice(1)] });
        },
      });
      for (const count of [2, 40]) {
        const asked = sendBatch(forgetful.client, { calls: additions(count), account: owner, mode: "7702" });
        expect(await rejection(asked)).to.be.instanceOf(DelegationUnsupportedError);
      }
    });

    it("does not use an impossible estimate", async () => {
      const { owner } = dstack;
      await send(additions(2, 100), { mode: "7702" });
      await undoDelegation(dstack.client, { account: owner });
      const nonce = await getTransactionCount(dstack.client, { address: owner.address });
      // A transfer with this much calldata.
      const client = estimating((calls) => (calls > 1 ? 29_000n : undefined));
      const calls = additions(3);
      const asked = sendBatch(client, { calls, account: owner, mode: "7702" });
      expect(await rejection(asked)).to.be.instanceOf(DelegationUnsupportedError);
      expect(await getTransactionCount(dstack.client, { address: owner.address })).to.equal(nonce);
      expect((await sendBatch(client, { calls, account: owner, allowDelegation: true })).mode).to.equal("none");
    });
  });

  it("splits a batch that is too large for one transaction", async () => {
    await send(additions(2, 100), { mode: "7702" });
    const result = await send(additions(40), { gasCeiling: 1_000_000n });
    expect(result.transactions.length).to.be.within(2, 4);
    expect(result.transactions.reduce((sum, { calls }) => sum + calls, 0)).to.equal(40);
    for (const { gasUsed } of result.transactions) expect(gasUsed < 1_000_000n).to.equal(true);
  });

  it("sends nothing when one call would revert, and reports that call's error", async () => {
    const { client, owner, stranger, composeHash } = dstack;
    await send(additions(2), { mode: "7702" });
    const nonce = await getTransactionCount(client, { address: owner.address });
    const foreign = await deployAppOf(dstack, stranger.address);
    const calls = [...additions(2, 5), removeComposeHashCall({ appId: foreign, composeHash })];
    const error = await rejection(send(calls, { mode: "7702" }));
    expect(error).to.be.instanceOf(NotOwnerError).and.not.instanceOf(ContractOwnerError);
    expect((error as NotOwnerError).context).to.include({ contract: foreign });
    expect(await getTransactionCount(client, { address: owner.address })).to.equal(nonce);
  });

  it("never replaces a delegation to another contract", async () => {
    const { client, owner } = dstack;
    const foreign: Address = `0x${"77".repeat(20)}`;
    await connection.networkHelpers.setCode(foreign, "0x00"); // code of its own, and not the executor's
    await delegate(foreign);
    const error = await rejection(send(additions(40), { mode: "7702" }));
    expect(error).to.be.instanceOf(ForeignDelegationError);
    expect((error as ForeignDelegationError).context).to.include({ delegate: foreign });
    const chosen = await send(additions(40));
    expect(chosen.mode).to.equal("none");
    expect(chosen.reason).to.contain(foreign);
    expect(await codeOf(owner.address)).to.equal(concat(["0xef0100", foreign]));

    expect(await rejection(undoDelegation(client, { account: owner }))).to.be.instanceOf(ForeignDelegationError);
    const another = undoDelegation(client, { account: owner, delegate: batchExecutorAddress });
    expect(await rejection(another)).to.be.instanceOf(ForeignDelegationError);
    expect(await undoDelegation(client, { account: owner, delegate: foreign })).to.include({ previous: foreign });
    expect(await codeOf(owner.address)).to.equal(undefined);

    async function delegate(to: Address): Promise<void> {
      const nonce = await getTransactionCount(client, { address: owner.address });
      const authorization = await owner.signAuthorization?.({ address: to, chainId: base.id, nonce: nonce + 1 });
      if (authorization === undefined) throw new Error("a local account signs");
      await sendTransaction(client, {
        account: owner,
        chain: base,
        to: zeroAddress,
        authorizationList: [authorization],
      });
    }
  });

  it("ends its own delegation once", async () => {
    const { client, owner } = dstack;
    expect(await undoDelegation(client, { account: owner })).to.equal(undefined);
    await send(additions(2), { mode: "7702" });
    const before = await getBalance(client, { address: owner.address });
    const undone = await undoDelegation(client, { account: owner });
    expect(undone?.previous).to.equal(batchExecutorAddress);
    expect(await getBalance(client, { address: owner.address })).to.equal(before - (undone?.transaction.costWei ?? 0n));
    expect(await codeOf(owner.address)).to.equal(undefined);
    expect(await undoDelegation(client, { account: owner })).to.equal(undefined);
    expect((await send(additions(2, 2), { mode: "7702" })).transactions).to.have.length(1);
  });

  it("ends a delegation only after the recorded transactions have ended", async () => {
    const { client, owner } = dstack;
    await send(additions(2), { mode: "7702" });
    const ledger = memoryLedger();
    const open = () => ledger.transactions({ states: ["open"] });
    const crash = new Error("crash");
    const crashing = crashingOnceRecorded(ledger, crash);
    expect(await rejection(send(additions(2, 2), { mode: "7702", ledger: crashing }))).to.equal(crash);
    expect(open()).to.have.length(1);
    expect(await undoDelegation(client, { account: owner, ledger })).to.include({ previous: batchExecutorAddress });
    expect(open()).to.deep.equal([]);
    for (const added of hashes(2, 2)) expect(await isAllowed(added)).to.equal(true);
    expect(await codeOf(owner.address)).to.equal(undefined);
  });

  it("says that the delegation cannot be ended, where the key is with the node", async () => {
    await send(additions(2), { mode: "7702" });
    const account = dstack.owner.address;
    const error = await rejection(undoDelegation(dstack.client, { account }));
    expect(error).to.be.instanceOf(DelegationUnsupportedError);
    const { message, nextStep } = error as DelegationUnsupportedError;
    expect(message).to.match(/^The delegation cannot be ended: the key that must sign/);
    expect(nextStep).to.not.include("mode");
  });

  it("authorises only the executor's own code", async () => {
    const { owner } = dstack;
    await connection.networkHelpers.setCode(batchExecutorAddress, "0x00");
    expect(await rejection(send(additions(40)))).to.be.instanceOf(ExecutorMismatchError);
    expect(await rejection(send(additions(2), { mode: "7702" }))).to.be.instanceOf(ExecutorMismatchError);
    expect(await codeOf(owner.address)).to.equal(undefined);
    expect((await send(additions(2), { mode: "none" })).transactions).to.have.length(2);
  });

  it("signs only for this chain, and only with a key of this process", async () => {
    const { client, appId } = dstack;
    const [wallet] = await connection.viem.getWalletClients();
    if (wallet === undefined) throw new Error("Hardhat's chain has accounts");
    const { address } = wallet.account;
    const error = await rejection(send(additions(2), { mode: "7702", account: address }));
    expect(error).to.be.instanceOf(DelegationUnsupportedError);
    const own = await deployAppOf(dstack, address);
    const calls = hashes(30).map((composeHash) => addComposeHashCall({ appId: own, composeHash }));
    const chosen = await sendBatch(client, { calls, account: address, allowDelegation: true });
    expect(chosen).to.include({ mode: "none" });
    expect(chosen.transactions).to.have.length(30);

    const sent: string[] = [];
    const watching = interceptedClient(connection, {
      intercept: ({ method, params }, pass) => {
        if (method === "eth_sendRawTransaction") sent.push(String(params?.[0]));
        return pass();
      },
    });
    await sendBatch(watching.client, { calls: additions(2), account: dstack.owner, mode: "7702" });
    const delegating = sent.find((raw) => raw.startsWith("0x04"));
    if (delegating === undefined) throw new Error("one transaction delegates");
    // Authorisation tuple: list of one, chain id 8453, the executor.
    expect(delegating).to.contain(`822105${"94"}${batchExecutorAddress.slice(2)}`);
    expect(await readAllowlist(client, { appId, composeHash: hashes(1)[0] })).to.include({ composeHashAllowed: true });
  });

  it("falls back with auto when the node refuses the type, and reports it with 7702", async () => {
    const { client, owner } = dstack;
    await send(additions(2, 200), { mode: "7702" });
    await undoDelegation(client, { account: owner });
    const old = interceptedClient(connection, {
      intercept: ({ method, params }, pass) =>
        method === "eth_sendRawTransaction" && String(params?.[0]).startsWith("0x04")
          ? Promise.reject(rpcError(-32000, "transaction type not supported"))
          : pass(),
    });
    const ledger = memoryLedger();
    const asked = sendBatch(old.client, { calls: additions(3), account: owner, mode: "7702", ledger });
    expect(await rejection(asked)).to.be.instanceOf(DelegationUnsupportedError);
    expect(ledger.transactions({ states: ["open"] })).to.deep.equal([]);
    const events: BatchEvent[] = [];
    const left = await sendBatch(old.client, {
      calls: additions(3),
      account: owner,
      allowDelegation: true,
      ledger,
      onEvent: (event) => events.push(event),
    });
    expect(left.mode).to.equal("none");
    expect(left.reason).to.contain("refuses");
    expect(left.calls.map(({ status }) => status)).to.deep.equal(["done", "done", "done"]);
    expect(events.flatMap((event) => (event.kind === "chosen" ? [event.mode] : []))).to.deep.equal(["7702", "none"]);
  });

  it("finds its transaction after the answer to the broadcast was lost", async () => {
    const { client, owner, composeHash, appId } = dstack;
    await send(additions(2, 200), { mode: "7702" });
    await undoDelegation(client, { account: owner });
    const ledger = memoryLedger();
    let isDown = false;
    const flaky = interceptedClient(connection, {
      intercept: async ({ method }, pass) => {
        if (method === "eth_sendRawTransaction") {
          await pass();
          isDown = true;
        }
        if (isDown) throw rpcError(-32000, "down");
        return pass();
      },
    });
    const calls = [...additions(3), removeComposeHashCall({ appId, composeHash })];
    const lost = await rejection(
      sendBatch(flaky.client, { calls, account: owner, ledger, mode: "7702", timeoutMs: 300 }),
    );
    expect(lost).to.be.instanceOf(BatchStoppedError);
    expect((lost as BatchStoppedError).context).to.deep.equal({ done: 0, pending: 4, total: 4 });
    const nonce = await getTransactionCount(client, { address: owner.address });

    const result = await send(calls, { ledger, mode: "7702" });
    expect(result.transactions.map(({ isFromRecord }) => isFromRecord)).to.deep.equal([true]);
    expect(result.calls.map(({ status }) => status)).to.deep.equal(Array(4).fill("done"));
    expect(await getTransactionCount(client, { address: owner.address })).to.equal(nonce);
    // The next nonce is the one after the authorisation's.
    expect((await send(additions(2, 50), { ledger })).calls).to.have.length(2);
  });

  it("checks again before it authorises, and stops for a new delegation to another contract", async () => {
    const { client, owner } = dstack;
    await send(additions(2, 200), { mode: "7702" });
    await undoDelegation(client, { account: owner });
    const nonce = await getTransactionCount(client, { address: owner.address });
    let looks = 0;
    const racing = interceptedClient(connection, {
      intercept: ({ method, params }, pass) => {
        const isLook = method === "eth_getCode" && String(params?.[0]).toLowerCase() === owner.address.toLowerCase();
        if (isLook) looks += 1;
        return isLook && looks > 1 ? Promise.resolve(`0xef0100${"77".repeat(20)}`) : pass();
      },
    });
    const stopped = sendBatch(racing.client, { calls: additions(3), account: owner, mode: "7702" });
    expect(await rejection(stopped)).to.be.instanceOf(ForeignDelegationError);
    expect(await getTransactionCount(client, { address: owner.address })).to.equal(nonce);
  });

  it("signs no authorisation that was not planned, even when the account no longer delegates", async () => {
    const { client, owner } = dstack;
    await send(additions(2, 200), { mode: "7702" });
    const plan = await planBatch(client, { calls: additions(3), account: owner });
    expect(plan.delegation).to.include({ executor: batchExecutorAddress, authorizes: false, deploys: false });
    await undoDelegation(client, { account: owner });
    const watching = interceptedClient(connection, {
      intercept: ({ method, params }, pass) => {
        expect(Object(params?.[0])).to.not.have.property("authorizationList");
        if (method === "eth_sendRawTransaction") expect(String(params?.[0])).to.match(/^0x02/);
        return pass();
      },
    });
    const result = await sendBatch(watching.client, { calls: additions(3), account: owner, plan });
    expect(result.mode, "as the plan says it falls back").to.equal("none");
    expect(await codeOf(owner.address)).to.equal(undefined);
  });

  it("counts the nonce of its authorisation, although the endpoint returns the old one", async () => {
    const { client, owner } = dstack;
    await send(additions(2, 200), { mode: "7702" });
    await undoDelegation(client, { account: owner });
    const nonce = await getTransactionCount(client, { address: owner.address });
    const stale = interceptedClient(connection, {
      intercept: ({ method }, pass) =>
        method === "eth_getTransactionCount" ? Promise.resolve(`0x${nonce.toString(16)}`) : pass(),
    });
    const result = await sendBatch(stale.client, {
      calls: additions(40),
      account: owner,
      mode: "7702",
      gasCeiling: 1_000_000n,
    });
    expect(result.calls.every(({ status }) => status === "done")).to.equal(true);
    expect(await getTransactionCount(client, { address: owner.address })).to.equal(
      nonce + 1 + result.transactions.length,
    );
  });

  it("sends one by one without the deterministic-deployment proxy, and reports it with 7702", async () => {
    dstack = await connection.networkHelpers.loadFixture(deployWithoutProxy);
    const { client, owner } = dstack;
    const nonce = await getTransactionCount(client, { address: owner.address });
    const asked = await rejection(send(additions(2), { mode: "7702" }));
    expect(asked).to.be.instanceOf(DelegationUnsupportedError);
    expect((asked as Error).message).to.contain(deterministicDeployer);
    expect(await getTransactionCount(client, { address: owner.address })).to.equal(nonce);
    const left = await send(additions(40));
    expect(left.mode).to.equal("none");
    expect(left.reason).to.contain("this chain has neither").and.not.match(/\.$/);
    expect(await codeOf(owner.address)).to.equal(undefined);
  });

  it("uses an executor at another address only when the caller names it", async () => {
    const { client, owner } = dstack;
    await send(additions(2, 100), { mode: "7702" });
    await undoDelegation(client, { account: owner });
    const executor: Address = `0x${"77".repeat(20)}`;
    await connection.networkHelpers.setCode(executor, (await codeOf(batchExecutorAddress)) ?? "0x");
    await send(additions(2), { mode: "7702", executor });
    expect(await codeOf(owner.address)).to.equal(concat(["0xef0100", executor]));
    expect(await rejection(send(additions(2, 50), { mode: "7702" }))).to.be.instanceOf(ForeignDelegationError);
    expect((await send(additions(2, 60), { executor })).transactions).to.have.length(1);
    expect(await rejection(undoDelegation(client, { account: owner }))).to.be.instanceOf(ForeignDelegationError);
    expect(await undoDelegation(client, { account: owner, delegate: executor })).to.include({ previous: executor });
  });

  it("reports an owner that is a contract before it sends anything", async () => {
    const safe = dstack.kms; // any contract
    const owned = await deployAppOf(dstack, safe);
    const calls = hashes(30).map((composeHash) => addComposeHashCall({ appId: owned, composeHash }));
    for (const mode of ["auto", "none", "7702"] as const)
      expect(await rejection(send(calls, { mode })), mode).to.be.instanceOf(ContractOwnerError);
    const poor = privateKeyToAccount(generatePrivateKey());
    expect(await rejection(send(calls, { account: poor }))).to.be.instanceOf(ContractOwnerError);
  });
});
