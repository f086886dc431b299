import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { type Account, type Address, parseEther } from "viem";
import { getBalance, getTransactionCount, sendTransaction } from "viem/actions";
import { base } from "viem/chains";
import { addComposeHash } from "../../../../src/chain/add-compose-hash.ts";
import type { ChainClient } from "../../../../src/chain/client.ts";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import { broadcastTransaction } from "../../../../src/chain/transactions/broadcast.ts";
import type { PreparedTransaction } from "../../../../src/chain/transactions/prepare.ts";
import { waitForReceipt } from "../../../../src/chain/transactions/receipt.ts";
import { parseComposeHash } from "../../../../src/core/ids.ts";
import {
  InsufficientFundsError,
  NonceTakenError,
  RpcUnavailableError,
  TransactionRevertedError,
} from "../../../../src/errors/index.ts";
import { type Dstack, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { type Intercept, interceptedClient, rpcError } from "../../../support/chain/intercepted-client.ts";
import { rejection } from "../../../support/rejection.ts";

const composeHash = parseComposeHash("0c".repeat(32));

describe("signed bytes that are sent again", () => {
  let connection: NetworkConnection;
  let dstack: Dstack;

  before(async () => {
    connection = await network.create("local");
  });

  beforeEach(async () => {
    dstack = await connection.networkHelpers.loadFixture(deployDstack);
  });

  /** What the caller recorded before a crash between recording and sending. */
  async function crashBeforeSend() {
    const { appId, owner: account } = dstack;
    let recorded: PreparedTransaction | undefined;
    const crash = new Error("crash");
    const beforeSend = (prepared: PreparedTransaction) => {
      recorded = prepared;
      throw crash;
    };
    expect(await rejection(addComposeHash(dstack.client, { appId, composeHash, account, beforeSend }))).to.equal(crash);
    if (recorded === undefined) throw new Error("nothing was shown before the crash");
    return recorded;
  }

  async function useNonce(client: ChainClient, account: Account): Promise<void> {
    await sendTransaction(client, { account, chain: base, to: dstack.stranger.address, value: 1n });
  }

  function paid(address: Address): Promise<[bigint, number]> {
    const { client } = dstack;
    return Promise.all([getBalance(client, { address }), getTransactionCount(client, { address })]);
  }

  it("sends the recorded bytes, and pays once when it is sent repeatedly", async () => {
    const { client, appId, owner } = dstack;
    const recorded = await crashBeforeSend();
    expect(await broadcastTransaction(client, recorded)).to.equal(recorded.transactionHash);
    expect(await readAllowlist(client, { appId, composeHash })).to.include({ composeHashAllowed: true });

    const afterOnce = await paid(owner.address);
    expect(afterOnce[1]).to.equal(recorded.nonce + 1);
    expect(await broadcastTransaction(client, recorded)).to.equal(recorded.transactionHash);
    expect(await broadcastTransaction(client, recorded)).to.equal(recorded.transactionHash);
    expect(await paid(owner.address)).to.deep.equal(afterOnce);
  });

  it("accepts a transaction that is pending", async () => {
    const { client, appId } = dstack;
    const recorded = await crashBeforeSend();
    await connection.provider.request({ method: "evm_setAutomine", params: [false] });
    try {
      for (const _ of ["first", "again"])
        expect(await broadcastTransaction(client, recorded)).to.equal(recorded.transactionHash);
      expect(await readAllowlist(client, { appId, composeHash })).to.include({ composeHashAllowed: false });
      await connection.networkHelpers.mine();
      expect(await readAllowlist(client, { appId, composeHash })).to.include({ composeHashAllowed: true });
    } finally {
      await connection.provider.request({ method: "evm_setAutomine", params: [true] });
    }
  });

  const lateAnswers: Record<string, Intercept> = {
    "a lost connection": async ({ method }, pass) => {
      const answer = await pass();
      if (method === "eth_sendRawTransaction") throw new Error("socket hang up");
      return answer;
    },
    '"already known"': async ({ method }, pass) => {
      const answer = await pass();
      if (method === "eth_sendRawTransaction") throw rpcError(-32000, "already known");
      return answer;
    },
    '"nonce too low"': async ({ method }, pass) => {
      const answer = await pass();
      if (method === "eth_sendRawTransaction") throw rpcError(-32000, "nonce too low: next nonce 5, tx nonce 4");
      return answer;
    },
  };
  for (const [answer, intercept] of Object.entries(lateAnswers)) {
    it(`accepts ${answer} as success when the node has the transaction`, async () => {
      const recorded = await crashBeforeSend();
      const { client } = interceptedClient(connection, { intercept });
      expect(await broadcastTransaction(client, recorded)).to.equal(recorded.transactionHash);
      expect((await paid(dstack.owner.address))[1]).to.equal(recorded.nonce + 1);
    });
  }

  it("reports another transaction of the signer with the nonce", async () => {
    const { client, owner } = dstack;
    const recorded = await crashBeforeSend();
    await useNonce(client, owner);
    const error = await rejection(broadcastTransaction(client, recorded));
    expect(error).to.be.instanceOf(NonceTakenError);
    expect(error).to.have.property("context").that.deep.equals({
      signer: owner.address,
      nonce: recorded.nonce,
      transactionHash: recorded.transactionHash,
    });
  });

  it("reports another pending transaction with the nonce that the node will not replace", async () => {
    const recorded = await crashBeforeSend();
    const { client } = interceptedClient(connection, {
      intercept: async ({ method }, pass) => {
        if (method === "eth_sendRawTransaction") throw rpcError(-32000, "replacement transaction underpriced");
        return pass();
      },
    });
    expect(await rejection(broadcastTransaction(client, recorded))).to.be.instanceOf(NonceTakenError);
  });

  it("does not accept an answer without a result", async () => {
    const recorded = await crashBeforeSend();
    const { client } = interceptedClient(connection, {
      intercept: async ({ method }, pass) =>
        ["eth_sendRawTransaction", "eth_getTransactionByHash"].includes(method) ? undefined : pass(),
    });
    expect(await rejection(broadcastTransaction(client, recorded))).to.be.instanceOf(RpcUnavailableError);
  });

  it("can be repeated after an endpoint failed", async () => {
    const recorded = await crashBeforeSend();
    const { client } = interceptedClient(connection, {
      intercept: async ({ method }, pass) => {
        if (method === "eth_sendRawTransaction") throw rpcError(-32603, "internal error");
        return pass();
      },
    });
    expect(await rejection(broadcastTransaction(client, recorded))).to.be.instanceOf(RpcUnavailableError);
    expect(await broadcastTransaction(dstack.client, recorded)).to.equal(recorded.transactionHash);
  });

  it("says what a nonce behind a gap waits for", async () => {
    const recorded = await crashBeforeSend();
    const { client } = interceptedClient(connection, {
      intercept: async ({ method }, pass) => {
        if (method === "eth_sendRawTransaction") throw rpcError(-32000, "Nonce too high. Expected 1 but got 6.");
        return pass();
      },
    });
    expect(await rejection(broadcastTransaction(client, recorded)))
      .to.have.property("nextStep")
      .that.includes("Lower nonces of this account are unused.");
  });

  it("reports missing funds", async () => {
    const recorded = await crashBeforeSend();
    const { address } = dstack.owner;
    await connection.networkHelpers.setBalance(address, 1n);
    const error = await rejection(broadcastTransaction(dstack.client, recorded));
    expect(error).to.be.instanceOf(InsufficientFundsError);
    const neededWei = `${recorded.gas * recorded.maxFeePerGas}`;
    expect(error).to.have.property("context").that.deep.equals({ signer: address, balanceWei: "1", neededWei });
    await connection.networkHelpers.setBalance(address, parseEther("1"));
    expect(await broadcastTransaction(dstack.client, recorded)).to.equal(recorded.transactionHash);
  });

  it("returns the hash of a transaction that was mined and reverted", async () => {
    const { client, owner } = dstack;
    const recorded = await crashBeforeSend();
    const tooLittleGas = { ...recorded, gas: 30_000n, type: "eip1559" } as const;
    const rawTransaction = await owner.signTransaction(tooLittleGas);
    const transactionHash = await broadcastTransaction(client, { ...recorded, rawTransaction });
    const error = await rejection(waitForReceipt(client, { transactionHash, functionName: "addComposeHash" }));
    expect(error).to.be.instanceOf(TransactionRevertedError);
  });
});
