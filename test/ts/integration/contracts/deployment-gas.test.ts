import { expect } from "chai";
import { network } from "hardhat";

/** What the deployment transaction of the public implementation costs with the same compiler and settings. */
const LIMITS = { DstackApp: 1_437_619n, DstackKms: 2_457_883n } as const;

describe("deployment gas", () => {
  for (const contract of ["DstackApp", "DstackKms"] as const) {
    it(`of ${contract} is below the public implementation's`, async () => {
      const { viem } = await network.create("local");
      const { deploymentTransaction } = await viem.sendDeploymentTransaction(contract);
      const publicClient = await viem.getPublicClient();
      const receipt = await publicClient.waitForTransactionReceipt({ hash: deploymentTransaction.hash });
      expect(receipt.status).to.equal("success");
      expect(Number(receipt.gasUsed)).to.be.at.most(Number(LIMITS[contract]));
    });
  }
});
