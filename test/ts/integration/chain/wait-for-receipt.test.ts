import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { addComposeHash } from "../../../../src/chain/add-compose-hash.ts";
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

  it("does not count a pending block", async () => {
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
