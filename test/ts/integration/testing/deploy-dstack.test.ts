import { expect } from "chai";
import { network } from "hardhat";
import { createClient, custom } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { base } from "viem/chains";
import { readBootVerdict } from "../../../../src/chain/read-boot.ts";
import { InvalidArgumentError } from "../../../../src/errors/index.ts";
import { deployDstack } from "../../../../src/testing/index.ts";
import { devAccount, devPrivateKey } from "../../../../src/world/chain/client.ts";
import { rejection } from "../../../support/rejection.ts";

describe("deployDstack", () => {
  it("deploys a KMS and an app that boots, owned by the node's first account", async () => {
    const connection = await network.create("local");
    const { kms, app, owner, client, bootInfo } = await deployDstack(connection);

    expect(owner.address.toLowerCase()).to.equal(devAccount(0).address.toLowerCase());
    expect(await kms.read.owner()).to.equal(devAccount(0).address);
    expect(await app.read.owner()).to.equal(devAccount(0).address);
    expect(await kms.read.registeredApps([app.address])).to.equal(true);
    expect(await readBootVerdict(client, { kms: kms.address, bootInfo: bootInfo() })).to.deep.equal({
      isAllowed: true,
      reason: "",
    });
    const other = bootInfo({ osImageHash: `0x${"99".repeat(32)}` });
    expect((await readBootVerdict(client, { kms: kms.address, bootInfo: other })).reason).to.equal(
      "OS image is not allowed",
    );
  });

  it("is a fixture: a test's changes are gone in the next", async () => {
    const { networkHelpers } = await network.create("local");
    const first = await networkHelpers.loadFixture(deployDstack);
    await first.app.write.removeComposeHash([first.composeHash]);
    expect(await first.app.read.allowedComposeHashes([first.composeHash])).to.equal(false);

    const second = await networkHelpers.loadFixture(deployDstack);
    expect(second.app.address).to.equal(first.app.address);
    expect(await second.app.read.allowedComposeHashes([second.composeHash])).to.equal(true);
  });

  it("accepts a viem client, whose account owns everything, on any chain", async () => {
    const { provider } = await network.create({ network: "local", override: { chainId: 31_337 } });
    const account = privateKeyToAccount(devPrivateKey(3));
    const { app, owner, client } = await deployDstack(createClient({ account, transport: custom(provider) }));

    expect(owner).to.equal(account);
    expect(client.chain.id).to.equal(31_337);
    expect(await app.read.owner()).to.equal(account.address);
    await app.write.setAllowAnyDevice([true]);
    expect(await app.read.allowAnyDevice()).to.equal(true);
  });

  it("deploys further apps with given settings", async () => {
    const { deployApp, kms } = await deployDstack(await network.create("local"));
    const owner = devAccount(7).address;
    const app = await deployApp({ owner, allowAnyDevice: true, requireTcbUpToDate: true });
    expect(await app.read.owner()).to.equal(owner);
    expect(await app.read.allowAnyDevice()).to.equal(true);
    expect(await app.read.requireTcbUpToDate()).to.equal(true);
    expect(await kms.read.registeredApps([app.address])).to.equal(true);
  });

  it("says what is missing when the chain has no account", async () => {
    const { provider } = await network.create("local");
    const request = async (call: { method: string }) => (call.method === "eth_accounts" ? [] : provider.request(call));
    const error = await rejection(deployDstack(createClient({ chain: base, transport: custom({ request }) })));
    expect(error).to.be.instanceOf(InvalidArgumentError);
  });
});
