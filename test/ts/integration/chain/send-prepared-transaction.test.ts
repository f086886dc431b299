import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { type Account, type Address, parseEther } from "viem";
import { getBalance, getTransactionCount, sendTransaction } from "viem/actions";
import { base, mainnet } from "viem/chains";
import { addComposeHash } from "../../../../src/chain/add-compose-hash.ts";
import type { ChainClient } from "../../../../src/chain/client.ts";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import { sendPreparedTransaction } from "../../../../src/chain/transactions/broadcast.ts";
import type { PreparedTransaction } from "../../../../src/chain/transactions/prepare.ts";
import { waitForReceipt } from "../../../../src/chain/transactions/receipt.ts";
import { type AppId, parseComposeHash } from "../../../../src/core/ids.ts";
import {
  InsufficientFundsError,
  NonceTakenError,
  RpcUnavailableError,
  TransactionRevertedError,
  WrongChainError,
} from "../../../../src/errors/index.ts";
import { clientOf, type Dstack, deployAppOf, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { type Intercept, interceptedClient, rpcError } from "../../../support/chain/intercepted-client.ts";
import { rejection } from "../../../support/rejection.ts";

const composeHash = parseComposeHash("0c".repeat(32));

describe("sendPreparedTransaction", () => {
  let connection: NetworkConnection;
  let dstack: Dstack;

  before(async () => {
    connection = await network.create("local");
  });

  beforeEach(async () => {
    dstack = await connection.networkHelpers.loadFixture(deployDstack);
  });

  /** What the caller recorded before a crash between recording and sending. */
  async function crashBeforeSend(account: Account | Address = dstack.owner, appId: AppId = dstack.appId) {
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

  /** An account whose key the node holds, and an app of its own. */
  async function nodeAccount() {
    const [wallet] = await connection.viem.getWalletClients();
    if (wallet === undefined) throw new Error("Hardhat's chain has accounts");
    const { address } = wallet.account;
    return { address, appId: await deployAppOf(dstack, address) };
  }

  async function useNonce(client: ChainClient, account: Account | Address): Promise<void> {
    await sendTransaction(client, { account, chain: base, to: dstack.stranger.address, value: 1n });
  }

  function paid(address: Address): Promise<[bigint, number]> {
    const { client } = dstack;
    return Promise.all([getBalance(client, { address }), getTransactionCount(client, { address })]);
  }

  describe("with signed bytes", () => {
    it("sends the recorded bytes, and pays once when it is sent repeatedly", async () => {
      const { client, appId, owner } = dstack;
      const recorded = await crashBeforeSend();
      expect(await sendPreparedTransaction(client, recorded)).to.equal(recorded.transactionHash);
      expect(await readAllowlist(client, { appId, composeHash })).to.include({ composeHashAllowed: true });

      const afterOnce = await paid(owner.address);
      expect(afterOnce[1]).to.equal(recorded.nonce + 1);
      expect(await sendPreparedTransaction(client, recorded)).to.equal(recorded.transactionHash);
      expect(await sendPreparedTransaction(client, recorded)).to.equal(recorded.transactionHash);
      expect(await paid(owner.address)).to.deep.equal(afterOnce);
    });

    it("accepts a transaction that is pending", async () => {
      const { client, appId } = dstack;
      const recorded = await crashBeforeSend();
      await connection.provider.request({ method: "evm_setAutomine", params: [false] });
      try {
        for (const _ of ["first", "again"])
          expect(await sendPreparedTransaction(client, recorded)).to.equal(recorded.transactionHash);
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
        expect(await sendPreparedTransaction(client, recorded)).to.equal(recorded.transactionHash);
        expect((await paid(dstack.owner.address))[1]).to.equal(recorded.nonce + 1);
      });
    }

    it("reports another transaction of the signer with the nonce", async () => {
      const { client, owner } = dstack;
      const recorded = await crashBeforeSend();
      await useNonce(client, owner);
      const error = await rejection(sendPreparedTransaction(client, recorded));
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
      expect(await rejection(sendPreparedTransaction(client, recorded))).to.be.instanceOf(NonceTakenError);
    });

    it("does not accept an answer without a result", async () => {
      const recorded = await crashBeforeSend();
      const { client } = interceptedClient(connection, {
        intercept: async ({ method }, pass) =>
          ["eth_sendRawTransaction", "eth_getTransactionByHash"].includes(method) ? undefined : pass(),
      });
      expect(await rejection(sendPreparedTransaction(client, recorded))).to.be.instanceOf(RpcUnavailableError);
    });

    it("can be repeated after an endpoint failed", async () => {
      const recorded = await crashBeforeSend();
      const { client } = interceptedClient(connection, {
        intercept: async ({ method }, pass) => {
          if (method === "eth_sendRawTransaction") throw rpcError(-32603, "internal error");
          return pass();
        },
      });
      expect(await rejection(sendPreparedTransaction(client, recorded))).to.be.instanceOf(RpcUnavailableError);
      expect(await sendPreparedTransaction(dstack.client, recorded)).to.equal(recorded.transactionHash);
    });

    it("reports missing funds", async () => {
      const recorded = await crashBeforeSend();
      const { address } = dstack.owner;
      await connection.networkHelpers.setBalance(address, 1n);
      const error = await rejection(sendPreparedTransaction(dstack.client, recorded));
      expect(error).to.be.instanceOf(InsufficientFundsError);
      const neededWei = `${recorded.gas * recorded.maxFeePerGas}`;
      expect(error).to.have.property("context").that.deep.equals({ signer: address, balanceWei: "1", neededWei });
      await connection.networkHelpers.setBalance(address, parseEther("1"));
      expect(await sendPreparedTransaction(dstack.client, recorded)).to.equal(recorded.transactionHash);
    });

    it("returns the hash of a transaction that was mined and reverted", async () => {
      const { client, owner } = dstack;
      const recorded = await crashBeforeSend();
      const tooLittleGas = { ...recorded, gas: 30_000n, type: "eip1559" } as const;
      const rawTransaction = await owner.signTransaction(tooLittleGas);
      const transactionHash = await sendPreparedTransaction(client, { ...recorded, rawTransaction });
      const error = await rejection(waitForReceipt(client, { transactionHash, functionName: "addComposeHash" }));
      expect(error).to.be.instanceOf(TransactionRevertedError);
    });
  });

  describe("without signed bytes", () => {
    it("sends the call while its nonce is free", async () => {
      const { address, appId } = await nodeAccount();
      const recorded = await crashBeforeSend(address, appId);
      expect(recorded).to.not.have.property("rawTransaction");
      await sendPreparedTransaction(dstack.client, recorded);
      expect(await readAllowlist(dstack.client, { appId, composeHash })).to.include({ composeHashAllowed: true });
      expect((await paid(address))[1]).to.equal(recorded.nonce + 1);
    });

    it("does not send it a second time, with or without a recorded hash", async () => {
      const { address, appId } = await nodeAccount();
      const recorded = await crashBeforeSend(address, appId);
      const transactionHash = await sendPreparedTransaction(dstack.client, recorded);
      const afterOnce = await paid(address);

      const { client, methods } = interceptedClient(connection);
      for (const known of [recorded, { ...recorded, transactionHash }]) {
        expect(await sendPreparedTransaction(client, known)).to.equal(transactionHash);
        await connection.networkHelpers.mine(7);
      }
      expect(methods, "a wallet would ask its user").to.not.include("eth_sendTransaction");
      expect(await paid(address)).to.deep.equal(afterOnce);
    });

    it("names another transaction with the nonce, and reports when none can be found", async () => {
      const { address, appId } = await nodeAccount();
      const recorded = await crashBeforeSend(address, appId);
      const takenBy = await sendTransaction(dstack.client, {
        account: address,
        chain: base,
        to: dstack.stranger.address,
        value: 1n,
      });
      const error = await rejection(sendPreparedTransaction(dstack.client, recorded));
      expect(error).to.be.instanceOf(NonceTakenError);
      expect((error as NonceTakenError).message).to.contain(takenBy);
      // A full node has no old states.
      const { client, methods } = interceptedClient(connection, {
        intercept: ({ method, params }, pass) =>
          method === "eth_getTransactionCount" && !["latest", "pending"].includes(String(params?.[1]))
            ? Promise.reject(rpcError(-32000, "missing trie node"))
            : pass(),
      });
      const unknown = await rejection(sendPreparedTransaction(client, recorded));
      expect(unknown).to.be.instanceOf(NonceTakenError);
      expect((unknown as NonceTakenError).taker).to.deep.equal({ kind: "notFound" });
      expect(methods).to.not.include("eth_sendTransaction");
    });

    it("counts pending transactions", async () => {
      const { address, appId } = await nodeAccount();
      const recorded = await crashBeforeSend(address, appId);
      await connection.provider.request({ method: "evm_setAutomine", params: [false] });
      try {
        await useNonce(dstack.client, address);
        const { client, methods } = interceptedClient(connection);
        expect(await rejection(sendPreparedTransaction(client, recorded))).to.be.instanceOf(NonceTakenError);
        expect(methods).to.not.include("eth_sendTransaction");
      } finally {
        await connection.provider.request({ method: "evm_setAutomine", params: [true] });
      }
    });
  });

  it("never sends to a chain other than the recorded one", async () => {
    const recorded = await crashBeforeSend();
    const elsewhere = interceptedClient(connection, {
      chain: mainnet,
      intercept: async ({ method }, pass) => (method === "eth_chainId" ? "0x1" : pass()),
    });
    const error = await rejection(sendPreparedTransaction(elsewhere.client, recorded));
    expect(error).to.be.instanceOf(WrongChainError);
    expect(elsewhere.methods).to.deep.equal(["eth_chainId"]);
    expect(await rejection(sendPreparedTransaction(clientOf(connection, mainnet), recorded))).to.be.instanceOf(
      WrongChainError,
    );
  });
});
