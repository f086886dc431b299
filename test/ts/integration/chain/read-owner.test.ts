import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { type Address, concat, encodeAbiParameters, getAddress, type Hex, numberToHex, zeroAddress } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { getBlockNumber } from "viem/actions";
import { readAppStatus } from "../../../../src/chain/read-app.ts";
import { readOwner } from "../../../../src/chain/read-owner.ts";
import { parseAppId } from "../../../../src/core/ids.ts";
import { ContractRevertedError } from "../../../../src/errors/index.ts";
import { answeringCode } from "../../../support/chain/answering-code.ts";
import { type Dstack, deployAppOf, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { deploySafe, deployTimelock } from "../../../support/chain/deploy-owner-contracts.ts";
import { rejection } from "../../../support/rejection.ts";

describe("readOwner", () => {
  let connection: NetworkConnection;
  let dstack: Dstack;
  const newAddress = (): Address => privateKeyToAccount(generatePrivateKey()).address;
  const uint = (value: bigint): Hex => numberToHex(value, { size: 32 });
  const codeAt = async (code: Hex): Promise<Address> => {
    const address = newAddress();
    await connection.networkHelpers.setCode(address, code);
    return address;
  };

  before(async () => {
    connection = await network.create("local");
  });
  beforeEach(async () => {
    dstack = await connection.networkHelpers.loadFixture(deployDstack);
  });

  it("tells a used account from an unused one", async () => {
    const { client, owner } = dstack;
    const common = { kind: "eoa", delegatedTo: undefined };
    expect(await readOwner(client, { address: owner.address })).to.deep.equal({
      address: owner.address,
      ...common,
      isUsed: true,
    });
    const address = newAddress();
    expect(await readOwner(client, { address })).to.deep.equal({ address, ...common, isUsed: false });
    await connection.networkHelpers.setBalance(address, 1n);
    expect(await readOwner(client, { address })).to.include({ isUsed: true });
  });

  it("reads an account that delegates as an account", async () => {
    const delegatedTo = getAddress(newAddress());
    const address = await codeAt(concat(["0xef0100", delegatedTo]));
    expect(await readOwner(dstack.client, { address })).to.include({ kind: "eoa", delegatedTo });
  });

  it("recognises a Safe, with version, threshold, owners and nonce", async () => {
    const { client, owner, stranger } = dstack;
    const owners = [owner.address, stranger.address, getAddress(newAddress())];
    const address = await deploySafe(client, { payer: owner, owners, threshold: 2 });
    expect(await readOwner(client, { address })).to.deep.equal({
      address,
      kind: "safe",
      version: "1.5.0",
      threshold: 2n,
      owners,
      nonce: 0n,
    });
  });

  it("recognises OpenZeppelin's timelock, with its delay", async () => {
    const { client, owner } = dstack;
    const address = await deployTimelock(client, owner, 172_800n);
    expect(await readOwner(client, { address })).to.deep.equal({
      address,
      kind: "timelock",
      minDelaySeconds: 172_800n,
    });
  });

  it("reads everything else as a contract, also one that answers like part of a Safe or timelock", async () => {
    const { client, owner, kms } = dstack;
    const text = encodeAbiParameters([{ type: "string" }], ["1.4.1"]);
    const owners = encodeAbiParameters([{ type: "address[]" }], [[owner.address]]);
    const like = (threshold: bigint) => ({
      "VERSION()": text,
      "getThreshold()": uint(threshold),
      "getOwners()": owners,
      "nonce()": uint(0n),
    });
    expect(await readOwner(client, { address: await codeAt(answeringCode(like(1n))) })).to.include({ kind: "safe" });
    const impostors = [
      answeringCode(like(0n)),
      answeringCode(like(2n)),
      answeringCode({ ...like(1n), "VERSION()": uint(1n) }),
      answeringCode({ ...like(1n), "getOwners()": uint(2n ** 200n) }),
      answeringCode({ "getMinDelay()": uint(60n) }),
      answeringCode({ "getMinDelay()": uint(60n), "PROPOSER_ROLE()": uint(1n) }),
      "0x00" as const,
    ];
    for (const code of impostors)
      expect(await readOwner(client, { address: await codeAt(code) }), code).to.include({ kind: "contract" });
    expect(await readOwner(client, { address: kms })).to.include({ kind: "contract" });
  });

  it("reads a renounced ownership", async () => {
    expect(await readOwner(dstack.client, { address: zeroAddress })).to.deep.equal({
      address: zeroAddress,
      kind: "renounced",
    });
  });

  it("reads the owner at the given block", async () => {
    const { client } = dstack;
    const blockNumber = await getBlockNumber(client, { cacheTime: 0 });
    const address = newAddress();
    await connection.networkHelpers.mine();
    await connection.networkHelpers.setBalance(address, 1n);
    expect(await readOwner(client, { address, blockNumber })).to.include({ isUsed: false });
    expect(await readOwner(client, { address })).to.include({ isUsed: true });
  });

  describe("readAppStatus", () => {
    it("reads an app with its owner and flags, at one block", async () => {
      const { client, owner, appImplementation } = dstack;
      const safe = await deploySafe(client, { payer: owner, owners: [owner.address], threshold: 1 });
      const appId = await deployAppOf(dstack, safe);
      const status = await readAppStatus(client, { appId });
      expect(status).to.deep.include({
        kind: "app",
        isTwoStep: true,
        allowAnyDevice: false,
        version: 2n,
        pendingOwner: undefined,
      });
      expect(status).to.have.nested.property("owner.kind", "safe");
      expect(status).to.have.property("implementation", getAddress(appImplementation));
    });

    it("recognises a KMS and an address without code, and refuses other contracts", async () => {
      const { client, kms, owner } = dstack;
      expect(await readAppStatus(client, { appId: parseAppId(kms) })).to.include({ kind: "kms" });
      expect(await readAppStatus(client, { appId: parseAppId(owner.address) })).to.include({ kind: "noCode" });
      const appId = parseAppId(await codeAt("0x00"));
      expect(await rejection(readAppStatus(client, { appId }))).to.be.instanceOf(ContractRevertedError);
    });
  });
});
