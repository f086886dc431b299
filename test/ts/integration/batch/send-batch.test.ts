import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { createClient, custom, zeroHash } from "viem";
import { getBalance, getTransactionCount, sendTransaction } from "viem/actions";
import { base } from "viem/chains";
import { planBatch } from "../../../../src/batch/plan-batch.ts";
import type { BatchEvent, BatchResult } from "../../../../src/batch/run.ts";
import { type SendBatchParameters, sendBatch } from "../../../../src/batch/send-batch.ts";
import { readAllowlist, readOwnership } from "../../../../src/chain/read-app.ts";
import { readChainIdentity } from "../../../../src/chain/transactions/chain-identity.ts";
import { type Ledger, memoryLedger } from "../../../../src/chain/transactions/ledger.ts";
import { lastAttempt } from "../../../../src/chain/transactions/ledger-records.ts";
import type { PreparedTransaction } from "../../../../src/chain/transactions/prepare.ts";
import { type ComposeHash, parseAppId, parseComposeHash, parseDeviceId } from "../../../../src/core/ids.ts";
import { addOsImageHashCall } from "../../../../src/core/kms-owner-calls.ts";
import {
  acceptOwnershipCall,
  addComposeHashCall,
  addDeviceCall,
  disableUpgradesCall,
  type OwnerCall,
  removeComposeHashCall,
  removeDeviceCall,
  setAllowAnyDeviceCall,
  transferOwnershipCall,
} from "../../../../src/core/owner-calls.ts";
import {
  BatchStoppedError,
  ImplausibleAnswerError,
  InsufficientFundsError,
  InvalidArgumentError,
  NoContractError,
  NoEffectError,
  NonceTakenError,
  NotOwnerError,
  ReceiptMismatchError,
  SignerRequiredError,
  TransactionRevertedError,
  WrongChainError,
} from "../../../../src/errors/index.ts";
import { answeringCode } from "../../../support/chain/answering-code.ts";
import { type Dstack, deployAppOf, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { interceptedClient, rpcError } from "../../../support/chain/intercepted-client.ts";
import { crashingOnceRecorded, hookedLedger } from "../../../support/ledger/crashing-ledger.ts";
import { putRecord, signRecord } from "../../../support/ledger/signed-record.ts";
import { rejection } from "../../../support/rejection.ts";

function hashes(count: number): ComposeHash[] {
  return Array.from({ length: count }, (_, index) => parseComposeHash((0xa000 + index).toString(16).repeat(16)));
}

function openIn(ledger: Ledger) {
  return ledger.transactions({ states: ["open"] });
}

describe("sendBatch, one transaction per call", () => {
  let connection: NetworkConnection;
  let dstack: Dstack;

  before(async () => {
    connection = await network.create("local");
  });

  beforeEach(async () => {
    dstack = await connection.networkHelpers.loadFixture(deployDstack);
  });

  function send(calls: readonly OwnerCall[], more: Partial<SendBatchParameters> = {}): Promise<BatchResult> {
    return sendBatch(dstack.client, { calls, mode: "none", account: dstack.owner, ...more });
  }

  function additions(count: number): OwnerCall[] {
    return hashes(count).map((composeHash) => addComposeHashCall({ appId: dstack.appId, composeHash }));
  }

  async function isAllowed(composeHash: ComposeHash): Promise<boolean | undefined> {
    return (await readAllowlist(dstack.client, { appId: dstack.appId, composeHash })).composeHashAllowed;
  }

  it("makes every call of app and KMS, and reports the exact cost", async () => {
    const { client, appId, kms, owner, composeHash, deviceId } = dstack;
    const before = await getBalance(client, { address: owner.address });
    const result = await send([
      removeComposeHashCall({ appId, composeHash }),
      removeDeviceCall({ appId, deviceId }),
      ...additions(2),
      addDeviceCall({ appId, deviceId: parseDeviceId("d1".repeat(32)) }),
      setAllowAnyDeviceCall({ appId, allowAny: true }),
      addOsImageHashCall({ kms, osImageHash: `0x${"15".repeat(32)}` }),
    ]);
    expect(result.mode).to.equal("none");
    expect(result.calls.map(({ status }) => status)).to.deep.equal(Array(7).fill("done"));
    expect(result.calls.map(({ call }) => call.functionName)).to.deep.equal([
      "addComposeHash",
      "addComposeHash",
      "addDevice",
      "setAllowAnyDevice",
      "addOsImageHash",
      "removeComposeHash",
      "removeDevice",
    ]);
    expect(result.transactions).to.have.length(7);
    expect(await getBalance(client, { address: owner.address })).to.equal(before - result.costWei);
    expect(await readAllowlist(client, { appId, composeHash, deviceId })).to.include({
      composeHashAllowed: false,
      deviceListed: false,
      allowAnyDevice: true,
    });
  });

  it("accepts the ownership before other changes", async () => {
    const { client, appId, stranger } = dstack;
    await send([transferOwnershipCall({ appId, newOwner: stranger.address })]);
    const result = await send([...additions(1), acceptOwnershipCall({ appId })], { account: stranger });
    expect(result.calls.map(({ call }) => call.functionName)).to.deep.equal(["acceptOwnership", "addComposeHash"]);
    expect((await readOwnership(client, { appId })).owner).to.equal(stranger.address);
  });

  it("shows every transaction before it is sent, and sends none when that fails", async () => {
    const seen: PreparedTransaction[] = [];
    const full = new Error("disk full");
    const ledger = memoryLedger();
    const failing = send(additions(3), {
      ledger,
      beforeSend: (prepared) => {
        seen.push(prepared);
        if (seen.length === 1) throw full;
      },
    });
    expect(await rejection(failing)).to.equal(full);
    expect(seen).to.have.length(1);
    expect(openIn(ledger), "what may not leave is not on record, or the next run would send it").to.deep.equal([]);
    const { client, owner } = dstack;
    expect(await getTransactionCount(client, { address: owner.address })).to.equal(seen[0]?.nonce);
  });

  it("refuses the batch when one call would change nothing", async () => {
    const { client, appId, owner, composeHash } = dstack;
    const [absent] = hashes(1);
    if (absent === undefined) throw new Error("asked for one");
    const nonce = await getTransactionCount(client, { address: owner.address });
    const idle = [addComposeHashCall({ appId, composeHash }), removeComposeHashCall({ appId, composeHash: absent })];
    const error = await rejection(send([...idle, setAllowAnyDeviceCall({ appId, allowAny: true })]));
    expect(error).to.be.instanceOf(NoEffectError);
    expect((error as NoEffectError).context.calls).to.deep.equal(
      idle.map(({ to, description }) => ({ to, description })),
    );
    expect(await getTransactionCount(client, { address: owner.address })).to.equal(nonce);
    expect((await send(idle, { allowNoEffect: true })).transactions).to.have.length(2);
  });

  it("names each of many calls that would change nothing", async () => {
    const { appId } = dstack;
    const idle = hashes(505).map((composeHash) => removeComposeHashCall({ appId, composeHash }));
    const error = await rejection(send(idle));
    expect(error).to.be.instanceOf(NoEffectError);
    expect((error as NoEffectError).context.calls).to.have.length(505);
  });

  it("refuses calls that contradict or repeat each other", async () => {
    const { appId } = dstack;
    const [composeHash] = hashes(1);
    if (composeHash === undefined) throw new Error("asked for one");
    const add = addComposeHashCall({ appId, composeHash });
    for (const calls of [
      [add, add],
      [add, removeComposeHashCall({ appId, composeHash })],
      [setAllowAnyDeviceCall({ appId, allowAny: true }), setAllowAnyDeviceCall({ appId, allowAny: false })],
    ]) {
      expect(await rejection(send(calls))).to.be.instanceOf(InvalidArgumentError);
    }
  });

  it("refuses strangers, other chains, empty addresses, missing keys and missing funds before it sends", async () => {
    const { client, appId, stranger } = dstack;
    const [composeHash] = hashes(1);
    if (composeHash === undefined) throw new Error("asked for one");
    expect(await rejection(send(additions(2), { account: stranger }))).to.be.instanceOf(NotOwnerError);
    expect(await rejection(send(additions(2), { chainId: 1 }))).to.be.instanceOf(WrongChainError);
    expect(await rejection(sendBatch(client, { calls: additions(1) }))).to.be.instanceOf(SignerRequiredError);
    const nowhere = addComposeHashCall({ appId: `0x${"77".repeat(20)}` as typeof appId, composeHash });
    expect(await rejection(send([nowhere]))).to.be.instanceOf(NoContractError);
    await connection.networkHelpers.setBalance(dstack.owner.address, 1n);
    expect(await rejection(send(additions(2)))).to.be.instanceOf(InsufficientFundsError);
  });

  it("sends nothing when the balance is too low for the whole batch", async () => {
    const { client, owner } = dstack;
    const { address } = owner;
    const [first] = additions(9);
    if (first === undefined) throw new Error("asked for nine");
    const { costWei } = await send([first]);
    const nonce = await getTransactionCount(client, { address });
    // Enough for some of the eight, even if a node demands more than the cost of each.
    await connection.networkHelpers.setBalance(address, costWei * 5n);
    expect(await rejection(send(additions(9).slice(1)))).to.be.instanceOf(InsufficientFundsError);
    expect(await getTransactionCount(client, { address })).to.equal(nonce);
  });

  it("makes the same call on several contracts", async () => {
    const other = await deployAppOf(dstack, dstack.owner.address);
    const [composeHash] = hashes(1);
    if (composeHash === undefined) throw new Error("asked for one");
    const calls = [dstack.appId, other].map((appId) => addComposeHashCall({ appId, composeHash }));
    const result = await send(calls);
    expect(result.calls.map(({ call, status }) => [call.to, status])).to.deep.equal([
      [dstack.appId, "done"],
      [other, "done"],
    ]);
    for (const appId of [dstack.appId, other])
      expect((await readAllowlist(dstack.client, { appId, composeHash })).composeHashAllowed).to.equal(true);
    // On one of them it would change nothing now.
    const idle = removeComposeHashCall({ appId: other, composeHash: dstack.composeHash });
    await send([idle]);
    const both = [dstack.appId, other].map((appId) =>
      removeComposeHashCall({ appId, composeHash: dstack.composeHash }),
    );
    const error = await rejection(send(both));
    expect((error as NoEffectError).context.calls).to.deep.equal([{ to: other, description: idle.description }]);
  });

  it("uses nonces after the account's pending transactions", async () => {
    const { client, owner, stranger } = dstack;
    const { provider, networkHelpers } = connection;
    await provider.request({ method: "evm_setAutomine", params: [false] });
    const nonces: number[] = [];
    try {
      const nonce = await getTransactionCount(client, { address: owner.address });
      await sendTransaction(client, { account: owner, chain: base, to: stranger.address, value: 1n });
      await send(additions(2), {
        beforeSend: (prepared) => void nonces.push(prepared.nonce),
        onEvent: ({ kind }) => (kind === "sent" && nonces.length === 2 ? void networkHelpers.mine() : undefined),
      });
      expect(nonces).to.deep.equal([nonce + 1, nonce + 2]);
    } finally {
      await provider.request({ method: "evm_setAutomine", params: [true] });
    }
  });

  it("reports a recorded transaction that is pending as neither done nor unsent", async () => {
    const { client, owner } = dstack;
    const ledger = memoryLedger();
    const crash = new Error("crash");
    const calls = additions(2);
    await rejection(send(calls, { ledger: crashingOnceRecorded(ledger, crash) }));
    await connection.provider.request({ method: "evm_setAutomine", params: [false] });
    const stopped = await rejection(send(calls, { ledger, timeoutMs: 100 })).finally(() =>
      connection.provider.request({ method: "evm_setAutomine", params: [true] }),
    );
    expect(stopped).to.be.instanceOf(BatchStoppedError);
    expect((stopped as BatchStoppedError).context).to.deep.equal({ done: 0, pending: 1, total: 2 });
    expect(openIn(ledger)).to.have.length(1);
    await connection.networkHelpers.mine();
    const nonce = await getTransactionCount(client, { address: owner.address });
    expect((await send(calls, { ledger })).transactions.map(({ isFromRecord }) => isFromRecord)).to.deep.equal([
      true,
      false,
    ]);
    expect(await getTransactionCount(client, { address: owner.address })).to.equal(nonce + 1);
  });

  it("uses only records of its own account and chain", async () => {
    const { client, owner, appId } = dstack;
    const ledger = memoryLedger();
    const [call] = additions(1);
    if (call === undefined) throw new Error("asked for one");
    const { chain } = await readChainIdentity(client, base.id);
    // Of another chain, and of another account: both stay where they are.
    const foreign = await signRecord({ calls: [call], ...call });
    putRecord(ledger, foreign, { calls: [call], chain: "8453" });
    putRecord(ledger, foreign, { calls: [call], chain });
    await send([], { ledger });
    expect(openIn(ledger)).to.have.length(2);
    const nonce = await getTransactionCount(client, { address: owner.address });

    // Its own is known in any letter case.
    const crash = new Error("crash");
    await rejection(send([call], { ledger: crashingOnceRecorded(ledger, crash) }));
    await send([], { ledger, account: { ...owner, address: `0x${owner.address.slice(2).toLowerCase()}` } });
    expect(openIn(ledger)).to.have.length(2);
    expect(await getTransactionCount(client, { address: owner.address })).to.equal(nonce + 1);
    expect((await readAllowlist(client, { appId, composeHash: hashes(1)[0] })).composeHashAllowed).to.equal(true);
  });

  it("has at most a window of pending transactions, with consecutive nonces", async () => {
    const { provider, networkHelpers } = connection;
    await provider.request({ method: "evm_setAutomine", params: [false] });
    const events: BatchEvent[] = [];
    const nonces: number[] = [];
    let waiting = 0;
    let most = 0;
    await send(additions(9), {
      window: 3,
      beforeSend: ({ nonce }) => void nonces.push(nonce),
      onEvent: (event) => {
        events.push(event);
        waiting += event.kind === "sent" ? 1 : event.kind === "mined" ? -1 : 0;
        most = Math.max(most, waiting);
        const isLast = nonces.length === 9;
        if (event.kind === "sent" && (waiting === 3 || isLast)) void networkHelpers.mine();
      },
    }).finally(() => provider.request({ method: "evm_setAutomine", params: [true] }));
    expect(nonces).to.deep.equal(nonces.map((_, index) => (nonces[0] ?? 0) + index));
    expect(most).to.equal(3);
    expect(events.filter(({ kind }) => kind === "mined")).to.have.length(9);
  });

  it("stops at a transaction that reverts, and reports the state of every call", async () => {
    const { appId, composeHash } = dstack;
    const refused = additions(4);
    // Between simulation and the third transaction the ownership moves on.
    let sent = 0;
    const mined: number[] = [];
    const ledger = memoryLedger();
    const stopped = await rejection(
      send([...refused, removeComposeHashCall({ appId, composeHash })], {
        window: 1,
        ledger,
        beforeSend: async () => {
          sent += 1;
          if (sent === 3) await moveOwnership();
        },
        onEvent: ({ kind }) => (kind === "mined" ? void mined.push(sent) : undefined),
      }),
    );
    expect(stopped).to.be.instanceOf(BatchStoppedError);
    const { cause, result, context } = stopped as BatchStoppedError<BatchResult>;
    expect(cause).to.be.instanceOf(TransactionRevertedError);
    expect(context).to.deep.equal({ done: 2, pending: 0, total: 5 });
    expect(result.calls.map(({ status }) => status)).to.deep.equal(["done", "done", "failed", "notSent", "notSent"]);
    expect(result.transactions).to.have.length(3);
    expect(mined, "told as mined").to.deep.equal([1, 2]);
    expect(openIn(ledger)).to.deep.equal([]);

    async function moveOwnership(): Promise<void> {
      const { owner, stranger } = dstack;
      const [{ slot }] = [{ slot: "0x9016d09d72d40fdae2fd8ceac6b6234c7706214fd39c1cd1e609a0528c199300" }] as const;
      expect((await readOwnership(dstack.client, { appId })).owner).to.equal(owner.address);
      await connection.networkHelpers.setStorageAt(appId, slot, stranger.address);
    }
  });

  it("sends the records of an earlier run again, and nothing twice", async () => {
    const { client, owner, connection } = dstack;
    const ledger = memoryLedger();
    const calls = additions(4);
    let broadcasts = 0;
    // The node takes the second transaction and its answer is lost; the third never arrives.
    const flaky = interceptedClient(connection, {
      intercept: async ({ method }, pass) => {
        if (method !== "eth_sendRawTransaction")
          return broadcasts < 2 ? pass() : Promise.reject(rpcError(-32000, "down"));
        broadcasts += 1;
        if (broadcasts === 1) return pass();
        if (broadcasts === 2) await pass();
        throw rpcError(-32000, "down");
      },
    });
    const nonce = await getTransactionCount(client, { address: owner.address });
    const stopped = await rejection(
      sendBatch(flaky.client, { calls, mode: "none", account: owner, ledger, timeoutMs: 200, window: 1 }),
    );
    expect(stopped).to.be.instanceOf(BatchStoppedError);
    expect((stopped as BatchStoppedError).context).to.deep.equal({ done: 1, pending: 1, total: 4 });
    expect(openIn(ledger)).to.have.length(1);

    const result = await send(calls.slice(1), { ledger });
    expect(result.transactions.map(({ isFromRecord }) => isFromRecord)).to.deep.equal([true, false, false]);
    expect(result.calls.map(({ status }) => status)).to.deep.equal(["done", "done", "done"]);
    expect(openIn(ledger)).to.deep.equal([]);
    expect(await getTransactionCount(client, { address: owner.address })).to.equal(nonce + 4);
    for (const composeHash of hashes(4)) expect(await isAllowed(composeHash)).to.equal(true);
  });

  it("completes several recorded transactions", async () => {
    const { client, owner } = dstack;
    const { provider, networkHelpers } = connection;
    const ledger = memoryLedger();
    const calls = additions(3);
    const killed = new Error("killed");
    const forgetting = hookedLedger(ledger, {
      before: (method) => {
        if (method === "setState") throw killed;
      },
    });
    let sent = 0;
    const onEvent = ({ kind }: BatchEvent) => {
      if (kind === "sent") sent += 1;
      if (kind === "sent" && sent === 3) void networkHelpers.mine();
    };
    await provider.request({ method: "evm_setAutomine", params: [false] });
    const stopped = await rejection(send(calls, { ledger: forgetting, onEvent })).finally(() =>
      provider.request({ method: "evm_setAutomine", params: [true] }),
    );
    expect(stopped).to.be.instanceOf(BatchStoppedError);
    expect(openIn(ledger)).to.have.length(3);
    const nonce = await getTransactionCount(client, { address: owner.address });

    const result = await send(calls, { ledger });
    expect(result.transactions.map(({ isFromRecord }) => isFromRecord)).to.deep.equal([true, true, true]);
    expect(result.calls.map(({ status }) => status)).to.deep.equal(["done", "done", "done"]);
    expect(openIn(ledger)).to.deep.equal([]);
    expect(await getTransactionCount(client, { address: owner.address })).to.equal(nonce);
  });

  it("gives up a recorded transaction whose nonce another one has used", async () => {
    const { client, owner } = dstack;
    const ledger = memoryLedger();
    const calls = additions(1);
    const crash = new Error("crash");
    expect(await rejection(send(calls, { ledger: crashingOnceRecorded(ledger, crash) }))).to.equal(crash);
    expect(openIn(ledger)).to.have.length(1);
    await send(
      hashes(2)
        .slice(1)
        .map((composeHash) => addComposeHashCall({ appId: dstack.appId, composeHash })),
    );

    const nonce = await getTransactionCount(client, { address: owner.address });
    const result = await send(calls, { ledger });
    expect(result.transactions.map(({ isFromRecord }) => isFromRecord)).to.deep.equal([false]);
    expect(openIn(ledger)).to.deep.equal([]);
    expect(await getTransactionCount(client, { address: owner.address })).to.equal(nonce + 1);
  });

  describe("with a record of a node's key without a hash", () => {
    /** The node has signed and sent; the process dies before it writes the hash down. */
    async function crashOnceSent(isSent: boolean) {
      const [wallet] = await connection.viem.getWalletClients();
      if (wallet === undefined) throw new Error("Hardhat's chain has accounts");
      const { address } = wallet.account;
      const appId = await deployAppOf(dstack, address);
      const calls = [disableUpgradesCall({ appId })];
      const ledger = memoryLedger();
      const crash = new Error("crash");
      const onceSent = hookedLedger(ledger, {
        before: (method) => {
          if (method === "markSent") throw crash;
        },
      });
      const crashing = isSent ? onceSent : crashingOnceRecorded(ledger, crash);
      await rejection(send(calls, { account: address, ledger: crashing }));
      expect(openIn(ledger).map((one) => lastAttempt(one).transactionHash)).to.deep.equal([undefined]);
      const count = () => getTransactionCount(dstack.client, { address });
      const rerun = (client = dstack.client) => sendBatch(client, { calls, mode: "none", account: address, ledger });
      return { address, ledger, count, rerun };
    }

    it("finds the transaction by its nonce, and does not send the call a second time", async () => {
      const { ledger, count, rerun } = await crashOnceSent(true);
      await connection.networkHelpers.mine(7);
      const nonce = await count();
      const result = await rerun();
      expect(result.transactions.map(({ isFromRecord }) => isFromRecord)).to.deep.equal([true]);
      expect(result.calls.map(({ status }) => status)).to.deep.equal(["done"]);
      expect(await count()).to.equal(nonce);
      expect(openIn(ledger)).to.deep.equal([]);
    });

    it("stops when another transaction took the nonce, names it, and sends again only in the next run", async () => {
      const { address, ledger, count, rerun } = await crashOnceSent(false);
      const { client, stranger } = dstack;
      const other = await sendTransaction(client, { account: address, chain: base, to: stranger.address, value: 1n });
      const nonce = await count();
      const stopped = await rejection(rerun());
      expect(stopped).to.be.instanceOf(NonceTakenError);
      expect((stopped as NonceTakenError).message).to.contain(other);
      expect(await count()).to.equal(nonce);
      expect(openIn(ledger)).to.deep.equal([]);
      expect((await rerun()).calls.map(({ status }) => status)).to.deep.equal(["done"]);
      expect(await count()).to.equal(nonce + 1);
    });

    it("stops and keeps the record when the transaction cannot be found", async () => {
      const { ledger, count, rerun } = await crashOnceSent(true);
      const nonce = await count();
      const withoutOldStates = interceptedClient(connection, {
        intercept: ({ method, params }, pass) =>
          method === "eth_getTransactionCount" && !["latest", "pending"].includes(String(params?.[1]))
            ? Promise.reject(rpcError(-32000, "missing trie node"))
            : pass(),
      });
      const stopped = await rejection(rerun(withoutOldStates.client));
      expect((stopped as NonceTakenError).taker).to.deep.equal({ kind: "notFound" });
      expect(withoutOldStates.methods).to.not.include("eth_sendTransaction");
      expect(await count()).to.equal(nonce);
      expect(openIn(ledger)).to.have.length(1);
    });
  });

  it("signs no nonce far above the mined ones, or above the shown one", async () => {
    const { client, owner } = dstack;
    const nonce = await getTransactionCount(client, { address: owner.address });
    const counting = (tags: readonly string[], told: number) => {
      const raw: string[] = [];
      const { client } = interceptedClient(connection, {
        intercept: ({ method, params }, pass) => {
          if (method === "eth_sendRawTransaction") raw.push(String(params?.[0]));
          const isLie = method === "eth_getTransactionCount" && tags.includes(String(params?.[1]));
          return isLie ? Promise.resolve(`0x${told.toString(16)}`) : pass();
        },
      });
      return { client, raw };
    };
    const ahead = counting(["pending"], nonce + 1_000);
    const refused = await rejection(sendBatch(ahead.client, { calls: additions(1), account: owner }));
    expect(refused).to.be.instanceOf(ImplausibleAnswerError);
    const plan = await planBatch(client, { calls: additions(1), account: owner });
    expect(plan.nonce).to.equal(nonce);
    const later = counting(["pending", "latest"], nonce + 1_000);
    const stopped = await rejection(sendBatch(later.client, { calls: additions(1), account: owner, plan }));
    expect(stopped).to.be.instanceOf(ImplausibleAnswerError);
    expect([...ahead.raw, ...later.raw]).to.deep.equal([]);
    expect((await send(additions(1), { plan })).calls.map(({ status }) => status)).to.deep.equal(["done"]);
  });

  it("sends other calls while a nonce that a wrong count chose waits behind a gap", async () => {
    const { owner } = dstack;
    const ledger = memoryLedger();
    const { client } = interceptedClient(connection, {
      intercept: async ({ method }, pass) =>
        method === "eth_getTransactionCount" ? `0x${(Number(await pass()) + 1).toString(16)}` : pass(),
    });
    const [first, second] = additions(2) as [OwnerCall, OwnerCall];
    const wrong = { calls: [first], mode: "none", account: owner, ledger, timeoutMs: 100 } as const;
    const stopped = await rejection(sendBatch(client, wrong));
    expect(stopped).to.be.instanceOf(BatchStoppedError);
    const { cause, nextStep } = stopped as BatchStoppedError & { readonly cause: { readonly nextStep: string } };
    expect(nextStep).to.satisfy((text: string) => text.startsWith(cause.nextStep));
    expect(openIn(ledger)).to.have.length(1);
    expect((await send([second], { ledger })).calls.map(({ status }) => status)).to.deep.equal(["done"]);
    const { transactions } = await send([first], { ledger });
    expect(transactions.map(({ isFromRecord }) => isFromRecord)).to.deep.equal([true]);
  });

  it("signs for no more gas than a call can use, and names the figures", async () => {
    const { client } = interceptedClient(connection, {
      intercept: ({ method }, pass) => (method === "eth_estimateGas" ? Promise.resolve("0x1312d00") : pass()),
    });
    const refused = await rejection(sendBatch(client, { calls: additions(1), account: dstack.owner }));
    expect(refused).to.be.instanceOf(ImplausibleAnswerError);
    expect((refused as ImplausibleAnswerError).context).to.deep.equal({
      what: "the gas of addComposeHash",
      answer: "20000000",
      most: "250000",
    });
  });

  it("signs for no chain that is known only from the endpoint", async () => {
    const { provider } = connection;
    const unnamed = createClient({ transport: custom(provider), pollingInterval: 20 });
    const asked = { calls: additions(1), account: dstack.owner };
    expect(await rejection(sendBatch(unnamed, asked))).to.be.instanceOf(InvalidArgumentError);
    expect((await sendBatch(unnamed, { ...asked, chainId: base.id })).transactions).to.have.length(1);
  });

  it("makes only the calls of the plan", async () => {
    const { client, owner, stranger } = dstack;
    const plan = await planBatch(client, { calls: additions(2), account: owner });
    expect(await rejection(send(additions(3), { plan }))).to.be.instanceOf(InvalidArgumentError);
    const elsewhere = { ...plan, account: stranger.address };
    expect(await rejection(send(additions(2), { plan: elsewhere }))).to.be.instanceOf(InvalidArgumentError);
    expect((await send(additions(1), { plan })).transactions).to.have.length(1);
  });

  it("keeps a recorded transaction while the other one with its nonce is pending", async () => {
    const { owner, stranger, client } = dstack;
    const { provider, networkHelpers } = connection;
    const ledger = memoryLedger();
    const crash = new Error("crash");
    const calls = additions(1);
    await rejection(send(calls, { ledger: crashingOnceRecorded(ledger, crash) }));
    await provider.request({ method: "evm_setAutomine", params: [false] });
    try {
      const price = { maxFeePerGas: 10n ** 11n, maxPriorityFeePerGas: 10n ** 11n };
      await sendTransaction(client, { account: owner, chain: base, to: stranger.address, value: 1n, ...price });
      expect(await rejection(send(calls, { ledger, timeoutMs: 1_000 }))).to.be.instanceOf(NonceTakenError);
      expect(openIn(ledger)).to.have.length(1);
      await networkHelpers.mine();
    } finally {
      await provider.request({ method: "evm_setAutomine", params: [true] });
    }
    expect((await send(calls, { ledger })).transactions.map(({ isFromRecord }) => isFromRecord)).to.deep.equal([false]);
    expect(openIn(ledger)).to.deep.equal([]);
  });

  it("accepts no receipt without the event, for a contract that only resembles an app", async () => {
    const impostor = parseAppId("99".repeat(20));
    await connection.networkHelpers.setCode(
      impostor,
      answeringCode({ "addComposeHash(bytes32)": "0x", "allowedComposeHashes(bytes32)": zeroHash }),
    );
    const calls = hashes(2).map((composeHash) => addComposeHashCall({ appId: impostor, composeHash }));
    const stopped = await rejection(send(calls, { window: 1 }));
    expect(stopped).to.be.instanceOf(BatchStoppedError);
    expect((stopped as BatchStoppedError).cause).to.be.instanceOf(ReceiptMismatchError);
    const { result } = stopped as BatchStoppedError<BatchResult>;
    expect(result.calls.map(({ status }) => status)).to.deep.equal(["failed", "notSent"]);
  });

  it("stops between two transactions at the signal", async () => {
    const stop = new AbortController();
    const reason = new Error("Ctrl-C");
    const stopped = await rejection(
      send(additions(5), {
        window: 1,
        signal: stop.signal,
        onEvent: ({ kind }) => (kind === "mined" ? stop.abort(reason) : undefined),
      }),
    );
    expect((stopped as Error).cause).to.equal(reason);
    expect((stopped as BatchStoppedError).context).to.deep.equal({ done: 1, pending: 0, total: 5 });
  });
});
