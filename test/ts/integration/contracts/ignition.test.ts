import { expect } from "chai";
import { network } from "hardhat";
import { getAddress, hexToBigInt, keccak256, numberToHex, pad, toBytes, zeroAddress, zeroHash } from "viem";
import DstackKms from "../../../../ignition/modules/dstack-kms.ts";

/** Where ERC-1967 proxies keep the address of their code. */
const IMPLEMENTATION_SLOT = numberToHex(hexToBigInt(keccak256(toBytes("eip1967.proxy.implementation"))) - 1n);

const OWNER = getAddress("0x00000000000000000000000000000000000a11ce");

describe("Ignition module DstackKms", () => {
  it("makes the first account the owner of the KMS by default", async () => {
    const { ignition, viem } = await network.create("local");
    const [deployer] = await viem.getWalletClients();
    const { kms } = await ignition.deploy(DstackKms);
    expect((await kms.read.owner()).toLowerCase()).to.equal(deployer?.account.address);
  });

  it("makes the named account the owner of the KMS", async () => {
    const { ignition } = await network.create("local");
    const { kms } = await ignition.deploy(DstackKms, { parameters: { DstackKms: { owner: OWNER } } });
    expect(await kms.read.owner()).to.equal(OWNER);
  });

  it("deploys an app implementation without an owner, which the factory uses", async () => {
    const { ignition, viem } = await network.create("local");
    const { kms, appImplementation } = await ignition.deploy(DstackKms);

    const { result: app } = await kms.simulate.deployAndRegisterApp([OWNER, false, true, zeroHash, zeroHash]);
    await kms.write.deployAndRegisterApp([OWNER, false, true, zeroHash, zeroHash]);

    const publicClient = await viem.getPublicClient();
    expect(await publicClient.getStorageAt({ address: app, slot: IMPLEMENTATION_SLOT })).to.equal(
      pad(appImplementation.address).toLowerCase(),
    );
    expect(await kms.read.registeredApps([app])).to.equal(true);
    expect(await appImplementation.read.owner()).to.equal(zeroAddress);
  });
});
