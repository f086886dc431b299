import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { encodeFunctionData, getAddress, pad } from "viem";
import { writeContract } from "viem/actions";
import { base } from "viem/chains";
import { readAppSettings } from "../../../../src/chain/read-app.ts";
import { setAllowAnyDevice } from "../../../../src/chain/set-allow-any-device.ts";
import { parseAppId } from "../../../../src/core/ids.ts";
import { NoContractError } from "../../../../src/errors/index.ts";
import { dstackAppAbi } from "../../../../src/generated/abi.ts";
import { answeringCode } from "../../../support/chain/answering-code.ts";
import { type Dstack, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { rejection } from "../../../support/rejection.ts";

describe("readAppSettings", () => {
  let connection: NetworkConnection;
  let dstack: Dstack;

  before(async () => {
    connection = await network.create("local");
  });

  beforeEach(async () => {
    dstack = await connection.networkHelpers.loadFixture(deployDstack);
  });

  it("reads a new app", async () => {
    const { client, appId, appImplementation } = dstack;
    expect(await readAppSettings(client, { appId })).to.include({
      allowAnyDevice: false,
      requireTcbUpToDate: false,
      version: 2n,
      implementation: getAddress(appImplementation),
      upgradesDisabled: false,
      shiftedAppId: undefined,
    });
  });

  it("reads an app of the first releases, whose flags lie one slot later", async () => {
    const { client, owner, kms } = dstack;
    const { address, abi } = await connection.viem.deployContract("AppAuthV042");
    const hash = pad("0x01");
    const args = [owner.address, kms, false, true, hash, hash] as const;
    const data = encodeFunctionData({ abi, functionName: "initialize", args });
    const proxy = await connection.viem.deployContract("ERC1967Proxy", [address, data]);
    const appId = parseAppId(proxy.address);
    const facts = {
      allowAnyDevice: true,
      requireTcbUpToDate: false,
      version: undefined,
      implementation: getAddress(address),
      shiftedAppId: getAddress(kms),
    };
    const open = await readAppSettings(client, { appId });
    expect(open).to.include({ ...facts, upgradesDisabled: false });
    expect(open.generation).to.include({ id: "first", releases: "0.4.2 to 0.5.3" });

    await writeContract(client, { account: owner, chain: base, address: appId, abi, functionName: "disableUpgrades" });
    expect(await readAppSettings(client, { appId })).to.include({ ...facts, upgradesDisabled: true });
  });

  it("reads the flags from their slot in a contract that only answers appId()", async () => {
    const { client } = dstack;
    const appId = parseAppId("03".repeat(20));
    const answers = { "allowAnyDevice()": pad("0x00"), "appId()": pad(appId) };
    await connection.networkHelpers.setCode(appId, answeringCode(answers));
    await connection.networkHelpers.setStorageAt(appId, 1, pad("0x01"));
    expect(await readAppSettings(client, { appId })).to.include({
      shiftedAppId: getAddress(appId),
      upgradesDisabled: true,
    });

    await connection.networkHelpers.setCode(appId, answeringCode({ ...answers, "appId()": pad("0x") }));
    expect(await readAppSettings(client, { appId })).to.include({ shiftedAppId: undefined });
  });

  it("keeps the two flags that share a word apart", async () => {
    const { client, appId, owner } = dstack;
    await setAllowAnyDevice(client, { appId, allowAnyDevice: true, account: owner });
    expect(await readAppSettings(client, { appId })).to.include({ allowAnyDevice: true, upgradesDisabled: false });

    const call = { account: owner, chain: base, address: appId, abi: dstackAppAbi } as const;
    await writeContract(client, { ...call, functionName: "disableUpgrades" });
    await writeContract(client, { ...call, functionName: "setRequireTcbUpToDate", args: [true] });
    await setAllowAnyDevice(client, { appId, allowAnyDevice: false, account: owner });
    expect(await readAppSettings(client, { appId })).to.include({
      allowAnyDevice: false,
      requireTcbUpToDate: true,
      upgradesDisabled: true,
    });
  });

  it("reads the past at one block", async () => {
    const { client, appId, owner } = dstack;
    const { blockNumber } = await readAppSettings(client, { appId });
    const call = { account: owner, chain: base, address: appId, abi: dstackAppAbi } as const;
    await writeContract(client, { ...call, functionName: "disableUpgrades" });
    expect(await readAppSettings(client, { appId, blockNumber })).to.include({ blockNumber, upgradesDisabled: false });
  });

  it("reads an app without version, TCB flag and proxy", async () => {
    const { client } = dstack;
    const appId = parseAppId("01".repeat(20));
    await connection.networkHelpers.setCode(appId, answeringCode({ "allowAnyDevice()": pad("0x01") }));
    expect(await readAppSettings(client, { appId })).to.include({
      allowAnyDevice: true,
      requireTcbUpToDate: false,
      version: undefined,
      implementation: undefined,
      upgradesDisabled: false,
    });
  });

  it("refuses an address without code", async () => {
    const appId = parseAppId("ab".repeat(20));
    expect(await rejection(readAppSettings(dstack.client, { appId }))).to.be.instanceOf(NoContractError);
  });
});
