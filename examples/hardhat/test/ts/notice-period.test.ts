import { expect, use } from "chai";
import { deployDstack, dstackMatchers } from "dstack-toolkit/testing";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { keccak256, stringToHex } from "viem";

use(dstackMatchers);

const nextVersion = keccak256(stringToHex("the next version"));

describe("NoticePeriod", () => {
  async function deployed(connection: NetworkConnection) {
    const [, publisher, stranger] = await connection.viem.getWalletClients();
    const notice = await connection.viem.deployContract("NoticePeriod", [publisher.account.address]);
    const { kms, deployApp } = await deployDstack(connection);
    const app = await deployApp({ owner: notice.address });
    return { kms, app, notice, publisher, stranger };
  }

  it("lets a version boot once its notice is over", async () => {
    const { networkHelpers } = await network.create();
    const { app, notice, publisher, stranger } = await networkHelpers.loadFixture(deployed);

    await notice.write.announce([app.address, nextVersion], { account: publisher.account });
    await expect(app).not.to.allowComposeHash(nextVersion);

    await networkHelpers.time.increase(2 * 24 * 60 * 60);
    await notice.write.release([app.address, nextVersion], { account: stranger.account });
    await expect(app).to.allowComposeHash(nextVersion);
  });

  it("keeps devices as they are", async () => {
    const connection = await network.create();
    const { deviceId, bootInfo, kms } = await deployDstack(connection);
    const { app } = await deployed(connection);
    await expect(app).to.allowDevice(deviceId);

    const elsewhere = bootInfo({ deviceId: `0x${"99".repeat(32)}` });
    await expect(kms).to.refuseBoot("Device not allowed", elsewhere);
    await expect(kms).to.allowBoot(bootInfo());
  });
});
