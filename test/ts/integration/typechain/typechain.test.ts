import { expect } from "chai";
import {
  type ContractTransactionReceipt,
  type ContractTransactionResponse,
  type Log,
  ZeroAddress,
  ZeroHash,
} from "ethers";
import { network } from "hardhat";
import {
  type DstackApp,
  DstackApp__factory,
  type DstackKms,
  DstackKms__factory,
  ERC1967Proxy__factory,
  IAppAuth__factory,
  IAppAuthBasicManagement__factory,
} from "../../../../src/typechain/index.ts";
import { rejection } from "../../../support/rejection.ts";

const composeHash = `0x${"c0".repeat(32)}`;
const deviceId = `0x${"de".repeat(32)}`;

describe("TypeChain bindings for ethers", () => {
  async function deploy() {
    const { ethers } = await network.create("local");
    const [owner, stranger] = await ethers.getSigners();
    if (owner === undefined || stranger === undefined) throw new Error("Hardhat's chain has accounts");
    const implementation = await new DstackApp__factory(owner).deploy();
    const kmsImplementation = await new DstackKms__factory(owner).deploy();
    const initialize = kmsImplementation.interface.encodeFunctionData("initialize", [
      owner.address,
      await implementation.getAddress(),
    ]);
    const proxy = await new ERC1967Proxy__factory(owner).deploy(await kmsImplementation.getAddress(), initialize);
    const kms = DstackKms__factory.connect(await proxy.getAddress(), owner);
    return { owner, stranger, kms };
  }

  async function mined(sent: Promise<ContractTransactionResponse>): Promise<ContractTransactionReceipt> {
    const receipt = await (await sent).wait();
    if (receipt === null) throw new Error("one confirmation was waited for");
    return receipt;
  }

  async function deployApp(kms: DstackKms, owner: string): Promise<string> {
    const factory = kms["deployAndRegisterApp(address,bool,bool,bool,bytes32,bytes32)"];
    const { logs } = await mined(factory(owner, false, false, false, deviceId, ZeroHash));
    const deployed = logs
      .map((log: Log) => kms.interface.parseLog(log))
      .find((event) => event?.name === "AppDeployedViaFactory");
    return deployed?.args.appId;
  }

  it("deploys, attaches, writes and reads", async () => {
    const { owner, kms } = await deploy();
    const app: DstackApp = DstackApp__factory.connect(await deployApp(kms, owner.address), owner);
    expect(await kms.registeredApps(app)).to.equal(true);
    expect(await app.owner()).to.equal(owner.address);
    expect(await app.allowedComposeHashes(composeHash)).to.equal(false);
    await mined(app.addComposeHash(composeHash));
    expect(await app.allowedComposeHashes(composeHash)).to.equal(true);

    await mined(kms.addOsImageHash(ZeroHash));
    const measured = {
      mrAggregated: ZeroHash,
      mrSystem: ZeroHash,
      osImageHash: ZeroHash,
      tcbStatus: "",
      advisoryIds: [],
    };
    const bootInfo = { appId: app, composeHash, instanceId: ZeroAddress, deviceId, ...measured };
    const verdict = await IAppAuth__factory.connect(await kms.getAddress(), owner).isAppAllowed(bootInfo);
    expect([verdict.isAllowed, verdict.reason]).to.deep.equal([true, ""]);
  });

  it("finds and parses events by their type", async () => {
    const { owner, kms } = await deploy();
    const management = IAppAuthBasicManagement__factory.connect(await deployApp(kms, owner.address), owner);
    const { blockNumber } = await mined(management.addComposeHash(composeHash));
    const events = await management.queryFilter(management.filters.ComposeHashAdded(), blockNumber);
    expect(events.map(({ args }) => args.composeHash)).to.deep.equal([composeHash]);
  });

  it("decodes the custom error that a stranger gets", async () => {
    const { owner, stranger, kms } = await deploy();
    const app = DstackApp__factory.connect(await deployApp(kms, owner.address), stranger);
    const error = await rejection(app.addComposeHash.staticCall(composeHash));
    const data: unknown = Reflect.get(Object(error), "data");
    if (typeof data !== "string") throw new Error("ethers keeps the revert data on the error");
    const parsed = app.interface.parseError(data);
    expect(parsed?.name).to.equal("OwnableUnauthorizedAccount");
    expect(parsed?.args.account).to.equal(stranger.address);
  });
});
