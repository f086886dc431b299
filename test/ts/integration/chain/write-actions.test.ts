import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { encodeFunctionData, HttpRequestError, parseEther, zeroAddress, zeroHash } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { getBalance, getBlockNumber, getTransaction, getTransactionCount, readContract } from "viem/actions";
import { mainnet } from "viem/chains";
import { sendBatch } from "../../../../src/batch/send-batch.ts";
import { addComposeHash } from "../../../../src/chain/add-compose-hash.ts";
import { addDevice } from "../../../../src/chain/add-device.ts";
import type { ChainClient } from "../../../../src/chain/client.ts";
import { deployApp } from "../../../../src/chain/deploy-app.ts";
import { readAllowlist, readAppSettings } from "../../../../src/chain/read-app.ts";
import { removeComposeHash } from "../../../../src/chain/remove-compose-hash.ts";
import { removeDevice } from "../../../../src/chain/remove-device.ts";
import { setAllowAnyDevice } from "../../../../src/chain/set-allow-any-device.ts";
import { type Ledger, memoryLedger } from "../../../../src/chain/transactions/ledger.ts";
import { waitForTransactions } from "../../../../src/chain/transactions/look-at-transactions.ts";
import type { PreparedTransaction } from "../../../../src/chain/transactions/prepare.ts";
import { waitForReceipt } from "../../../../src/chain/transactions/receipt.ts";
import { sendCall, type WriteParameters } from "../../../../src/chain/transactions/send-call.ts";
import { deployedApp, requireEvent } from "../../../../src/core/events.ts";
import { parseAppId, parseComposeHash, parseDeviceId, type TransactionHash } from "../../../../src/core/ids.ts";
import { addComposeHashCall } from "../../../../src/core/owner-calls.ts";
import {
  ContractOwnerError,
  ContractRevertedError,
  InsufficientFundsError,
  InvalidHexError,
  NoContractError,
  NoEffectError,
  NotOwnerError,
  ReceiptMismatchError,
  RpcUnavailableError,
  SignerRequiredError,
  WrongChainError,
} from "../../../../src/errors/index.ts";
import { dstackKmsAbi } from "../../../../src/generated/abi.ts";
import { clientOf, type Dstack, deployAppOf, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { interceptedClient, rpcError } from "../../../support/chain/intercepted-client.ts";
import { Crash, crashingLedger, crashingOnceRecorded } from "../../../support/ledger/crashing-ledger.ts";
import { rejection } from "../../../support/rejection.ts";

const newHash = parseComposeHash("0c".repeat(32));
const newDevice = parseDeviceId("ed".repeat(32));

describe("paying actions", () => {
  let connection: NetworkConnection;
  let dstack: Dstack;

  before(async () => {
    connection = await network.create("local");
  });

  beforeEach(async () => {
    dstack = await connection.networkHelpers.loadFixture(deployDstack);
  });

  function receiptOf(transactionHash: TransactionHash) {
    return waitForReceipt(dstack.client, { transactionHash, functionName: "test" });
  }

  describe("for the owner", () => {
    it("addComposeHash allows the hash, and a repeat proves it again", async () => {
      const { client, appId, owner } = dstack;
      const event = { emitter: appId, eventName: "ComposeHashAdded", value: newHash } as const;
      for (const time of ["first", "second"]) {
        const transactionHash = await addComposeHash(client, { appId, composeHash: newHash, account: owner });
        requireEvent(await receiptOf(transactionHash), event);
        expect(await readAllowlist(client, { appId, composeHash: newHash }), time).to.include({
          composeHashAllowed: true,
        });
      }
    });

    it("a receipt of one app proves nothing about another", async () => {
      const { client, appId, owner } = dstack;
      const other = await deployAppOf(dstack, owner.address);
      const receipt = await receiptOf(
        await addComposeHash(client, { appId: other, composeHash: newHash, account: owner }),
      );
      requireEvent(receipt, { emitter: other, eventName: "ComposeHashAdded", value: newHash });
      expect(() => requireEvent(receipt, { emitter: appId, eventName: "ComposeHashAdded", value: newHash })).to.throw(
        ReceiptMismatchError,
      );
    });

    it("removeComposeHash withdraws the hash", async () => {
      const { client, appId, owner, composeHash } = dstack;
      const transactionHash = await removeComposeHash(client, { appId, composeHash, account: owner });
      const event = { emitter: appId, eventName: "ComposeHashRemoved", value: composeHash } as const;
      requireEvent(await receiptOf(transactionHash), event);
      expect(await readAllowlist(client, { appId, composeHash })).to.include({ composeHashAllowed: false });
    });

    it("addDevice and removeDevice list and unlist a device", async () => {
      const { client, appId, owner } = dstack;
      const added = await addDevice(client, { appId, deviceId: newDevice, account: owner });
      requireEvent(await receiptOf(added), { emitter: appId, eventName: "DeviceAdded", value: newDevice });
      expect(await readAllowlist(client, { appId, deviceId: newDevice })).to.include({ deviceListed: true });

      const removed = await removeDevice(client, { appId, deviceId: newDevice, account: owner });
      requireEvent(await receiptOf(removed), { emitter: appId, eventName: "DeviceRemoved", value: newDevice });
      expect(await readAllowlist(client, { appId, deviceId: newDevice })).to.include({ deviceListed: false });
    });

    it("setAllowAnyDevice switches both ways", async () => {
      const { client, appId, owner } = dstack;
      for (const allowAnyDevice of [true, false]) {
        const transactionHash = await setAllowAnyDevice(client, { appId, allowAnyDevice, account: owner });
        const event = { emitter: appId, eventName: "AllowAnyDeviceSet", value: allowAnyDevice } as const;
        requireEvent(await receiptOf(transactionHash), event);
        expect(await readAllowlist(client, { appId })).to.include({ allowAnyDevice });
      }
    });
  });

  describe("deployApp", () => {
    it("deploys a registered app for another owner than the payer", async () => {
      const { client, kms, stranger, composeHash, deviceId } = dstack;
      const owner = privateKeyToAccount(generatePrivateKey()).address;
      const transactionHash = await deployApp(client, { account: stranger, kms, owner, composeHash, deviceId });
      const receipt = await receiptOf(transactionHash);
      const appId = deployedApp(receipt, { kms });
      requireEvent(receipt, { emitter: appId, eventName: "ComposeHashAdded", value: composeHash });
      expect(await readAllowlist(client, { appId, composeHash, deviceId })).to.include({
        owner,
        composeHashAllowed: true,
        deviceListed: true,
      });
      const call = { address: kms, abi: dstackKmsAbi, functionName: "registeredApps", args: [appId] } as const;
      expect(await readContract(client, call)).to.equal(true);
    });

    const none = { allowAnyDevice: false, requireTcbUpToDate: false, disableUpgrades: false };
    for (const setting of Object.keys(none)) {
      it(`sets only ${setting}`, async () => {
        const { client, kms, stranger } = dstack;
        const wanted = { ...none, [setting]: true };
        const deployment = { account: stranger, kms, owner: stranger.address, ...wanted };
        const appId = deployedApp(await receiptOf(await deployApp(client, deployment)), { kms });
        const { allowAnyDevice, requireTcbUpToDate, upgradesDisabled } = await readAppSettings(client, { appId });
        expect({ allowAnyDevice, requireTcbUpToDate, disableUpgrades: upgradesDisabled }).to.deep.equal(wanted);
      });
    }

    it("deploys a closed app by default", async () => {
      const { client, kms, stranger, owner, composeHash, deviceId } = dstack;
      const transactionHash = await deployApp(client, { account: stranger, kms, owner: owner.address });
      const appId = deployedApp(await receiptOf(transactionHash), { kms });
      expect(await readAllowlist(client, { appId, composeHash, deviceId })).to.include({
        allowAnyDevice: false,
        requireTcbUpToDate: false,
        composeHashAllowed: false,
        deviceListed: false,
      });
      expect(await readAppSettings(client, { appId })).to.include({ upgradesDisabled: false });
    });

    it("refuses an owner's address with a wrong checksum", async () => {
      const { client, kms, stranger } = dstack;
      const typo = "0xd8DA6BF26964aF9D7eEd9e03E53415D37aA96045"; // one letter's case is wrong
      const error = await rejection(deployApp(client, { account: stranger, kms, owner: typo }));
      expect(error).to.be.instanceOf(InvalidHexError);
    });

    it("reports the factory's reason for a refusal", async () => {
      const { client, kms, stranger } = dstack;
      const error = await rejection(deployApp(client, { account: stranger, kms, owner: zeroAddress }));
      expect(error).to.be.instanceOf(ContractRevertedError);
      expect(error).to.have.nested.property("context.reason", "Invalid owner address");
    });
  });

  const actions: Record<string, (client: ChainClient, write: WriteParameters) => Promise<TransactionHash>> = {
    addComposeHash: (client, write) => addComposeHash(client, { ...write, appId: dstack.appId, composeHash: newHash }),
    removeComposeHash: (client, write) =>
      removeComposeHash(client, { ...write, appId: dstack.appId, composeHash: dstack.composeHash }),
    addDevice: (client, write) => addDevice(client, { ...write, appId: dstack.appId, deviceId: newDevice }),
    removeDevice: (client, write) => removeDevice(client, { ...write, appId: dstack.appId, deviceId: dstack.deviceId }),
    setAllowAnyDevice: (client, write) =>
      setAllowAnyDevice(client, { ...write, appId: dstack.appId, allowAnyDevice: true }),
  };
  for (const [name, act] of Object.entries(actions)) {
    it(`${name} refuses a stranger before anything is paid, and names owner and signer`, async () => {
      const { client, appId, owner, stranger } = dstack;
      const blockNumber = await getBlockNumber(client, { cacheTime: 0 });
      const error = await rejection(act(client, { account: stranger }));
      expect(error).to.be.instanceOf(NotOwnerError).and.not.instanceOf(ContractOwnerError);
      expect(error).to.have.property("context").that.deep.equals({
        contract: appId,
        signer: stranger.address,
        owner: owner.address,
      });
      expect(await getBlockNumber(client, { cacheTime: 0 })).to.equal(blockNumber);
    });
  }

  it("names the contract's own reason for refusing zero, before anything is paid", async () => {
    const { client, appId, owner } = dstack;
    const before = await getTransactionCount(client, { address: owner.address });
    const hash = await rejection(
      addComposeHash(client, { appId, composeHash: parseComposeHash(zeroHash), account: owner }),
    );
    expect(hash).to.be.instanceOf(ContractRevertedError).with.nested.property("context.reason", "invalid compose hash");
    const device = await rejection(addDevice(client, { appId, deviceId: parseDeviceId(zeroHash), account: owner }));
    expect(device).to.be.instanceOf(ContractRevertedError).with.nested.property("context.reason", "invalid device ID");
    expect(await getTransactionCount(client, { address: owner.address })).to.equal(before);

    const removed = await removeDevice(client, { appId, deviceId: parseDeviceId(zeroHash), account: owner });
    expect((await receiptOf(removed)).status).to.equal("success");
  });

  it("reports an owner that is a contract, because no key can sign for it", async () => {
    const { client, kms, owner } = dstack;
    const appId = await deployAppOf(dstack, kms);
    const error = await rejection(addComposeHash(client, { appId, composeHash: newHash, account: owner }));
    expect(error).to.be.instanceOf(ContractOwnerError);
    expect(error).to.include({ signer: owner.address, ownerIsContract: true });
  });

  it("names the contract's other custom errors", async () => {
    const { client, kms, owner } = dstack;
    const functionName = "initialize";
    const data = encodeFunctionData({ abi: dstackKmsAbi, functionName, args: [owner.address, zeroAddress] });
    const call = { to: kms, data, abi: dstackKmsAbi, functionName, calls: [], purpose: { kind: "batch" } } as const;
    const error = await rejection(sendCall(client, call, { account: owner }));
    expect(error).to.be.instanceOf(ContractRevertedError);
    expect(error).to.have.nested.property("context.reason", "InvalidInitialization()");
  });

  it("refuses an endpoint whose chain is not the given one, or not the client's", async () => {
    const { client, owner } = dstack;
    const { addComposeHash: act } = actions;
    if (act === undefined) throw new Error("listed above");
    for (const [wrong, chainId] of [
      [client, 1],
      [clientOf(connection, mainnet), undefined],
    ] as const) {
      const error = await rejection(act(wrong, { account: owner, chainId }));
      expect(error).to.be.instanceOf(WrongChainError);
      expect(error).to.have.property("context").that.deep.equals({ expected: 1, actual: 8453 });
    }
    await act(client, { account: owner, chainId: 8453 });
  });

  it("refuses an address without code, where every call would succeed", async () => {
    const { client, owner } = dstack;
    const appId = parseAppId("ab".repeat(20));
    const error = await rejection(addComposeHash(client, { appId, composeHash: newHash, account: owner }));
    expect(error).to.be.instanceOf(NoContractError);
    expect(error).to.have.property("context").that.deep.equals({ address: appId, chainId: 8453 });
  });

  it("refuses a client without an account", async () => {
    const { client, appId } = dstack;
    const error = await rejection(addComposeHash(client, { appId, composeHash: newHash }));
    expect(error).to.be.instanceOf(SignerRequiredError);
  });

  describe("says whose funds are missing when the node refuses", () => {
    const refusals: readonly (readonly [method: string, words: string, neededWei?: string])[] = [
      ["eth_call", "insufficient funds for gas * price + value: address 0x01 have 3 want 71", "71"],
      ["eth_estimateGas", "insufficient funds for gas * price + value: address 0x01 have 3 want 71", "71"],
      [
        "eth_estimateGas",
        "Sender doesn't have enough funds to send tx. The max upfront cost is: 72 and the sender's balance is: 3.",
        "72",
      ],
      ["eth_estimateGas", "insufficient funds for transfer"],
      ["eth_sendRawTransaction", "insufficient funds for gas * price + value: balance 3, tx cost 71, overshot 68"],
    ];
    for (const [method, words, neededWei] of refusals)
      it(`${method}: ${words.slice(0, 40)}`, async () => {
        const { client } = interceptedClient(connection, {
          intercept: (call, pass) => (call.method === method ? Promise.reject(rpcError(-32000, words)) : pass()),
        });
        const account = dstack.owner;
        const error = await rejection(addComposeHash(client, { appId: dstack.appId, composeHash: newHash, account }));
        expect(error).to.be.instanceOf(InsufficientFundsError);
        expect(error).to.have.nested.property("context.signer", account.address);
        expect(error)
          .to.have.nested.property("context.balanceWei")
          .that.matches(/^[1-9]\d+$/);
        if (neededWei !== undefined) expect(error).to.have.nested.property("context.neededWei", neededWei);
      });

    it("but not that a contract reverted with these words, or that a plan is used up", async () => {
      const { client } = interceptedClient(connection, {
        intercept: ({ method }, pass) =>
          method === "eth_estimateGas" ? Promise.reject(rpcError(3, "execution reverted: insufficient funds")) : pass(),
      });
      const write = { appId: dstack.appId, composeHash: newHash, account: dstack.owner };
      expect(await rejection(addComposeHash(client, write))).to.be.instanceOf(ContractRevertedError);
      const plan = new HttpRequestError({ url: "http://127.0.0.1", status: 402, details: "insufficient funds" });
      const unpaid = interceptedClient(connection, {
        intercept: ({ method }, pass) => (method === "eth_estimateGas" ? Promise.reject(plan) : pass()),
      });
      expect(await rejection(addComposeHash(unpaid.client, write))).to.be.instanceOf(RpcUnavailableError);
    });
  });

  it("refuses an owner without funds, or with too little, before anything is sent", async () => {
    const poor = privateKeyToAccount(generatePrivateKey());
    const appId = await deployAppOf(dstack, poor.address);
    for (const balance of [0n, 1n]) {
      await connection.networkHelpers.setBalance(poor.address, balance);
      const { client, methods } = interceptedClient(connection);
      const error = await rejection(addComposeHash(client, { appId, composeHash: newHash, account: poor }));
      expect(error).to.be.instanceOf(InsufficientFundsError);
      expect(error)
        .to.have.property("context")
        .that.includes({ signer: poor.address, balanceWei: `${balance}` })
        .and.has.property("neededWei")
        .that.matches(/^[1-9]\d+$/);
      expect(methods).to.not.include("eth_sendRawTransaction");
    }
  });

  it("shows the final transaction before it is sent, and sends exactly that", async () => {
    const { client, appId, owner } = dstack;
    const shown: PreparedTransaction[] = [];
    const transactionHash = await addComposeHash(client, {
      appId,
      composeHash: newHash,
      account: owner,
      beforeSend: async (prepared) => {
        expect(await getTransactionCount(client, { address: owner.address, blockTag: "pending" })).to.equal(
          prepared.nonce,
        );
        shown.push(prepared);
      },
    });
    const [prepared] = shown;
    expect(shown).to.have.lengthOf(1);
    expect(prepared).to.include({
      chainId: 8453,
      from: owner.address,
      to: appId,
      functionName: "addComposeHash",
      transactionHash,
    });
    const { nonce, gas, maxFeePerGas, maxPriorityFeePerGas, input } = await getTransaction(client, {
      hash: transactionHash,
    });
    expect(prepared).to.deep.include({ nonce, gas, maxFeePerGas, maxPriorityFeePerGas, data: input });
  });

  it("sends nothing when the transaction cannot be recorded first", async () => {
    const { appId, owner } = dstack;
    const { client, methods } = interceptedClient(connection);
    const diskFull = new Error("disk full");
    const beforeSend = () => {
      throw diskFull;
    };
    const failed = await rejection(addComposeHash(client, { appId, composeHash: newHash, account: owner, beforeSend }));
    expect(failed).to.equal(diskFull);
    expect(methods.filter((method) => method.startsWith("eth_send"))).to.deep.equal([]);
    expect(await readAllowlist(client, { appId, composeHash: newHash })).to.include({ composeHashAllowed: false });
  });

  it("lets the node sign for an address, with every other field set here", async () => {
    const [wallet] = await connection.viem.getWalletClients();
    if (wallet === undefined) throw new Error("Hardhat's chain has accounts");
    const account = wallet.account.address;
    const appId = await deployAppOf(dstack, account);
    const { client, methods } = interceptedClient(connection);
    let prepared: PreparedTransaction | undefined;
    const transactionHash = await addComposeHash(client, {
      appId,
      composeHash: newHash,
      account,
      beforeSend: (shown) => {
        prepared = shown;
      },
    });
    expect(methods).to.include("eth_sendTransaction").and.not.include("eth_sendRawTransaction");
    expect(prepared).to.not.have.property("rawTransaction");
    const { nonce, gas, maxFeePerGas, maxPriorityFeePerGas } = await getTransaction(client, { hash: transactionHash });
    expect(prepared).to.deep.include({ nonce, gas, maxFeePerGas, maxPriorityFeePerGas });
    requireEvent(await receiptOf(transactionHash), { emitter: appId, eventName: "ComposeHashAdded", value: newHash });
  });

  it("uses the client's own account, as hardhat-viem's wallet clients have one", async () => {
    const [wallet] = await connection.viem.getWalletClients();
    if (wallet === undefined) throw new Error("Hardhat's chain has accounts");
    const appId = await deployAppOf(dstack, wallet.account.address);
    const transactionHash = await addComposeHash(wallet, { appId, composeHash: newHash });
    expect(await getTransaction(dstack.client, { hash: transactionHash })).to.include({ from: wallet.account.address });
  });

  it("allows for twice the base fee, and a priority fee of at most 3 gwei", async () => {
    const { appId, owner } = dstack;
    const { client } = interceptedClient(connection, {
      intercept: async ({ method }, pass) => {
        if (method === "eth_maxPriorityFeePerGas") return `0x${parseEther("1").toString(16)}`;
        return pass();
      },
    });
    const balance = await getBalance(client, { address: owner.address });
    let prepared: PreparedTransaction | undefined;
    const transactionHash = await addComposeHash(client, {
      appId,
      composeHash: newHash,
      account: owner,
      beforeSend: (shown) => {
        prepared = shown;
      },
    });
    const { effectiveGasPrice, gasUsed } = await receiptOf(transactionHash);
    expect(prepared?.maxPriorityFeePerGas).to.equal(3_000_000_000n);
    expect(Number(prepared?.gas)).to.be.within(Number(gasUsed), Number(gasUsed) * 1.5);
    const baseFee = effectiveGasPrice - 3_000_000_000n;
    expect(Number(prepared?.maxFeePerGas)).to.be.at.least(Number(2n * baseFee + 3_000_000_000n) * 0.9);
    expect(await getBalance(client, { address: owner.address })).to.equal(balance - gasUsed * effectiveGasPrice);
  });

  describe("with a ledger", () => {
    const count = () => getTransactionCount(dstack.client, { address: dstack.owner.address });
    const add = (ledger: Ledger, client = dstack.client) =>
      addComposeHash(client, { appId: dstack.appId, composeHash: newHash, account: dstack.owner, ledger });

    it("record the transaction before it is sent, and pay once when they are called again after a crash", async () => {
      let isOver = false;
      for (let write = 1; !isOver; write++)
        for (const when of ["before", "after"] as const) {
          dstack = await connection.networkHelpers.loadFixture(deployDstack);
          const ledger = memoryLedger();
          const nonce = await count();
          const first = await add(crashingLedger(ledger, { write, when })).catch((error: unknown) => error);
          if (first instanceof Crash) await add(ledger);
          else isOver = true;
          expect(await count(), `${write} ${when}`).to.equal(nonce + 1);
          const [transaction, ...more] = ledger.transactions();
          expect(more).to.deep.equal([]);
          const { client, owner: account } = dstack;
          if (transaction === undefined) throw new Error("it was recorded");
          await waitForTransactions(client, { ledger, account, transactions: [transaction] });
          expect(ledger.transactions()[0]).to.include({ state: "mined", nonce });
        }
      expect(isOver).to.equal(true);
    });

    it("send an open record of the same call again, and what has a lower nonce before it", async () => {
      const ledger = memoryLedger();
      const nonce = await count();
      const { appId, owner: account, client } = dstack;
      await rejection(add(crashingOnceRecorded(ledger)));
      const other = { appId, deviceId: newDevice, account, ledger };
      await rejection(addDevice(client, { ...other, ledger: crashingOnceRecorded(ledger) }));
      expect(await count()).to.equal(nonce);
      const again = await addDevice(client, other);
      expect(ledger.transactions()[1]?.attempts[0]?.transactionHash).to.equal(again);
      await receiptOf(again);
      expect(await count()).to.equal(nonce + 2);
      expect(await readAllowlist(client, { appId, composeHash: newHash, deviceId: newDevice })).to.include({
        ...{ composeHashAllowed: true, deviceListed: true },
      });
    });

    it("are no unfinished command for a batch with the same call", async () => {
      const ledger = memoryLedger();
      const { client, owner: account, appId } = dstack;
      await receiptOf(await add(ledger));
      const calls = [addComposeHashCall({ appId, composeHash: newHash })];
      const { transactions } = await sendBatch(client, { calls, account, ledger, mode: "none" });
      expect(
        transactions.map(({ isFromRecord }) => isFromRecord),
        "it was still open",
      ).to.deep.equal([true]);
      expect(await rejection(sendBatch(client, { calls, account, ledger }))).to.be.instanceOf(NoEffectError);
    });

    it("deploy an app once, when they are called again after a crash", async () => {
      const ledger = memoryLedger();
      const { client, owner: account, kms } = dstack;
      const nonce = await count();
      const app = { account, kms, owner: account.address };
      await rejection(deployApp(client, { ...app, ledger: crashingOnceRecorded(ledger) }));
      const appId = deployedApp(await receiptOf(await deployApp(client, { ...app, ledger })), { kms });
      expect(await count()).to.equal(nonce + 1);
      expect((await readAllowlist(client, { appId })).owner).to.equal(account.address);
    });
  });

  it("uses the named fees", async () => {
    const { client, appId, owner: account } = dstack;
    const fees = { maxFeePerGas: 50_000_000_000n, maxPriorityFeePerGas: 4_000_000_000n };
    const hash = await addComposeHash(client, { appId, composeHash: newHash, account, ...fees });
    expect(await getTransaction(client, { hash })).to.include(fees);
  });

  it("uses the given nonce, for endpoints that count late", async () => {
    const { client, appId, owner } = dstack;
    const next = await getTransactionCount(client, { address: owner.address });
    const stale = interceptedClient(connection, {
      intercept: async ({ method }, pass) =>
        method === "eth_getTransactionCount" ? `0x${(next - 1).toString(16)}` : pass(),
    });
    const transactionHash = await addComposeHash(stale.client, {
      appId,
      composeHash: newHash,
      account: owner,
      nonce: next,
    });
    expect(await getTransaction(client, { hash: transactionHash })).to.include({ nonce: next });
  });
});
