import { expect } from "chai";
import hre from "hardhat";
import { type Abi, type Address, encodeFunctionData, getAddress, type Hex } from "viem";
import { deployContract, waitForTransactionReceipt } from "viem/actions";
import { devAccount, devPrivateKey } from "../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { projectOf, runTask } from "../../../support/hardhat/run-task.ts";

const composeHash: Hex = `0x${"1e".repeat(32)}`;
const deviceId: Hex = `0x${"de".repeat(32)}`;
const controlled = getAddress(`0x${"ad".repeat(20)}`);

// After an upgrade, such an app allows nothing, and the upgrade does not revert:
// test/contracts/DstackApp/UpgradeFromV042.t.sol.
describe("tasks on an app of v0.4.2 to v0.5.3, which an upgrade would damage", () => {
  let world: World;
  let app: Address;

  const run = async (task: readonly string[], args: Record<string, unknown> = {}) =>
    runTask(await projectOf(world, { ownerKey: devPrivateKey(0) }), task, { app, ...args });

  before(async () => {
    world = await startWorld();
    const { ownerClient, owner } = world;
    const deploy = async (name: string, argsOf: (abi: Abi) => readonly unknown[]) => {
      const artifact = await hre.artifacts.readArtifact(name);
      const abi = artifact.abi as Abi; // of any contract
      const bytecode = artifact.bytecode as Hex; // Hardhat's are hex
      const parameters = { abi, bytecode, args: argsOf(abi), account: owner, chain: ownerClient.chain };
      const hash = await deployContract(ownerClient, parameters);
      return getAddress((await waitForTransactionReceipt(ownerClient, { hash })).contractAddress ?? "0x");
    };
    const implementation = await deploy("AppAuthV042", () => []);
    const { abi } = await hre.artifacts.readArtifact("AppAuthV042");
    const args = [owner.address, controlled, false, false, deviceId, composeHash];
    const data = encodeFunctionData({ abi: abi as Abi, functionName: "initialize", args });
    app = await deploy("ERC1967Proxy", () => [implementation, data]);
  });
  after(() => world?.close());

  it("status says so, and advises against an upgrade in each place of its advice", async () => {
    const { stdout, stderr } = await run(["status"], { kms: world.contracts.kms, store: ":memory:" });
    expect(stderr).to.equal("");
    expect(stdout)
      .to.match(/ upgrades +DO NOT UPGRADE: /)
      .and.to.match(/ generation +0\.4\.2 to 0\.5\.3 /)
      .and.to.include(composeHash)
      .and.to.include(deviceId);
    const told = (await run(["status"], { kms: world.contracts.kms, store: ":memory:", json: true })).json<{
      shiftedAppId: string;
      completeness: object;
      findings: readonly { rule: string; advice: string }[];
    }>();
    expect(told).to.include({ shiftedAppId: controlled });
    expect(told.completeness).to.deep.equal({ isComplete: true });
    const advice = Object.fromEntries(told.findings.map((finding) => [finding.rule, finding.advice]));
    expect(advice).to.include.keys("one-step-owner", "implementation-drift", "upgrade-loses-policy");
    for (const rule of ["one-step-owner", "implementation-drift", "upgrade-loses-policy"])
      expect(advice[rule], rule).to.match(/^Do not upgrade: /);
  });

  it("owner transfer gives no other advice", async () => {
    const told = await run(["owner", "transfer"], { address: devAccount(1).address, yes: true });
    expect(told.exitCode, told.stderr).to.equal(0);
    expect(told.stdout).to.include("one-step-owner").and.to.include("Do not upgrade: ");
    expect(told.stdout).to.not.match(/\bupgrade the app\b/i);
  });
});
