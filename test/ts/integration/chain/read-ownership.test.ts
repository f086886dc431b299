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

  it("tells a plain owner and that nobody is invited", async () => {
    const { client, appId, owner } = dstack;
    expect(await readOwnership(client, { appId })).to.include({
      owner: owner.address,
      isTwoStep: true,
      pendingOwner: undefined,
      ownerIsContract: false,
    });
  });

  it("tells who is invited, while the old owner still owns", async () => {
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

  it("tells the owner of a contract with one-step ownership", async () => {
    const { client, stranger } = dstack;
    const appId = parseAppId("01".repeat(20));
    await connection.networkHelpers.setCode(appId, answeringCode({ "owner()": pad(stranger.address) }));
    expect(await readOwnership(client, { appId })).to.include({
      owner: stranger.address,
      isTwoStep: false,
      pendingOwner: undefined,
    });
  });

  it("says so if the owner is a contract", async () => {
    const { client, kms } = dstack;
    const appId = await deployAppOf(dstack, kms);
    expect(await readOwnership(client, { appId })).to.include({ ownerIsContract: true });
  });

  it("counts an owner that delegates by EIP-7702 as a plain one, whose key still signs", async () => {
    const { client, appId, owner, kms } = dstack;
    await connection.networkHelpers.setCode(owner.address, concat(["0xef0100", kms]));
    expect(await readOwnership(client, { appId })).to.include({ owner: owner.address, ownerIsContract: false });

    const composeHash = parseComposeHash("0c".repeat(32));
    const transactionHash = await addComposeHash(client, { appId, composeHash, account: owner });
    const receipt = await waitForReceipt(client, { transactionHash, functionName: "addComposeHash" });
    expect(receipt.status).to.equal("success");
  });

  it("does not take longer code that starts like a delegation for one", async () => {
    const { client } = interceptedClient(connection, {
      // Put on the chain itself, such code would abort Hardhat's engine.
      intercept: async ({ method }, pass) => (method === "eth_getCode" ? `0xef0100${"00".repeat(21)}` : pass()),
    });
    expect(await readOwnership(client, { appId: dstack.appId })).to.include({ ownerIsContract: true });
  });

  it("tells renounced ownership", async () => {
    const { client, appId, owner } = dstack;
    const call = { address: appId, abi: dstackAppAbi, functionName: "renounceOwnership" } as const;
    const hash = await writeContract(client, { ...call, account: owner, chain: base });
    await waitForReceipt(client, { transactionHash: parseTransactionHash(hash), functionName: "renounceOwnership" });
    expect(await readOwnership(client, { appId })).to.include({ owner: zeroAddress, ownerIsContract: false });
  });

  it("refuses an address without code, and a contract without an owner", async () => {
    const { client } = dstack;
    const nobody = parseAppId("ab".repeat(20));
    expect(await rejection(readOwnership(client, { appId: nobody }))).to.be.instanceOf(NoContractError);
    await connection.networkHelpers.setCode(nobody, answeringCode({}));
    expect(await rejection(readOwnership(client, { appId: nobody }))).to.be.instanceOf(ContractRevertedError);
  });
});
