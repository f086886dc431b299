import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import hre from "hardhat";
import { type Abi, type Address, encodeFunctionData, getAddress, type Hex, zeroAddress, zeroHash } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { deployContract, waitForTransactionReceipt } from "viem/actions";
import { deployApp } from "../../../../src/chain/deploy-app.ts";
import { readOwnership } from "../../../../src/chain/read-app.ts";
import { waitForReceipt } from "../../../../src/chain/transactions/receipt.ts";
import { deployedApp } from "../../../../src/core/events.ts";
import { type AppId, parseAppId } from "../../../../src/core/ids.ts";
import { devAccount, devPrivateKey } from "../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { deploySafe, deployTimelock, executeSafe } from "../../../support/chain/deploy-owner-contracts.ts";
import { projectOf, runTask, type TaskRun } from "../../../support/hardhat/run-task.ts";

describe("tasks dstack owner", () => {
  let world: World;
  let appId: AppId;
  let untouched: string;
  const second = devAccount(1).address;

  const run = async (task: string, args: Record<string, unknown> = {}, ownerKey = devPrivateKey(0)): Promise<TaskRun> =>
    runTask(await projectOf(world, { ownerKey, apps: { shop: appId } }), ["owner", task], args);
  const ownership = () => readOwnership(world.ownerClient, { appId });

  before(async () => {
    world = await startWorld();
    if (world.cvms.onChain?.appId === undefined) throw new Error("The world has no app.");
    appId = world.cvms.onChain.appId;
  });
  beforeEach(async () => {
    untouched = await world.snapshot();
  });
  afterEach(() => world.restore(untouched));
  after(() => world.close());

  it("prints the owner as text and as JSON", async () => {
    const forPeople = await run("show", { app: "shop" });
    expect(forPeople).to.include({ exitCode: 0, stderr: "" });
    expect(forPeople.stdout).to.include(world.owner.address).and.to.include("two steps");
    expect((await run("show", { json: true })).json()).to.deep.include({
      appId,
      chainId: 8453,
      owner: { kind: "eoa", address: world.owner.address, isUsed: true },
      pendingOwner: null,
      isTwoStep: true,
    });
  });

  it("offers the app, and lets the pending owner accept it", async () => {
    const offered = await run("transfer", { address: second, yes: true });
    expect(offered.exitCode, offered.stderr).to.equal(0);
    expect(offered.stdout).to.include("Two steps").and.to.include(`${world.owner.address} stays the owner.`);
    expect(offered.stdout).to.match(
      /accepts it with its key:\n {2}next {4}npx hardhat dstack owner accept --app 0x\w{40} --network world$/m,
    );
    expect(await ownership()).to.include({ owner: world.owner.address, pendingOwner: second });

    const accepted = await run("accept", { yes: true, json: true }, devPrivateKey(1));
    expect(accepted.exitCode, accepted.stderr).to.equal(0);
    expect(accepted.json()).to.deep.include({ appId, pendingOwner: null });
    expect(accepted.json<{ transactions: unknown[] }>().transactions).to.have.lengthOf(1);
    expect(await ownership()).to.include({ owner: second, pendingOwner: undefined });
  });

  it("signs with the account that is needed, when the network has several", async () => {
    const accounts = [devPrivateKey(0), devPrivateKey(1)];
    const networks = { world: { type: "http" as const, url: world.chain.rpcUrl, accounts } };
    const hre = await projectOf(world, { ownerKey: "", apps: { shop: appId } }, { networks });
    const offered = await runTask(hre, ["owner", "transfer"], { address: second, yes: true });
    expect(offered.exitCode, offered.stderr).to.equal(0);
    const accepted = await runTask(hre, ["owner", "accept"], { yes: true });
    expect(accepted.exitCode, accepted.stderr).to.equal(0);
    expect(await ownership()).to.include({ owner: second });
  });

  it("offers it to a Safe, which accepts by the plan that the task names", async () => {
    const directory = await mkdtemp(join(tmpdir(), "dstack-owner-"));
    const { ownerClient, owner } = world;
    const safe = await deploySafe(ownerClient, { payer: owner, owners: [owner.address, second], threshold: 2 });
    const offered = await run("transfer", { address: safe, yes: true });
    expect(offered.exitCode, offered.stderr).to.equal(0);
    expect(offered.stdout)
      .to.match(/Safe 1\.5\.0, 2 of 2 owners/)
      .and.include("safe-needs-all-owners");
    expect(offered.stdout).to.match(
      / {2}next {4}npx hardhat .* accept --app 0x\w{40} --network world --plan accept\.json$/m,
    );
    expect((await run("accept", { plan: join(directory, "accept.json") })).exitCode).to.equal(0);
    expect(await ownership()).to.include({ pendingOwner: getAddress(safe) });
    await rm(directory, { recursive: true });
  });

  it("says in a plan and in a dry run of a transfer what comes next", async () => {
    const directory = await mkdtemp(join(tmpdir(), "dstack-owner-"));
    const timelock = await deployTimelock(world.ownerClient, world.owner, 60n);
    const planned = await run("transfer", { address: timelock, plan: join(directory, "transfer.json") });
    expect(planned.exitCode, planned.stderr).to.equal(0);
    expect(planned.stdout)
      .to.include("timelock, delay 1 minute")
      .and.include(`proposes ${world.owner.address}`)
      .and.include("timelock-admin")
      .and.include("The offer stands when the present owner has executed this.")
      .and.match(/owner accept --app 0x\w{40} --network world --plan accept\.json$/m);
    const applied = await runTask(await projectOf(world), ["plan", "apply"], {
      file: join(directory, "transfer.json"),
      yes: true,
    });
    expect(applied.exitCode, applied.stderr).to.equal(0);
    expect(applied.stdout).to.include("timelock-admin");
    expect(await ownership()).to.include({ pendingOwner: getAddress(timelock) });
    const dry = await run("transfer", { address: second, dryRun: true });
    expect(dry.stdout).to.not.match(/accept --app/);
    await rm(directory, { recursive: true });
  });

  it("prepares a transfer for the Safe that owns the app, which executes it", async () => {
    const { ownerClient, owner, contracts } = world;
    const safe = await deploySafe(ownerClient, { payer: owner, owners: [owner.address], threshold: 1 });
    const transactionHash = await deployApp(ownerClient, { kms: contracts.kms, owner: safe });
    const functionName = "deployAndRegisterApp";
    const owned = deployedApp(await waitForReceipt(ownerClient, { transactionHash, functionName }), contracts);
    const directory = await mkdtemp(join(tmpdir(), "dstack-owner-"));
    const file = join(directory, "batch.json");

    const refused = await run("transfer", { app: owned, address: second, yes: true, batch: "none" });
    expect([refused.exitCode, refused.stderr.slice(0, 9)]).to.deep.equal([3, "DSTK-2005"]);
    const prepared = await run("transfer", { app: owned, address: second, batch: `safe:${file}`, json: true });
    expect(prepared.exitCode, prepared.stderr).to.equal(0);
    const { safeTx, safeTxHash } = prepared.json<{
      safeTx: { to: Address; data: Hex; operation: number };
      safeTxHash: Hex;
    }>();
    expect(prepared.stderr).to.include(safeTxHash).and.to.include("Nothing was sent");
    expect(JSON.parse(await readFile(file, "utf8"))).to.have.property("chainId", "8453");
    expect(await readOwnership(ownerClient, { appId: owned })).to.include({ pendingOwner: undefined });

    await executeSafe(ownerClient, owner, { safe, ...safeTx });
    expect(await readOwnership(ownerClient, { appId: owned })).to.include({
      owner: getAddress(safe),
      pendingOwner: second,
    });
    await rm(directory, { recursive: true });
  });

  describe("on a contract of the first versions, whose transfer takes effect at once", () => {
    let old: Address;
    beforeEach(async () => {
      const { ownerClient, owner } = world;
      const deploy = async (name: string, args: (abi: Abi) => readonly unknown[]) => {
        const { abi, bytecode } = await hre.artifacts.readArtifact(name);
        const parameters = {
          abi: abi as Abi,
          bytecode: bytecode as Hex,
          args: args(abi as Abi),
          chain: ownerClient.chain,
        };
        const hash = await deployContract(ownerClient, { ...parameters, account: owner });
        const { contractAddress } = await waitForTransactionReceipt(ownerClient, { hash });
        return { address: getAddress(contractAddress ?? "0x"), abi: abi as Abi };
      };
      const { address, abi } = await deploy("DstackAppV054", () => []);
      const policy = [false, true, `0x${"de".repeat(32)}`, zeroHash];
      const initialize = { abi, functionName: "initialize", args: [owner.address, ...policy] };
      old = (await deploy("ERC1967Proxy", () => [address, encodeFunctionData(initialize)])).address;
    });

    it("warns in capitals, and transfers", async () => {
      expect((await run("show", { app: old })).stdout).to.include("IN ONE STEP");
      const told = await run("transfer", { app: old, address: second, yes: true });
      expect(told.exitCode, told.stderr).to.equal(0);
      expect(told.stdout)
        .to.include("ONE STEP")
        .and.to.include("one-step-owner")
        .and.to.include(`${second} is now the owner`);
      expect(await readOwnership(world.ownerClient, { appId: parseAppId(old) })).to.include({
        owner: second,
        isTwoStep: false,
      });
    });

    it("refuses a contract that may be unable to call, and an unused address", async () => {
      for (const [address, rule] of [
        [world.contracts.kms, "owner-is-kms"],
        [appId, "owner-is-app"],
        [old, "owner-is-contract"],
        [unused, "unused-owner"],
        [zeroAddress, "DSTK-1007"],
      ] as const)
        expect((await run("transfer", { app: old, address, yes: true })).stderr, address).to.include(rule);
    });

    it("refuses to accept", async () => {
      const told = await run("accept", { app: old, yes: true });
      expect([told.exitCode, told.stderr.includes("transfers the ownership immediately")]).to.deep.equal([2, true]);
    });
  });

  const unused = privateKeyToAccount(generatePrivateKey()).address;
  const refused: readonly [string, string, Record<string, unknown>, number, RegExp][] = [
    ["an unused address", "transfer", { address: unused, yes: true }, 2, /^DSTK-1101 .*unused-owner/],
    [
      "an address of no key",
      "transfer",
      { address: "0x000000000000000000000000000000000000dEaD", yes: true },
      2,
      /^DSTK-1101/,
    ],
    ["a cut address", "transfer", { address: "0x12", yes: true }, 2, /^DSTK-1001/],
    [
      "a wrong checksum",
      "transfer",
      { address: "0xD8dA6BF26964aF9D7eEd9e03E53415D37aA96045", yes: true },
      2,
      /^DSTK-1001 The new owner's address 0x\w{40} has a wrong checksum: /,
    ],
    ["the present owner", "transfer", { address: devAccount(0).address, yes: true }, 2, /^DSTK-1007/],
    ["a rule that does not exist", "transfer", { address: second, yes: true, accept: "everything" }, 2, /^DSTK-1007/],
    [
      "a batch mode that does not exist",
      "transfer",
      { address: second, yes: true, batch: "all" },
      2,
      /^DSTK-1007 --batch/,
    ],
    [
      "to continue without a yes and without a terminal",
      "transfer",
      { address: second },
      2,
      /DSTK-1007 The question needs a terminal/,
    ],
    ["to accept without an offer", "accept", { yes: true }, 2, /^DSTK-1007 App 0x[0-9a-f]{40} has no pending owner/],
    ["an app that does not exist", "show", { app: "shpo" }, 2, /^DSTK-1007/],
    ["an address without a contract", "show", { app: devAccount(3).address }, 2, /^DSTK-1101 .*no-code/],
  ];
  for (const [what, task, args, exitCode, message] of refused) {
    it(`refuses ${what}, with one sentence and the next step`, async () => {
      const told = await run(task, args);
      expect(told.exitCode).to.equal(exitCode);
      expect(told.stderr)
        .to.match(message)
        .and.to.match(/^.+\n.+\n$/);
      const inJson = await run(task, { ...args, json: true });
      expect(inJson.exitCode).to.equal(exitCode);
      expect(inJson.json<{ error: { code: string } }>().error.code).to.match(/^DSTK-1\d{3}$/);
      expect(await ownership()).to.include({ owner: world.owner.address, pendingOwner: undefined });
    });
  }

  it("refuses to offer the app to itself", async () => {
    const offered = await run("transfer", { address: appId, yes: true });
    expect(offered.stderr).to.match(/^DSTK-1101 .*owner-is-contract/);
    const accepted = await run("transfer", { address: appId, yes: true, accept: "owner-is-contract" });
    expect(accepted.stderr).to.match(/^DSTK-1007/);
  });

  it("withdraws an offer without conditions", async () => {
    await run("transfer", { address: unused, yes: true, accept: "unused-owner" });
    expect(await ownership()).to.include({ pendingOwner: unused });
    const withdrawn = await run("transfer", { address: zeroAddress, yes: true });
    expect(withdrawn.exitCode, withdrawn.stderr).to.equal(0);
    expect(withdrawn.stdout)
      .to.match(/^withdraws {2}the offer to 0x/m)
      .and.include("withdraw the offer of the ownership")
      .and.match(/^Withdrew the offer\. 0x\w{40} stays the owner\.$/m)
      .and.not.match(/renounced|new owner/);
    const again = await run("transfer", { address: zeroAddress, yes: true });
    expect(again.exitCode).to.equal(2);
    expect(again.stderr).to.include("has no pending owner, so there is no offer to withdraw");
    expect(await ownership()).to.include({ owner: world.owner.address, pendingOwner: undefined });
  });

  it("refuses the KMS in place of the app", async () => {
    expect((await run("show", { app: world.contracts.kms })).stderr).to.include("app-is-kms");
  });

  it("transfers to a doubtful address when its rule is accepted by name", async () => {
    const offered = await run("transfer", { address: unused, yes: true, accept: "unused-owner" });
    expect(offered.exitCode, offered.stderr).to.equal(0);
    expect(offered.stdout).to.include("unused-owner, accepted");
    expect(await ownership()).to.include({ pendingOwner: unused as Address });
  });

  it("sends nothing with a key that is not the owner's", async () => {
    const told = await run("transfer", { address: second, yes: true }, devPrivateKey(1));
    expect(told.exitCode).to.equal(3);
    expect(told.stderr).to.match(/^DSTK-2004/);
  });
});
