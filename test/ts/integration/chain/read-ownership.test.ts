import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { concat, pad, zeroAddress } from "viem";
import { writeContract } from "viem/actions";
import { base } from "viem/chains";
import { addComposeHash } from "../../../../src/chain/add-compose-hash.ts";
import { readOwnership } from "../../../../src/chain/read-app.ts";
import { waitForReceipt } from "../../../../src/chain/transactions/receipt.ts";
import { parseAppId, parseComposeHash, parseTransactionHash } from "../../../../src/core/ids.ts";
import { ContractRevertedError, NoContractError } from "../../../../src/errors/index.ts";
import { dstackAppAbi } from "../../../../src/generated/abi.ts";
import { answeringCode } from "../../../support/chain/answering-code.ts";
import { type Dstack, deployAppOf, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { interceptedClient } from "../../../support/chain/intercepted-client.ts";
import { rejection } from "../../../support/rejection.ts";

describe("readOwnership", () => {
  let connection: NetworkConnection;
  let dstack: Dstack;

  before(async () => {
    connection = await network.create("local");
  });

  beforeEach(async () => {
    dstack = await connection.networkHelpers.loadFixture(deployDstack);
  });

  it("reads an account as the owner, without a pending owner", async () => {
    const { client, appId, owner } = dstack;
    expect(await readOwnership(client, { appId })).to.include({
      owner: owner.address,
      isTwoStep: true,
      pendingOwner: undefined,
      ownerIsContract: false,
    });
  });

  it("reads the pending owner, while the old owner still owns", async () => {
    const { client, appId, owner, stranger } = dstack;
    await writeContract(client, {
      account: owner,
      chain: base,
      address: appId,
      abi: dstackAppAbi,
      functionName: "transferOwnership",
      args: [stranger.address],
    });
    expect(await readOwnership(client, { appId })).to.include({
      owner: owner.address,
      pendingOwner: stranger.address,
    });
  });

  it("reads the owner of a contract with one-step ownership", async () => {
    const { client, stranger } = dstack;
    const appId = parseAppId("01".repeat(20));
    await connection.networkHelpers.setCode(appId, answeringCode({ "owner()": pad(stranger.address) }));
    expect(await readOwnership(client, { appId })).to.include({
      owner: stranger.address,
      isTwoStep: false,
      pendingOwner: undefined,
    });
  });

  it("recognises an owner that is a contract", async () => {
    const { client, kms } = dstack;
    const appId = await deployAppOf(dstack, kms);
    expect(await readOwnership(client, { appId })).to.include({ ownerIsContract: true });
  });

  it("reads an owner that delegates by EIP-7702 as an account, because its key still signs", async () => {
    const { client, appId, owner, kms } = dstack;
    await connection.networkHelpers.setCode(owner.address, concat(["0xef0100", kms]));
    expect(await readOwnership(client, { appId })).to.include({ owner: owner.address, ownerIsContract: false });

    const composeHash = parseComposeHash("0c".repeat(32));
    const transactionHash = await addComposeHash(client, { appId, composeHash, account: owner });
    const receipt = await waitForReceipt(client, { transactionHash, functionName: "addComposeHash" });
    expect(receipt.status).to.equal("success");
  });

  it("does not read longer code that starts like a delegation as one", async () => {
    const { client } = interceptedClient(connection, {
      // Put on the chain itself, such code would abort Hardhat's engine.
      intercept: async ({ method }, pass) => (method === "eth_getCode" ? `0xef0100${"00".repeat(21)}` : pass()),
    });
    expect(await readOwnership(client, { appId: dstack.appId })).to.include({ ownerIsContract: true });
  });

  it("recognises a renounced ownership", async () => {
    const { client, appId, owner } = dstack;
    const call = { address: appId, abi: dstackAppAbi, functionName: "renounceOwnership" } as const;
    const hash = await writeContract(client, { ...call, account: owner, chain: base });
    await waitForReceipt(client, { transactionHash: parseTransactionHash(hash), functionName: "renounceOwnership" });
    expect(await readOwnership(client, { appId })).to.include({ owner: zeroAddress, ownerIsContract: false });
  });

  it("refuses an address without code, and a contract without an owner", async () => {
    const { client } = dstack;
    const absent = parseAppId("ab".repeat(20));
    expect(await rejection(readOwnership(client, { appId: absent }))).to.be.instanceOf(NoContractError);
    await connection.networkHelpers.setCode(absent, answeringCode({}));
    expect(await rejection(readOwnership(client, { appId: absent }))).to.be.instanceOf(ContractRevertedError);
  });
});
