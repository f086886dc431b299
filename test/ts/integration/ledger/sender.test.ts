import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { type Account, type Address, parseGwei } from "viem";
import { getTransaction, getTransactionCount, sendTransaction } from "viem/actions";
import { base } from "viem/chains";
import type { ChainClient } from "../../../../src/chain/client.ts";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import { readChainIdentity } from "../../../../src/chain/transactions/chain-identity.ts";
import type { SenderEvent } from "../../../../src/chain/transactions/follow-context.ts";
import { type Ledger, memoryLedger } from "../../../../src/chain/transactions/ledger.ts";
import { type LedgerPurpose, lastAttempt } from "../../../../src/chain/transactions/ledger-records.ts";
import { startRun } from "../../../../src/chain/transactions/process-owner.ts";
import { cancelTransaction, replaceTransaction } from "../../../../src/chain/transactions/replace.ts";
import { openSender } from "../../../../src/chain/transactions/sender.ts";
import type { SenderParameters, SentTransaction } from "../../../../src/chain/transactions/sender-parameters.ts";
import type { TransactionIntent } from "../../../../src/chain/transactions/simulate.ts";
import { parseComposeHash } from "../../../../src/core/ids.ts";
import { addComposeHashCall, type OwnerCall } from "../../../../src/core/owner-calls.ts";
import {
  InvalidArgumentError,
  LedgerError,
  NonceBlockedError,
  NonceTakenError,
  TransactionCancelledError,
  TransactionUnderpricedError,
  UnsignedRecordError,
} from "../../../../src/errors/index.ts";
import { type Dstack, deployAppOf, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { interceptedClient, rpcError } from "../../../support/chain/intercepted-client.ts";
import { Crash, crashingOnceRecorded, hookedLedger } from "../../../support/ledger/crashing-ledger.ts";
import { putRecord, signRecord, signer as strangersKey } from "../../../support/ledger/signed-record.ts";
import { rejection } from "../../../support/rejection.ts";
import { until } from "../../../support/until.ts";

describe("a sender", () => {
  let connection: NetworkConnection;
  let dstack: Dstack;
  before(async () => {
    connection = await network.create("local");
  });
  beforeEach(async () => {
    dstack = await connection.networkHelpers.loadFixture(deployDstack);
  });

  const callOf = (digit: number, appId = dstack.appId): OwnerCall =>
    addComposeHashCall({ appId, composeHash: parseComposeHash(`${digit}`.repeat(64)) });
  const intentOf = (call: OwnerCall): TransactionIntent => ({ ...call, gas: 100_000n, calls: [call] });
  const count = (address: Address = dstack.owner.address) => getTransactionCount(dstack.client, { address });
  const open = (ledger: Ledger) => ledger.transactions({ states: ["open"] });
  const automine = (isOn: boolean) => connection.provider.request({ method: "evm_setAutomine", params: [isOn] });

  interface SendOptions extends SenderParameters {
    readonly client?: ChainClient;
    readonly purpose?: LedgerPurpose;
  }

  /** One command: takes up what is on record, and sends the calls that are not done. */
  async function send(calls: readonly OwnerCall[], options: SendOptions = {}): Promise<readonly SentTransaction[]> {
    const { client = dstack.client, purpose = { kind: "batch" }, ...parameters } = options;
    using sender = await openSender(
      client,
      { account: dstack.owner, ...parameters },
      { purpose, calls, title: "test" },
    );
    await sender.resume();
    const done = sender.sent.flatMap(({ transaction }) => (transaction.state === "mined" ? transaction.calls : []));
    const left = calls.filter((call) => !done.some(({ data, to }) => data === call.data && to === call.to));
    if (left.length > 0) await sender.send(left.map(intentOf));
    await sender.finish();
    sender.complete();
    return sender.sent;
  }
  const statesOf = (sent: readonly SentTransaction[]) => sent.map(({ transaction }) => transaction.state);

  it("sends, and records the end of each transaction", async () => {
    const ledger = memoryLedger();
    const { client, appId } = dstack;
    const nonce = await count();
    const sent = await send([callOf(1), callOf(2)], { ledger });
    expect(sent.map(({ transaction }) => [transaction.state, transaction.nonce])).to.deep.equal([
      ["mined", nonce],
      ["mined", nonce + 1],
    ]);
    const composeHash = parseComposeHash("1".repeat(64));
    expect(await readAllowlist(client, { appId, composeHash })).to.include({ composeHashAllowed: true });
    const [first] = ledger.transactions();
    expect(first).to.deep.include({ state: "mined", functionName: "addComposeHash", finality: "latest" });
    expect(first?.proof?.costWei).to.be.a("bigint");
    expect(ledger.batches({ isOpen: true })).to.deep.equal([]);
  });

  it("D1: completes a transaction that an endpoint refused, and sends nothing a second time", async () => {
    const ledger = memoryLedger();
    let broadcasts = 0;
    const refusing = interceptedClient(connection, {
      intercept: ({ method }, pass) => {
        if (method !== "eth_sendRawTransaction") return pass();
        return ++broadcasts >= 2 ? Promise.reject(rpcError(-32000, "not today")) : pass();
      },
    });
    const calls = [callOf(1), callOf(2), callOf(3)];
    const nonce = await count();
    const refused = await rejection(send(calls, { client: refusing.client, ledger, window: 1 }));
    expect(refused).to.have.property("message").that.includes("not today");
    expect(broadcasts, "it asks again, in case the endpoint was busy").to.equal(5);
    expect(await count()).to.equal(nonce + 1);
    const sent = await send(calls, { ledger });
    expect(sent.map(({ isFromRecord }) => isFromRecord)).to.deep.equal([true, true, false]);
    expect(statesOf(sent)).to.deep.equal(["mined", "mined", "mined"]);
    expect(await count()).to.equal(nonce + 3);
  });

  it("D2: waits when the node has no room for more transactions of a delegated account, and continues", async () => {
    let waiting = 0;
    const crowded = interceptedClient(connection, {
      intercept: async ({ method }, pass) => {
        if (method !== "eth_sendRawTransaction") return pass();
        if (waiting === 2) throw rpcError(-32000, "in-flight transaction limit reached for delegated accounts");
        waiting += 1;
        return pass();
      },
    });
    await automine(false);
    const mining = setInterval(() => {
      waiting = 0;
      void connection.networkHelpers.mine();
    }, 100);
    try {
      const sent = await send(
        [1, 2, 3, 4, 5, 6].map((digit) => callOf(digit)),
        { client: crowded.client },
      );
      expect(statesOf(sent)).to.deep.equal(Array(6).fill("mined"));
    } finally {
      clearInterval(mining);
      await automine(true);
    }
  });

  it("looks often at first, so that a long interval does not delay the end", async () => {
    const ledger = memoryLedger();
    await automine(false);
    try {
      const start = performance.now();
      const waiting = send([callOf(1)], { ledger, until: "safe", pollIntervalMs: 60_000 });
      await until(() => open(ledger)[0]?.attempts[0]?.isSent);
      await connection.networkHelpers.mine();
      expect(statesOf(await waiting)).to.deep.equal(["mined"]);
      expect(performance.now() - start).to.be.lessThan(20_000);
    } finally {
      await automine(true);
    }
  });

  it("E2: asks again for a receipt of a wrong shape", async () => {
    let polls = 0;
    const confused = interceptedClient(connection, {
      intercept: async ({ method }, pass) => {
        if (method !== "eth_getTransactionReceipt" || ++polls > 3) return pass();
        return [{}, [], { ...Object(await pass()), logs: "none" }][polls - 1];
      },
    });
    expect(statesOf(await send([callOf(1)], { client: confused.client }))).to.deep.equal(["mined"]);
    expect(polls).to.be.greaterThan(3);
  });

  describe("when another program sends with the same key", () => {
    const other = (nonce: number) =>
      sendTransaction(dstack.client, {
        account: dstack.owner,
        chain: base,
        nonce,
        to: dstack.stranger.address,
        value: 1n,
      });

    it("signs the call again for the next nonce, and names the transaction that took the first", async () => {
      const ledger = memoryLedger();
      const nonce = await count();
      let isFirst = true;
      const racing = interceptedClient(connection, {
        intercept: async ({ method }, pass) => {
          if (method === "eth_sendRawTransaction" && isFirst) {
            isFirst = false;
            await other(nonce);
          }
          return pass();
        },
      });
      const events: SenderEvent[] = [];
      const sent = await send([callOf(1)], { client: racing.client, ledger, onEvent: (event) => events.push(event) });
      expect(sent.map(({ transaction }) => [transaction.nonce, transaction.state])).to.deep.equal([
        [nonce, "taken"],
        [nonce + 1, "mined"],
      ]);
      expect(events.map(({ kind }) => kind)).to.include("taken");
      expect(await count()).to.equal(nonce + 2);
    });

    it("C5: names the nonces that it lost, and leaves no open record", async () => {
      const ledger = memoryLedger();
      const nonce = await count();
      let lost = 0;
      const racing = interceptedClient(connection, {
        intercept: async ({ method }, pass) => {
          if (method === "eth_sendRawTransaction") await other(nonce + lost++);
          return pass();
        },
      });
      const error = await rejection(send([callOf(1)], { client: racing.client, ledger }));
      expect(error).to.be.instanceOf(NonceTakenError);
      expect((error as NonceTakenError).message).to.include(`nonces ${nonce}, ${nonce + 1}, ${nonce + 2}`);
      expect((error as NonceTakenError).taker).to.deep.equal({
        kind: "lost",
        nonces: [0, 1, 2].map((more) => nonce + more),
      });
      expect(open(ledger)).to.deep.equal([]);
      expect(statesOf(await send([callOf(1)], { ledger })).at(-1)).to.equal("mined");
    });

    it("accepts the transaction that the caller names when the node no longer finds it", async () => {
      const ledger = memoryLedger();
      const call = callOf(1);
      await rejection(send([call], { ledger: crashingOnceRecorded(ledger) }));
      const nonce = await count();
      const taker = await other(nonce);
      const forgetful = interceptedClient(connection, {
        intercept: ({ method, params }, pass) =>
          method === "eth_getTransactionCount" && !["latest", "pending"].includes(String(params?.[1]))
            ? Promise.reject(rpcError(-32000, "missing trie node"))
            : pass(),
      });
      const stopped = await rejection(send([call], { client: forgetful.client, ledger }));
      expect((stopped as NonceTakenError).taker).to.deep.equal({ kind: "notFound" });
      const wrong = {
        client: forgetful.client,
        ledger,
        transactionHash: `0x${"7a".repeat(32)}` as typeof taker & never,
      };
      expect(await rejection(send([call], wrong))).to.be.instanceOf(InvalidArgumentError);
      const sent = await send([call], { client: forgetful.client, ledger, transactionHash: taker as never });
      expect(statesOf(sent)).to.deep.equal(["taken", "mined"].slice(-sent.length));
      expect(await count()).to.equal(nonce + 2);
    });
  });

  describe("whose transaction is below the base fee", () => {
    const setBaseFee = (wei: bigint) => connection.networkHelpers.setNextBlockBaseFeePerGas(wei);

    /** Records a transaction, which never leaves, and lets the base fee rise above its price. */
    async function strand(ledger: Ledger, calls: readonly OwnerCall[]) {
      await rejection(send(calls, { ledger: crashingOnceRecorded(ledger) }));
      const [stranded] = open(ledger);
      if (stranded === undefined) throw new Error("it was recorded");
      await setBaseFee(lastAttempt(stranded).maxFeePerGas * 3n);
      await connection.networkHelpers.mine();
      return stranded;
    }

    it("C4: reports both prices, and no fault of the endpoint", async () => {
      const ledger = memoryLedger();
      const { maxFeePerGas } = lastAttempt(await strand(ledger, [callOf(1)]));
      for (const calls of [[callOf(1)], [callOf(2)]]) {
        const error = await rejection(send(calls, { ledger }));
        expect(error).to.be.instanceOf(TransactionUnderpricedError);
        const { details } = error as TransactionUnderpricedError;
        expect(details.maxFeePerGas).to.equal(maxFeePerGas);
        expect(details.baseFeePerGas).to.satisfy((fee: bigint) => fee > maxFeePerGas);
      }
    });

    it("is replaced with the same nonce and calls, by a command or by a waiting run", async () => {
      const ledger = memoryLedger();
      const { client, owner } = dstack;
      const { nonce } = await strand(ledger, [callOf(1)]);
      const ask = { ledger, account: owner, nonce };
      const tooLittle = replaceTransaction(client, { ...ask, maxFeePerGas: 1n });
      expect(await rejection(tooLittle)).to.be.instanceOf(InvalidArgumentError);
      await replaceTransaction(client, ask);
      const sent = await send([callOf(1)], { ledger });
      expect(statesOf(sent)).to.deep.equal(["mined"]);
      expect(sent[0]?.transaction.attempts).to.have.length(2);
      expect(await count()).to.equal(nonce + 1);
      expect(await rejection(replaceTransaction(client, ask))).to.be.instanceOf(InvalidArgumentError);

      const next = await strand(ledger, [callOf(2)]);
      const prices: bigint[] = [];
      const events: string[] = [];
      const again = await send([callOf(2)], {
        ledger,
        onEvent: ({ kind }) => void events.push(kind),
        onUnderpriced: async (_, baseFeePerGas) => {
          prices.push(baseFeePerGas);
          await replaceTransaction(client, { ...ask, nonce: next.nonce });
          return true;
        },
      });
      expect(prices).to.have.length(1);
      expect(events).to.include("underpriced");
      expect(statesOf(again)).to.deep.equal(["mined"]);
      expect(await count()).to.equal(next.nonce + 1);
    });

    it("replaces a pending one: nodes accept it, and only one is mined", async () => {
      const ledger = memoryLedger();
      const { client, owner } = dstack;
      const nonce = await count();
      await automine(false);
      try {
        const waiting = send([callOf(1)], { ledger });
        while (open(ledger)[0]?.attempts.at(-1)?.isSent !== true)
          await new Promise((resolve) => setTimeout(resolve, 10));
        const [before] = open(ledger);
        const { attempts } = await replaceTransaction(client, { ledger, account: owner, nonce });
        const [first, second] = attempts;
        if (before === undefined || first === undefined || second === undefined) throw new Error("there are two");
        expect(second.maxFeePerGas * 8n >= first.maxFeePerGas * 9n).to.equal(true);
        expect(second.maxPriorityFeePerGas * 8n >= first.maxPriorityFeePerGas * 9n).to.equal(true);
        await connection.networkHelpers.mine();
        const sent = await waiting;
        expect(sent.map(({ transaction }) => transaction.proof?.transactionHash)).to.deep.equal([
          second.transactionHash,
        ]);
      } finally {
        await automine(true);
      }
      expect(await count()).to.equal(nonce + 1);
    });

    it("cancels one: its nonce is used by an empty call, and a waiting run reports it", async () => {
      const ledger = memoryLedger();
      const { client, owner, appId } = dstack;
      const nonce = await count();
      await automine(false);
      try {
        const waiting = rejection(send([callOf(1)], { ledger }));
        while (open(ledger)[0]?.attempts.at(-1)?.isSent !== true)
          await new Promise((resolve) => setTimeout(resolve, 10));
        const { attempts } = await cancelTransaction(client, { ledger, account: owner, nonce });
        await connection.networkHelpers.mine();
        expect(await waiting).to.be.instanceOf(TransactionCancelledError);
        const hash = attempts.at(-1)?.transactionHash ?? "0x";
        const { to, value, input } = await getTransaction(client, { hash });
        expect([to?.toLowerCase(), value, input]).to.deep.equal([owner.address.toLowerCase(), 0n, "0x"]);
      } finally {
        await automine(true);
      }
      expect(ledger.transactions().map(({ state }) => state)).to.deep.equal(["cancelled"]);
      const composeHash = parseComposeHash("1".repeat(64));
      expect(await readAllowlist(client, { appId, composeHash })).to.include({ composeHashAllowed: false });
      expect(statesOf(await send([callOf(1)], { ledger })), "the same command sends it anew").to.deep.equal(["mined"]);
    });
  });

  describe("beside another one with the same key", () => {
    it("waits for a call that the other has sent, and sends the rest: each is paid once", async () => {
      const ledger = memoryLedger();
      const nonce = await count();
      const both = await Promise.all([
        send([callOf(1), callOf(2), callOf(3)], { ledger }),
        send([callOf(2), callOf(3), callOf(4)], { ledger, purpose: { kind: "update", cvm: "a" } }),
        send([callOf(1), callOf(2), callOf(3)], { ledger }),
      ]);
      for (const sent of both) expect(new Set(statesOf(sent))).to.deep.equal(new Set(["mined"]));
      expect(await count()).to.equal(nonce + 4);
      expect(ledger.transactions().map((one) => one.nonce)).to.have.members([0, 1, 2, 3].map((more) => nonce + more));
    });

    it("completes the open transaction of another command, and does not report it as its own", async () => {
      const ledger = memoryLedger();
      const nonce = await count();
      await rejection(send([callOf(1)], { ledger: crashingOnceRecorded(ledger) }));
      const sent = await send([callOf(2)], { ledger });
      expect(sent.map(({ transaction }) => transaction.nonce)).to.deep.equal([nonce + 1]);
      expect(await count()).to.equal(nonce + 2);
      expect(open(ledger)).to.deep.equal([]);
    });

    it("sends no removal that a prune recorded and must check first", async () => {
      const ledger = memoryLedger();
      const nonce = await count();
      await rejection(send([callOf(1)], { ledger: crashingOnceRecorded(ledger), purpose: { kind: "prune" } }));
      expect(await rejection(send([callOf(2)], { ledger }))).to.be.instanceOf(NonceBlockedError);
      expect(await count()).to.equal(nonce);
      await cancelTransaction(dstack.client, { ledger, account: dstack.owner, nonce });
      expect(statesOf(await send([callOf(2)], { ledger }))).to.deep.equal(["mined"]);
      expect(await count()).to.equal(nonce + 2);
    });

    it("sends a prune's removals again only if it asks for all of them", async () => {
      const ledger = memoryLedger();
      const { client, owner } = dstack;
      const nonce = await count();
      const calls = [callOf(1), callOf(2)];
      const { chain } = await readChainIdentity(client, base.id);
      const signed = await signRecord({ calls, to: owner.address, nonce, by: owner as typeof strangersKey });
      putRecord(ledger, { ...signed, from: owner.address }, { calls, chain, purpose: { kind: "prune" } });
      expect(await rejection(send([callOf(2)], { ledger }))).to.be.instanceOf(NonceBlockedError);
      expect(await count()).to.equal(nonce);
      // The account has no code, so that the batch is mined and does nothing.
      expect(await rejection(send(calls, { ledger }))).to.have.property("name", "ReceiptMismatchError");
      expect(await count()).to.equal(nonce + 1);
    });

    it("sends no bytes with the signature of another key", async () => {
      const ledger = memoryLedger();
      const { client, owner } = dstack;
      const { chain } = await readChainIdentity(client, base.id);
      const call = callOf(1);
      const nonce = await count();
      const foreign = await signRecord({ calls: [call], to: call.to, data: call.data, nonce, by: strangersKey });
      putRecord(ledger, { ...foreign, from: owner.address }, { calls: [call], chain });
      const error = await rejection(send([call], { ledger }));
      expect(error).to.be.instanceOf(LedgerError);
      expect((error as LedgerError).message).to.include("key");
      expect(await count()).to.equal(nonce);
    });
  });

  describe("whose key a node or a wallet holds", () => {
    let account: Address;
    let call: OwnerCall;
    beforeEach(async () => {
      const [wallet] = await connection.viem.getWalletClients();
      if (wallet === undefined) throw new Error("Hardhat's chain has accounts");
      account = wallet.account.address;
      call = callOf(1, await deployAppOf(dstack, account));
    });

    const onceSent = (ledger: Ledger) =>
      hookedLedger(ledger, {
        before: (method) => {
          if (method === "markSent") throw new Crash();
        },
      });

    it("D3: finds the call by its nonce after a crash, and does not send it a second time", async () => {
      const ledger = memoryLedger();
      await rejection(send([call], { account, ledger: onceSent(ledger) }));
      const nonce = await count(account);
      const { client, methods } = interceptedClient(connection);
      const sent = await send([call], { account, ledger, client });
      expect(statesOf(sent)).to.deep.equal(["mined"]);
      expect(methods).to.not.include("eth_sendTransaction");
      expect(await count(account)).to.equal(nonce);
    });

    it("waits for the process that requested the signature while it runs, and requests none itself", async () => {
      const ledger = memoryLedger();
      await rejection(send([call], { account, ledger: crashingOnceRecorded(ledger) }));
      const [record] = open(ledger);
      if (record === undefined) throw new Error("it was recorded");
      const { owner, end } = startRun();
      ledger.setOwner(record.id, owner);
      const { client, methods } = interceptedClient(connection);
      const kinds: string[] = [];
      const onEvent = ({ kind }: SenderEvent) => void kinds.push(kind);
      const waiting = send([call], { account, ledger, client, onEvent, pollIntervalMs: 10 });
      // The other process is slow: its user reads what the wallet shows.
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(methods).to.not.include("eth_sendTransaction");
      const hash = await sendTransaction(dstack.client, { account, chain: base, ...call, gas: 100_000n });
      expect(statesOf(await waiting)).to.deep.equal(["mined"]);
      expect(kinds.filter((kind) => kind === "waitingForOwner")).to.have.length(1);
      expect(open(ledger)).to.deep.equal([]);
      expect(ledger.transactions()[0]?.proof?.transactionHash).to.equal(hash);
      end();
    });

    it("repeats no request of a process that has ended, unless the caller confirms it", async () => {
      const ledger = memoryLedger();
      await rejection(send([call], { account, ledger: crashingOnceRecorded(ledger) }));
      const nonce = await count(account);
      for (const calls of [[call], [callOf(2, call.to as typeof dstack.appId)]])
        expect(await rejection(send(calls, { account, ledger }))).to.be.instanceOf(UnsignedRecordError);
      expect(await count(account)).to.equal(nonce);
      expect(statesOf(await send([call], { account, ledger, confirmUnsigned: () => {} }))).to.deep.equal(["mined"]);
      expect(await count(account)).to.equal(nonce + 1);
    });

    it("requests nothing while another transaction with its nonce waits in the node's pool", async () => {
      const ledger = memoryLedger();
      await rejection(send([call], { account, ledger: crashingOnceRecorded(ledger) }));
      await automine(false);
      try {
        await sendTransaction(dstack.client, { account, chain: base, to: dstack.stranger.address, value: 1n });
        const { client, methods } = interceptedClient(connection);
        const confirmUnsigned = () => Promise.reject(new Error("it asked"));
        const error = await rejection(send([call], { account, ledger, client, confirmUnsigned, timeoutMs: 100 }));
        expect(error).to.be.instanceOf(NonceTakenError).with.property("taker").that.includes({ kind: "waiting" });
        expect(methods).to.not.include("eth_sendTransaction");
        expect(open(ledger)).to.have.length(1);
      } finally {
        await automine(true);
      }
    });

    it("keeps no record of a request that the user of a wallet declined", async () => {
      const ledger = memoryLedger();
      const declining = interceptedClient(connection, {
        intercept: ({ method }, pass) =>
          method === "eth_sendTransaction" ? Promise.reject(rpcError(4001, "User rejected the request.")) : pass(),
      });
      await rejection(send([call], { account, ledger, client: declining.client }));
      expect(open(ledger)).to.deep.equal([]);
      expect(statesOf(await send([call], { account, ledger }))).to.deep.equal(["mined"]);
    });
  });

  it("requests no more than the account can pay, including the rollup's fees", async () => {
    await connection.networkHelpers.setBalance(dstack.owner.address, parseGwei("1"));
    const account: Account = dstack.owner;
    const error = await rejection(send([callOf(1)], { account }));
    expect(error).to.have.property("name", "InsufficientFundsError");
  });
});
