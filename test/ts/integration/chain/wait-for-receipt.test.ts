import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { addComposeHash } from "../../../../src/chain/add-compose-hash.ts";
import { broadcastTransaction } from "../../../../src/chain/transactions/broadcast.ts";
import type { PreparedTransaction } from "../../../../src/chain/transactions/prepare.ts";
import { waitForReceipt } from "../../../../src/chain/transactions/receipt.ts";
import { parseComposeHash } from "../../../../src/core/ids.ts";
import { ReceiptTimeoutError } from "../../../../src/errors/index.ts";
import { type Dstack, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { interceptedClient, rpcError } from "../../../support/chain/intercepted-client.ts";
import { rejection } from "../../../support/rejection.ts";

const composeHash = parseComposeHash("0c".repeat(32));
const functionName = "addComposeHash";

describe("waitForReceipt", () => {
  let connection: NetworkConnection;
  let dstack: Dstack;

  before(async () => {
    connection = await network.create("local");
  });

  beforeEach(async () => {
    dstack = await connection.networkHelpers.loadFixture(deployDstack);
  });

  afterEach(async () => {
    await connection.provider.request({ method: "evm_setAutomine", params: [true] });
  });

  async function send(): Promise<Required<PreparedTransaction>> {
    let sent: PreparedTransaction | undefined;
    const beforeSend = (prepared: PreparedTransaction) => {
      sent = prepared;
    };
    await addComposeHash(dstack.client, { appId: dstack.appId, composeHash, account: dstack.owner, beforeSend });
    if (sent?.rawTransaction === undefined || sent.transactionHash === undefined) throw new Error("owner is local");
    return { ...sent, rawTransaction: sent.rawTransaction, transactionHash: sent.transactionHash };
  }

  it("returns at once for a mined transaction, asking for the receipt alone", async () => {
    const { transactionHash } = await send();
    const { client, methods } = interceptedClient(connection);
    const receipt = await waitForReceipt(client, { transactionHash, functionName });
    expect(receipt).to.include({ transactionHash, status: "success" });
    expect(methods).to.deep.equal(["eth_getTransactionReceipt"]);
  });

  it("waits until a pending transaction is mined, and looks often at first", async () => {
    await connection.provider.request({ method: "evm_setAutomine", params: [false] });
    const { transactionHash } = await send();
    let polls = 0;
    const { client } = interceptedClient(connection, {
      intercept: async ({ method }, pass) => {
        if (method === "eth_getTransactionReceipt" && ++polls === 3) await connection.networkHelpers.mine();
        return pass();
      },
    });
    const receipt = await waitForReceipt(client, { transactionHash, functionName, pollIntervalMs: 60_000 });
    expect(receipt.status).to.equal("success");
    expect(polls).to.equal(3);
  });

  it("counts the block of the transaction as the first confirmation", async () => {
    const { transactionHash } = await send();
    let heads = 0;
    const { client } = interceptedClient(connection, {
      intercept: async ({ method }, pass) => {
        if (method !== "eth_blockNumber") return pass();
        heads += 1;
        const head = await pass();
        await connection.networkHelpers.mine();
        return head;
      },
    });
    await waitForReceipt(client, { transactionHash, functionName, confirmations: 3, pollIntervalMs: 1 });
    expect(heads).to.equal(3);
  });

  it("waits again when a reorg removes the receipt between two confirmations", async () => {
    const { networkHelpers } = connection;
    const beforeSending = await networkHelpers.takeSnapshot();
    const sent = await send();
    const wait = { transactionHash: sent.transactionHash, functionName, confirmations: 3, pollIntervalMs: 1 };
    const lost = await waitForReceipt(dstack.client, { ...wait, confirmations: 1 });
    let polls = 0;
    let missing = 0;
    const { client } = interceptedClient(connection, {
      intercept: async ({ method }, pass) => {
        if (method !== "eth_getTransactionReceipt") return pass();
        polls += 1;
        if (polls === 2) await beforeSending.restore();
        if (polls === 4) {
          await networkHelpers.mine(2);
          await broadcastTransaction(dstack.client, sent);
          await networkHelpers.mine(2);
        }
        const receipt = await pass();
        if (receipt === null) missing += 1;
        return receipt;
      },
    });
    const receipt = await waitForReceipt(client, wait);
    expect(missing).to.equal(2);
    expect(receipt.transactionHash).to.equal(lost.transactionHash);
    expect(receipt.blockNumber).to.equal(lost.blockNumber + 2n);
    expect(receipt.blockHash).to.not.equal(lost.blockHash);
  });

  it("does not count the pending block as a confirmation", async () => {
    const { transactionHash } = await send();
    let polls = 0;
    const { client } = interceptedClient(connection, {
      intercept: async (_, pass) => {
        const receipt = await pass();
        polls += 1;
        return polls < 3 ? { ...Object(receipt), blockNumber: null, blockHash: null } : receipt;
      },
    });
    const receipt = await waitForReceipt(client, { transactionHash, functionName, pollIntervalMs: 1 });
    expect(polls).to.equal(3);
    expect(receipt.blockNumber).to.be.a("bigint");
  });

  it("asks again after a fault of the endpoint", async () => {
    const { transactionHash } = await send();
    let polls = 0;
    const { client } = interceptedClient(connection, {
      intercept: async (_, pass) => {
        polls += 1;
        if (polls < 3) throw rpcError(-32603, "upstream is down");
        return pass();
      },
    });
    await waitForReceipt(client, { transactionHash, functionName, pollIntervalMs: 1 });
    expect(polls).to.equal(3);
  });

  it("gives up after the time limit, and names the transaction that may still be mined", async () => {
    await connection.provider.request({ method: "evm_setAutomine", params: [false] });
    const { transactionHash } = await send();
    const wait = { transactionHash, functionName, timeoutMs: 30, pollIntervalMs: 5 };
    const error = await rejection(waitForReceipt(dstack.client, wait));
    expect(error).to.be.instanceOf(ReceiptTimeoutError);
    expect(error).to.include({ retryable: true }).and.have.nested.property("context.transactionHash", transactionHash);
  });
});
