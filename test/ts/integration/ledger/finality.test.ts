import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { createClient, type Hex, http, numberToHex, pad } from "viem";
import { getTransactionCount, getTransactionReceipt } from "viem/actions";
import { base, mainnet } from "viem/chains";
import type { BatchResult } from "../../../../src/batch/run.ts";
import { type SendBatchParameters, sendBatch } from "../../../../src/batch/send-batch.ts";
import type { ChainClient } from "../../../../src/chain/client.ts";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import { defaultFinality, readChainIdentity } from "../../../../src/chain/transactions/chain-identity.ts";
import { waitForStage } from "../../../../src/chain/transactions/finality.ts";
import { memoryLedger } from "../../../../src/chain/transactions/ledger.ts";
import type { TransactionAttempt } from "../../../../src/chain/transactions/ledger-records.ts";
import { settleTransaction, waitForTransactions } from "../../../../src/chain/transactions/look-at-transactions.ts";
import { cancelTransaction } from "../../../../src/chain/transactions/replace.ts";
import { parseComposeHash } from "../../../../src/core/ids.ts";
import { addComposeHashCall, type OwnerCall } from "../../../../src/core/owner-calls.ts";
import {
  type BatchStoppedError,
  FinalityTimeoutError,
  TransactionRevertedError,
} from "../../../../src/errors/index.ts";
import { type Dstack, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import {
  type Intercept,
  interceptedClient,
  type RpcRequest,
  rpcError,
} from "../../../support/chain/intercepted-client.ts";
import { reorganisingBeforeSafe } from "../../../support/chain/reorganise.ts";
import { crashingOnceRecorded } from "../../../support/ledger/crashing-ledger.ts";
import { rejection } from "../../../support/rejection.ts";
import { sendJson, startServer } from "../../../support/update/http-server.ts";

// Where OpenZeppelin's upgradeable Ownable keeps the owner (ERC-7201).
const ownerSlot = "0x9016d09d72d40fdae2fd8ceac6b6234c7706214fd39c1cd1e609a0528c199300";

describe("the stage of a transaction", () => {
  let connection: NetworkConnection;
  let dstack: Dstack;
  before(async () => {
    connection = await network.create("local");
  });
  beforeEach(async () => {
    dstack = await connection.networkHelpers.loadFixture(deployDstack);
    kinds.splice(0);
  });

  const callOf = (digit: number): OwnerCall =>
    addComposeHashCall({ appId: dstack.appId, composeHash: parseComposeHash(`${digit}`.repeat(64)) });
  const count = () => getTransactionCount(dstack.client, { address: dstack.owner.address });

  /** A node whose safe block is the one that `at` returns, or that does not know the tag. */
  function nodeWithSafe(at: () => Promise<bigint> | bigint | undefined, intercept?: Intercept) {
    return interceptedClient(connection, {
      intercept: async (request, pass) => {
        const { method, params } = request;
        if (method !== "eth_getBlockByNumber" || params?.[0] !== "safe") return intercept?.(request, pass) ?? pass();
        const number = await at();
        if (number === undefined) throw rpcError(-32602, "safe block not found");
        return connection.provider.request({ method, params: [numberToHex(number), false] });
      },
    });
  }
  const head = async () => BigInt(await connection.networkHelpers.time.latestBlock());

  interface SendOptions extends Partial<SendBatchParameters> {
    readonly client?: ChainClient;
  }
  const kinds: string[] = [];
  function send(calls: readonly OwnerCall[], { client = dstack.client, ...parameters }: SendOptions) {
    const onEvent = ({ kind }: { readonly kind: string }) => void kinds.push(kind);
    return sendBatch(client, { calls, account: dstack.owner, mode: "none", until: "safe", onEvent, ...parameters });
  }

  it("is waited for once, after all transactions are sent, and reported", async () => {
    let polls = 0;
    const { client } = nodeWithSafe(async () => (++polls < 4 ? 0n : await head()));
    const ledger = memoryLedger();
    const result = await send([callOf(1), callOf(2)], { client, ledger });
    expect(result.calls.map(({ status }) => status)).to.deep.equal(["done", "done"]);
    expect(polls).to.equal(4);
    expect(kinds.slice(-3)).to.deep.equal(["mined", "waitingForFinality", "final"]);
    expect(ledger.transactions().map(({ finality }) => finality)).to.deep.equal(["safe", "safe"]);
  });

  it("is waited for again by the same command, which pays nothing, after a timeout", async () => {
    const { client } = nodeWithSafe(() => 0n);
    const ledger = memoryLedger();
    const late = await rejection(send([callOf(1)], { client, ledger, typicalFinalityMs: 40 }));
    expect((late as BatchStoppedError).cause).to.be.instanceOf(FinalityTimeoutError);
    expect(kinds, "a tag that does not move is told").to.include("tagStalled");
    const nonce = await count();
    const again = await send([callOf(1)], { client: nodeWithSafe(head).client, ledger });
    expect(again.transactions.map(({ isFromRecord }) => isFromRecord)).to.deep.equal([true]);
    expect(again.calls.map(({ status }) => status)).to.deep.equal(["done"]);
    expect(await count()).to.equal(nonce);
  });

  it("is a time when the endpoint does not have the tag, and reported as that", async () => {
    const { client } = nodeWithSafe(() => undefined);
    const start = Date.now();
    const result = await send([callOf(1)], { client, typicalFinalityMs: 150, finalityTimeoutMs: 5_000 });
    expect(result.calls.map(({ status }) => status)).to.deep.equal(["done"]);
    expect(Date.now() - start).to.be.greaterThan(140);
    expect(kinds).to.include("tagUnknown");
  });

  it("is reached after a reorganisation removed the transactions, which are sent again and reported", async () => {
    const { networkHelpers } = connection;
    const nonce = await count();
    const beforeSending = await networkHelpers.takeSnapshot();
    let polls = 0;
    const { client } = nodeWithSafe(async () => {
      polls += 1;
      if (polls === 2) {
        await beforeSending.restore();
        await networkHelpers.mine(5);
      }
      return polls < 4 ? 0n : head();
    });
    const ledger = memoryLedger();
    const result = await send([callOf(1), callOf(2)], { client, ledger });
    expect(kinds.filter((kind) => kind === "dropped")).to.have.length(2);
    expect(result.calls.map(({ status }) => status)).to.deep.equal(["done", "done"]);
    expect(await count()).to.equal(nonce + 2);
    expect(ledger.transactions().map(({ state, finality }) => [state, finality])).to.deep.equal([
      ["mined", "safe"],
      ["mined", "safe"],
    ]);
    for (const digit of ["1", "2"]) {
      const composeHash = parseComposeHash(digit.repeat(64));
      expect(await readAllowlist(dstack.client, { appId: dstack.appId, composeHash })).to.include({
        composeHashAllowed: true,
      });
    }
  });

  it("reports no reorganisation for an endpoint that is behind", async () => {
    let polls = 0;
    const { client } = nodeWithSafe(
      () => (polls < 6 ? 0n : head()),
      async ({ method, params }, pass) => {
        // From the second look at a receipt on, a server answers that has not seen the block for a while.
        if (method === "eth_getTransactionReceipt" && ++polls > 1 && polls < 5) return null;
        if (method === "eth_getBlockByNumber" && polls > 1 && polls < 5 && params?.[1] === false) return null;
        return pass();
      },
    );
    const result = await send([callOf(1)], { client });
    expect(result.calls.map(({ status }) => status)).to.deep.equal(["done"]);
    expect(kinds).to.not.include("dropped");
  });

  it("can be waited for without a ledger, and shows that a reorganisation removed the transaction", async () => {
    const ask = (request: RpcRequest) => connection.provider.request(request);
    const branch = await ask({ method: "evm_snapshot" });
    const { transactions } = await send([callOf(1)], { until: "latest" });
    const [transactionHash] = transactions.map((transaction) => transaction.transactionHash);
    if (transactionHash === undefined) throw new Error("Nothing was sent.");
    const receipt = await getTransactionReceipt(dstack.client, { hash: transactionHash });
    let looks = 0;
    const { client } = nodeWithSafe(() => (looks++ === 0 ? receipt.blockNumber - 1n : receipt.blockNumber));
    const settings = { pollIntervalMs: 5, signal: undefined, onEvent: undefined };
    const context = { client, identity: await readChainIdentity(client, 8453), settings };
    const stage = { until: "safe", typicalFinalityMs: 1_000 } as const;
    expect(await waitForStage(context, receipt, stage)).to.equal(true);
    expect(looks).to.equal(2);
    await ask({ method: "evm_revert", params: [branch] });
    expect(await waitForStage(context, receipt, stage)).to.equal(false);
    const behind = nodeWithSafe(() => 0n).client;
    const late = waitForStage({ ...context, client: behind }, receipt, { ...stage, finalityTimeoutMs: 20 });
    expect(await rejection(late)).to.be.instanceOf(FinalityTimeoutError);
  });

  it("can be waited for separately, for several recorded transactions", async () => {
    const ledger = memoryLedger();
    const { client, owner: account } = dstack;
    await send([callOf(1), callOf(2)], { ledger, until: "latest" });
    const transactions = ledger.transactions();
    const mined = await waitForTransactions(client, { ledger, account, transactions, until: "finalized" });
    expect(mined.map(({ receipt }) => receipt.status)).to.deep.equal(["success", "success"]);
    expect(ledger.transactions().map(({ finality }) => finality)).to.deep.equal(["finalized", "finalized"]);
  });

  describe("of a transaction that a reorganisation moves", () => {
    const ask = ({ method, params = [] }: RpcRequest) => connection.provider.request({ method, params: [...params] });
    const send = (rawTransaction: Hex | undefined) =>
      ask({ method: "eth_sendRawTransaction", params: [rawTransaction] }).catch(() => undefined); // throws for a revert

    /** Records a call that never leaves, lets `settle` end its nonce, and moves that to another branch. */
    async function move(meanwhile: (attempts: readonly TransactionAttempt[]) => Promise<unknown>) {
      const { owner: account, client } = dstack;
      const ledger = memoryLedger();
      const calls = [callOf(1)];
      await rejection(sendBatch(client, { calls, account, ledger: crashingOnceRecorded(ledger) }));
      const [recorded] = ledger.transactions();
      if (recorded === undefined) throw new Error("it was recorded");
      const { id, nonce } = recorded;
      const intercept = reorganisingBeforeSafe({
        ask,
        meanwhile: async () => void (await meanwhile(ledger.transaction(id).attempts)),
      });
      const node = interceptedClient(connection, { intercept }).client;
      const events: string[] = [];
      const settle = () =>
        settleTransaction(node, {
          ...{ ledger, account, transaction: recorded, until: "safe" },
          onEvent: ({ kind }) => void events.push(kind),
        });
      const cancel = () => cancelTransaction(node, { ledger, account, nonce });
      const { appId } = dstack;
      const [call] = calls;
      const isAllowed = async () =>
        (await readAllowlist(client, { appId, composeHash: parseComposeHash(`${call?.args[0]}`) })).composeHashAllowed;
      return { cancel, settle, events, isAllowed, read: () => ledger.transaction(id) };
    }

    it("is that of a cancellation, which does not become the call", async () => {
      for (const [isDropped, meanwhile] of [
        [true, async () => {}],
        [false, ([, cancellation]: readonly TransactionAttempt[]) => send(cancellation?.rawTransaction)],
      ] as const) {
        dstack = await connection.networkHelpers.loadFixture(deployDstack);
        const { cancel, settle, events, isAllowed, read } = await move(meanwhile);
        await cancel();
        const { transaction, receipt } = await settle();
        expect([transaction.state, read().state, read().finality]).to.deep.equal(["cancelled", "cancelled", "safe"]);
        expect(read().proof?.blockNumber).to.equal(receipt?.blockNumber);
        expect(events.includes("dropped")).to.equal(isDropped);
        expect(await isAllowed()).to.equal(false);
      }
    });

    it("is that of the call if the new branch has the call in place of its cancellation", async () => {
      const { cancel, settle, isAllowed, read } = await move(([call]) => send(call?.rawTransaction));
      await cancel();
      const { transaction } = await settle();
      expect([transaction.state, read().state]).to.deep.equal(["mined", "mined"]);
      expect(await isAllowed()).to.equal(true);
    });

    it("is no success if the call reverts on the new branch", async () => {
      const { appId, stranger, owner: account, client } = dstack;
      const ledger = memoryLedger();
      const intercept = reorganisingBeforeSafe({
        ask,
        meanwhile: async () => {
          await connection.networkHelpers.setStorageAt(appId, ownerSlot, pad(stranger.address));
          await send(ledger.transactions()[0]?.attempts[0]?.rawTransaction);
        },
      });
      const node = interceptedClient(connection, { intercept }).client;
      const parameters = { calls: [callOf(1)], account, ledger, until: "safe" } as const;
      const error = await rejection(sendBatch(node, parameters));
      expect((error as BatchStoppedError).cause).to.be.instanceOf(TransactionRevertedError);
      expect((error as BatchStoppedError<BatchResult>).result.calls.map(({ status }) => status)).to.deep.equal([
        "failed",
      ]);
      expect(ledger.transactions().map(({ state }) => state)).to.deep.equal(["reverted"]);
      expect(await readAllowlist(client, { appId, composeHash: parseComposeHash("1".repeat(64)) })).to.include({
        composeHashAllowed: false,
      });
    });

    it("is not reached by the receipt of a block that left the chain, which a cache still returns", async () => {
      const ledger = memoryLedger();
      const receipts = new Map<string, unknown>();
      const reorganise = reorganisingBeforeSafe({ ask });
      const intercept: Intercept = async (request, pass) => {
        if (request.method !== "eth_getTransactionReceipt") return reorganise(request, pass);
        const key = String(request.params?.[0]);
        const receipt = receipts.get(key) ?? (await pass());
        if (receipt !== null) receipts.set(key, receipt);
        return receipt;
      };
      const { client } = interceptedClient(connection, { intercept });
      const { owner: account } = dstack;
      const times = { typicalFinalityMs: 1_000, finalityTimeoutMs: 200 };
      const parameters = { calls: [callOf(1)], account, ledger, until: "safe", mode: "none", ...times } as const;
      const error = (await rejection(sendBatch(client, parameters))) as Error;
      expect(error, String(error)).to.be.instanceOf(Error);
      expect(String(error.cause ?? error)).to.include("left the chain");
      expect(ledger.transactions().map(({ finality }) => finality)).to.not.include("safe");
    });
  });

  describe("by default", () => {
    /** A node that says it is this one. */
    async function nodeNamed(name: string, more: Readonly<Record<string, unknown>> = {}) {
      const asked: string[] = [];
      const server = await startServer(async (response, { body }) => {
        const { id, method } = JSON.parse(body) as { id: number; method: string };
        asked.push(method);
        const answers: Record<string, unknown> = {
          web3_clientVersion: name,
          eth_getBlockByNumber: { hash: `0x${"0b".repeat(32)}` },
          ...more,
        };
        const error = { code: -32601, message: "the method does not exist" };
        sendJson(response, 200, {
          jsonrpc: "2.0",
          id,
          ...(method in answers ? { result: answers[method] } : { error }),
        });
      });
      const client = createClient({ chain: mainnet, transport: http(server.url, { retryCount: 0 }) });
      const identity = await readChainIdentity(client, mainnet.id).finally(() => server.close());
      return { asked, identity, tag: defaultFinality(identity) };
    }

    it("is the latest block on a development node of this machine, with separate records", async () => {
      for (const [name, more] of [
        ["anvil/v1.7.1", {}],
        ["HardhatNetwork/3.18.0/@nomicfoundation/edr/0.12.0", {}],
        ["another", { anvil_nodeInfo: {} }],
        ["another", { hardhat_metadata: {} }],
      ] as const) {
        const { identity, tag } = await nodeNamed(name, more);
        expect(tag, name).to.equal("latest");
        expect(identity.chain).to.equal(`1 0x${"0b".repeat(32)}`);
      }
    });

    it("is the safe block on another node of this machine", async () => {
      const { identity, tag } = await nodeNamed("Geth/v1.16.7-stable/linux-amd64/go1.25.1");
      expect([identity.chain, tag]).to.deep.equal(["1", "safe"]);
    });

    it("is the safe block of a remote endpoint, which is not asked for its client version", async () => {
      const client = createClient({ chain: base, transport: http("http://192.0.2.1:8545") });
      const identity = await readChainIdentity(client, base.id);
      expect([identity.chain, defaultFinality(identity)]).to.deep.equal(["8453", "safe"]);
    });

    it("is the latest block on a simulated network", async () => {
      expect(defaultFinality(await readChainIdentity(dstack.client, base.id))).to.equal("latest");
    });
  });
});
