import * as chai from "chai";
import { AssertionError, expect } from "chai";
import { Contract } from "ethers";
import { network } from "hardhat";
import { getContract } from "viem";
import {
  ContractRevertedError,
  InvalidArgumentError,
  InvalidHexError,
  NoContractError,
} from "../../../../src/errors/index.ts";
import { dstackAppAbi } from "../../../../src/generated/abi.ts";
import { type DeployedDstack, deployDstack, dstackMatchers } from "../../../../src/testing/index.ts";
import { rejection } from "../../../support/rejection.ts";

chai.use(dstackMatchers);

const otherHash = `0x${"77".repeat(32)}` as const;

describe("the chai matchers", () => {
  let dstack: DeployedDstack;
  /** The same app through each library. */
  let apps: Readonly<Record<string, object>>;

  beforeEach(async () => {
    const connection = await network.create("local");
    dstack = await deployDstack(connection);
    const { provider } = connection.ethers;
    apps = { viem: dstack.app, ethers: new Contract(dstack.app.address, dstackAppAbi, provider) };
  });

  for (const library of ["viem", "ethers"] as const)
    describe(`with contracts of ${library}`, () => {
      it("check what an app allows", async () => {
        const app = apps[library];
        await expect(app).to.allowComposeHash(dstack.composeHash);
        await expect(app).not.to.allowComposeHash(otherHash);
        await expect(app).to.allowDevice(dstack.deviceId);
        await expect(app).not.to.allowDevice(otherHash);
        await dstack.app.write.setAllowAnyDevice([true]);
        await expect(app).to.allowDevice(otherHash);
      });

      it("check whether it allows a boot", async () => {
        const app = apps[library];
        const refused = dstack.bootInfo({ composeHash: otherHash });
        await expect(app).to.allowBoot(dstack.bootInfo());
        await expect(app).to.refuseBoot("Compose hash not allowed", refused);
        await expect(app).to.refuseBoot(undefined, refused);
        await expect(app).not.to.refuseBoot("Device not allowed", refused);
        await expect(app).not.to.allowBoot(refused);
        await expect(app).not.to.refuseBoot(undefined, dstack.bootInfo());
      });

      it("fail when the opposite is true", async () => {
        const app = apps[library];
        const { composeHash, deviceId, bootInfo } = dstack;
        for (const [assertion, words] of [
          [() => expect(app).to.allowComposeHash(otherHash), [otherHash, "to allow", "it is not on its list"]],
          [() => expect(app).not.to.allowComposeHash(composeHash), [composeHash, "not to allow", "it is on its list"]],
          [() => expect(app).to.allowDevice(otherHash), ["to allow device", "not on its list"]],
          [() => expect(app).not.to.allowDevice(deviceId), ["not to allow device", "it is on its list"]],
          [() => expect(app).to.refuseBoot("x", bootInfo()), ['with "x"', "it is allowed"]],
          [() => expect(app).not.to.allowBoot(bootInfo()), ["not to be allowed", "it is allowed"]],
        ] as const) {
          const error = await rejection(assertion());
          expect(error).to.be.instanceOf(AssertionError);
          for (const word of words) expect((error as Error).message).to.include(word);
        }
      });

      it("check that any device is allowed", async () => {
        await dstack.app.write.setAllowAnyDevice([true]);
        const error = await rejection(expect(apps[library]).not.to.allowDevice(otherHash));
        expect(error).to.be.instanceOf(AssertionError);
        expect((error as Error).message).to.include("the app allows any device");
      });
    });

  it("accept a verdict in place of a contract, as a promise, a pair or an object", async () => {
    const { kms, bootInfo } = dstack;
    const refused = bootInfo({ osImageHash: otherHash });
    await expect(kms.read.isAppAllowed([refused])).to.refuseBoot("OS image is not allowed");
    await expect(await kms.read.isAppAllowed([bootInfo()])).to.allowBoot();
    await expect({ isAllowed: false, reason: "no" }).to.refuseBoot("no");
    const error = await rejection(expect(kms.read.isAppAllowed([refused])).to.refuseBoot("Device not allowed"));
    expect(error).to.be.instanceOf(AssertionError);
    expect((error as Error).message).to.include("OS image is not allowed");
  });

  it("show the line of the test in the stack", async () => {
    const error = (await rejection(expect(dstack.app).to.allowComposeHash(otherHash))) as Error;
    expect(error.stack).to.include("chai-matchers.test.ts");
    expect(error.stack).not.to.include("chai-matchers.ts:");
  });

  it("report invalid arguments", async () => {
    const { app, kms, client, bootInfo } = dstack;
    const nowhere = getContract({ abi: dstackAppAbi, address: `0x${"12".repeat(20)}`, client });
    const notAnApp = getContract({ abi: dstackAppAbi, address: kms.address, client });
    for (const [assertion, expected] of [
      [() => expect(app.address).to.allowComposeHash(otherHash), InvalidArgumentError],
      [() => expect(kms).to.allowComposeHash(otherHash), InvalidArgumentError],
      [() => expect(app).to.allowComposeHash("0x1234"), InvalidHexError],
      [() => expect(app).to.allowDevice(`${otherHash}00`), InvalidHexError],
      [() => expect(nowhere).to.allowComposeHash(otherHash), NoContractError],
      [() => expect(nowhere).not.to.allowComposeHash(otherHash), NoContractError],
      [() => expect(nowhere).not.to.allowBoot(bootInfo()), NoContractError],
      [() => expect(notAnApp).not.to.allowComposeHash(otherHash), ContractRevertedError],
      [() => expect(app).to.refuseBoot("Device not allowed"), InvalidArgumentError],
      [() => expect(true).to.allowBoot(), InvalidArgumentError],
      [() => expect([false]).to.refuseBoot(), InvalidArgumentError],
    ] as const)
      expect(await rejection(assertion())).to.be.instanceOf(expected);
  });

  it("check contracts of ethers in the same way", async () => {
    const { ethers } = await network.create("local");
    const nowhere = new Contract(`0x${"12".repeat(20)}`, dstackAppAbi, ethers.provider);
    expect(await rejection(expect(nowhere).not.to.allowComposeHash(otherHash))).to.be.instanceOf(NoContractError);
    const kms = new Contract(dstack.kms.address, ["function owner() view returns (address)"], ethers.provider);
    expect(await rejection(expect(kms).to.allowComposeHash(otherHash))).to.be.instanceOf(InvalidArgumentError);
  });
});
