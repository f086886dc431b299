import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import hre from "hardhat";
import { toHex } from "viem";
import { deploymentIdOf } from "../../../../scripts/support/check-deployment.ts";
import { readOwnership } from "../../../../src/chain/read-app.ts";
import { readChainIdentity } from "../../../../src/chain/transactions/chain-identity.ts";
import { parseAppId } from "../../../../src/core/ids.ts";
import { devAccount } from "../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { runScript } from "../../../support/scripts/run-script.ts";

/** Errors are wrapped at 80 columns, with indented continuation lines. */
const unwrap = (text: string) => text.replace(/\n +/g, " ");

describe("npm run deploy", () => {
  const deploymentId = `test-${process.pid}`;
  const owner = devAccount(5).address;
  let world: World;
  before(async () => {
    world = await startWorld({ cvms: false });
  });
  after(async () => {
    await world?.close();
    await rm(folderOf(deploymentId), { recursive: true, force: true });
  });

  const folderOf = (id: string) => join(hre.config.paths.root, "ignition", "deployments", id);

  function deploy(...args: readonly string[]) {
    return deployAs(4, ...args);
  }

  function deployAs(account: number, ...args: readonly string[]) {
    const privateKey = devAccount(account).getHdKey().privateKey;
    return runScript({
      args: ["scripts/deploy.ts", "--no-compile", ...args],
      env: {
        BASE_RPC_URL: world.chain.rpcUrl,
        DSTACK_OWNER_KEY: privateKey ? toHex(privateKey) : "",
        HARDHAT_IGNITION_CONFIRM_DEPLOYMENT: "false",
      },
    });
  }

  it("R5: names the account and the amount if it cannot pay, and records nothing", async () => {
    const { address } = devAccount(6);
    await world.chain.client.setBalance({ address, value: 5n });
    const { code, stderr } = await deployAs(6, "--network", "base", "--owner", owner, "--deployment-id", deploymentId);
    expect(code).to.equal(3);
    expect(unwrap(stderr)).to.match(new RegExp(`^DSTK-2006 ${address} cannot pay .*: it has 5 wei of the \\d+ wei`));
    expect(existsSync(folderOf(deploymentId))).to.equal(false);
  }).timeout(60_000);

  it("R4: deploys to the named owner, then nothing, and believes no record of a restarted chain", async () => {
    const args = ["--network", "base", "--owner", owner, "--deployment-id", deploymentId];
    const restarted = await world.snapshot();
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

    await world.restore(restarted);
    const believed = await deploy(...args);
    expect(believed.code, believed.stdout).to.equal(2);
    expect(unwrap(believed.stderr))
      .to.include(`is recorded, but there is no contract at ${kms}`)
      .and.include(deploymentId);
    expect(believed.stdout).to.not.include("DstackKms  ");

    const identity = await readChainIdentity(world.chain.client, world.chain.id);
    const id = await deploymentIdOf(world.chain.client, "base", world.chain.id);
    expect(id).to.equal(`base-${world.chain.id}-${identity.chain.split(" 0x")[1]?.slice(0, 10)}-dstack-kms`);
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
