import { rm } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import hre from "hardhat";
import { toHex } from "viem";
import { readOwnership } from "../../../../src/chain/read-app.ts";
import { parseAppId } from "../../../../src/core/ids.ts";
import { devAccount } from "../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { runScript } from "../../../support/scripts/run-script.ts";

describe("npm run deploy", () => {
  const deploymentId = `test-${process.pid}`;
  const owner = devAccount(5).address;
  let world: World;
  before(async () => {
    world = await startWorld({ cvms: false });
  });
  after(async () => {
    await world?.close();
    await rm(join(hre.config.paths.root, "ignition", "deployments", deploymentId), { recursive: true, force: true });
  });

  function deploy(...args: readonly string[]) {
    const privateKey = devAccount(4).getHdKey().privateKey;
    return runScript({
      args: ["scripts/deploy.ts", "--no-compile", ...args],
      env: {
        BASE_RPC_URL: world.chain.rpcUrl,
        DSTACK_OWNER_KEY: privateKey ? toHex(privateKey) : "",
        HARDHAT_IGNITION_CONFIRM_DEPLOYMENT: "false",
      },
    });
  }

  it("deploys the contracts to the named owner, and nothing the second time", async () => {
    const args = ["--network", "base", "--owner", owner, "--deployment-id", deploymentId];
    const first = await deploy(...args);
    expect(first.code, first.stderr).to.equal(0);
    const kms = /DstackKms +(0x\w{40})/.exec(first.stdout)?.[1];
    const ownership = await readOwnership(world.ownerClient, { appId: parseAppId(kms ?? "") });
    expect(ownership.owner.toLowerCase()).to.equal(owner.toLowerCase());

    const blocks = await world.chain.client.getBlockNumber();
    const second = await deploy(...args);
    expect(second.code, second.stderr).to.equal(0);
    expect(second.stdout).to.include(kms);
    expect(await world.chain.client.getBlockNumber()).to.equal(blocks);
  }).timeout(180_000);

  for (const [title, args] of [
    ["no network", []],
    ["an unknown network", ["--network", "mainnet"]],
    ["a short owner", ["--network", "base", "--owner", "0x12"]],
  ] as const) {
    it(`ends with one sentence and exit code 2 for ${title}`, async () => {
      const { code, stderr } = await deploy(...args);
      expect(code).to.equal(2);
      expect(stderr).not.to.match(/^\s+at /m);
    });
  }
});
