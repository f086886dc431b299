import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { type Address, decodeFunctionData, encodeFunctionData, type Hex, parseAbi } from "viem";
import { getCode, readContract, waitForTransactionReceipt, writeContract } from "viem/actions";
import { root } from "../../../../../scripts/support/paths.ts";
import { readAllowlist, readAppSettings } from "../../../../../src/chain/read-app.ts";
import { implementationOf } from "../../../../../src/core/contract-deployment.ts";
import { parseAppId, parseComposeHash, parseDeviceId } from "../../../../../src/core/ids.ts";
import { devAccount, devPrivateKey } from "../../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../../src/world/start-world.ts";
import { deploySafe, deployTimelock, executeSafe } from "../../../../support/chain/deploy-owner-contracts.ts";
import { deployBehindProxy, deployCompiled } from "../../../../support/chain/upgrade-to.ts";
import { projectOf, runTask, type TaskRun } from "../../../../support/hardhat/run-task.ts";
import { sendJson, startServer } from "../../../../support/update/http-server.ts";

const composeHash = parseComposeHash("1e".repeat(32));
const deviceId = parseDeviceId("de".repeat(32));
const upgradedAbi = parseAbi(["function label() view returns (string)"]);

interface Failed {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly nextStep: string;
    readonly context: { readonly objections?: readonly { readonly rule: string; readonly problem: string }[] };
  };
}

describe("dstack app upgrade", () => {
  let world: World;
  let hre: HardhatRuntimeEnvironment;
  let directory: string;
  let owner: Address;

  before(async () => {
    world = await startWorld();
    owner = world.owner.address;
    hre = await projectOf(world, { kms: world.contracts.kms }, { paths: { artifacts: join(root, "artifacts") } });
    directory = await mkdtemp(join(tmpdir(), "dstack-upgrade-"));
  });
  after(async () => {
    await world?.close();
    if (directory) await rm(directory, { recursive: true, force: true });
  });

  const run = (args: Record<string, unknown>): Promise<TaskRun> =>
    runTask(hre, ["app", "upgrade"], {
      ledger: join(directory, "ledger.sqlite"),
      store: join(directory, "history.sqlite"),
      json: true,
      yes: true,
      ...args,
    });
  const deploy = (contract: string, args: readonly unknown[] = []) => deployCompiled(world.ownerClient, contract, args);
  const newApp = () =>
    deployBehindProxy(world.ownerClient, {
      contract: "DstackApp",
      args: [owner, false, false, false, deviceId, composeHash],
    });
  const implementationBehind = async (app: Address) =>
    (await readAppSettings(world.ownerClient, { appId: parseAppId(app) })).implementation?.toLowerCase();
  /** The label of an app after its Safe has made the call. */
  const labelAfterSafe = async (app: Address, safe: Address, data: Hex) => {
    await executeSafe(world.ownerClient, world.owner, { safe, to: app, data, operation: 0 });
    return readContract(world.ownerClient, { address: app, abi: upgradedAbi, functionName: "label" });
  };
  const refusal = async (args: Record<string, unknown>) => {
    const before = typeof args.app === "string" ? await implementationBehind(args.app as Address) : undefined;
    const told = await run(args);
    expect(told.exitCode, told.stderr).to.equal(2);
    if (before !== undefined) expect(await implementationBehind(args.app as Address)).to.equal(before);
    const { error } = told.json<Failed>();
    return { rules: (error.context.objections ?? []).map(({ rule }) => rule), ...error };
  };

  describe("from each public layout", () => {
    const five = () => [owner, false, true, deviceId, composeHash];
    const six = () => [owner, false, true, false, deviceId, composeHash];

    for (const [contract, releases, argsOf] of [
      ["DstackAppV054", "0.5.4 to 0.5.8", five],
      ["DstackAppV059", "0.5.9 to 0.6.0", six],
      ["DstackApp", "0.5.9 to 0.6.0", six],
    ] as const)
      it(`upgrades ${contract} to a contract of the project, and keeps what it allows`, async () => {
        const app = await deployBehindProxy(world.ownerClient, { contract, args: argsOf() });
        const told = await run({ app, contract: "ExtendedApp" });
        expect(told.exitCode, told.stdout).to.equal(0);
        const { upgrade } = told.json<{ upgrade: Record<string, unknown> }>();
        expect(upgrade.layout).to.equal(`continues that of releases ${releases}, says OpenZeppelin's validator`);
        const { bytecode } = await hre.artifacts.readArtifact("ExtendedApp");
        const { address } = implementationOf(bytecode as Hex);
        expect(await implementationBehind(app)).to.equal(address);
        const allowed = await readAllowlist(world.ownerClient, { appId: parseAppId(app), composeHash, deviceId });
        expect(allowed).to.include({ owner, composeHashAllowed: true, deviceListed: true });
        expect(
          await readContract(world.ownerClient, { address: app, abi: upgradedAbi, functionName: "label" }),
        ).to.equal("");
      });

    it("refuses an app of 0.4.2 to 0.5.3: it would lose its policy", async () => {
      const app = await deployBehindProxy(world.ownerClient, {
        contract: "AppAuthV042",
        args: [owner, `0x${"ad".repeat(20)}`, false, false, deviceId, composeHash],
      });
      const bySource = await refusal({ app, contract: "ExtendedApp" });
      expect(bySource.rules).to.have.members(["answers-change", "layout-collision"]);
      expect(bySource.message).to.include("Deleted `appId`").and.to.include(`allowedComposeHashes(${composeHash})`);
      const byAddress = await refusal({ app, implementation: world.contracts.appImplementation });
      expect(byAddress.rules).to.have.members(["answers-change", "layout-collision"]);
    });
  });

  it("upgrades the app of a CVM to the code of this package by its address, and its boot stays allowed", async () => {
    const { appId } = world.cvms.onChain ?? {};
    const implementation = await deploy("DstackApp");
    const told = await run({ cvm: world.cvms.onChain?.name, implementation });
    expect(told.exitCode, told.stdout).to.equal(0);
    expect(told.json<{ upgrade: { layout: string } }>().upgrade.layout).to.include("this package's DstackApp");
    expect(told.stderr).to.match(/simulated +\d+ answers of app and KMS stay the same/);
    expect(await implementationBehind(appId as Address)).to.equal(implementation.toLowerCase());
    const again = await run({ cvm: world.cvms.onChain?.name, implementation });
    expect(again.json()).to.deep.include({ outcome: "unchanged" });
  });

  // First of the tests that deploy this contract.
  it("plans the upgrade of a Safe's app, after the implementation is deployed", async () => {
    const safe = await deploySafe(world.ownerClient, { payer: world.owner, owners: [owner], threshold: 1 });
    const app = await deployBehindProxy(world.ownerClient, {
      contract: "DstackApp",
      args: [safe, false, false, false, deviceId, composeHash],
    });
    const plan = join(directory, "safe.json");
    const told = await run({
      app,
      contract: "ReinitializedApp",
      initialize: 'initializeLabel("main")',
      plan,
      json: false,
    });
    expect(told.exitCode, told.stdout).to.equal(0);
    expect(told.stdout)
      .to.include("Its calls were not sent.")
      .and.match(
        /^The implementation was deployed and paid: 0x\w{40}\n {2}transaction {2}0x\w{64} \([\d,]+ gas, [\d.]+ (?:ETH|gwei)\)$/m,
      )
      .and.not.include("Nothing was sent");
    const call = JSON.parse(await readFile(plan, "utf8")).changes[0].call;
    const upgradeAbi = parseAbi(["function upgradeToAndCall(address implementation, bytes data)"]);
    const { args } = decodeFunctionData({ abi: upgradeAbi, data: call.data });
    expect(args[1]).to.equal(
      encodeFunctionData({ abi: parseAbi(["function initializeLabel(string label)"]), args: ["main"] }),
    );
    expect(call.description).to.include(args[1].slice(0, 10));
    const by = await labelAfterSafe(app, safe, call.data);
    expect(by).to.equal("main");
    const verified = await runTask(hre, ["safe", "verify"], { file: plan, json: true });
    expect(verified.exitCode, verified.stdout).to.equal(0);
    expect(verified.json<{ comparedAnswers: number }>().comparedAnswers).to.be.greaterThan(5);
  });

  it("refuses what an implementation must not be", async () => {
    const app = await newApp();
    const { kms, appImplementation } = world.contracts;
    const nothing = devAccount(9).address;
    const cases: readonly (readonly [Address, readonly string[]])[] = [
      [nothing, ["no-code"]],
      [app, ["same-address"]],
      [await newApp(), ["is-proxy"]],
      [kms, ["is-kms"]],
      [await deploy("DstackKms"), ["is-kms"]],
      [await deploy("NotUupsImplementation"), ["not-uups", "no-app-auth", "no-app-auth"]],
      [await deploy("ForeignSlotImplementation"), ["wrong-uuid", "no-app-auth"]],
      [await deploy("SeizingImplementation"), ["no-app-auth"]],
      [await deploy("EpochApp", ["0xc396c1b0"]), ["other-generation"]],
      [await deploy("UnlockedApp"), ["not-locked"]],
      [await deploy("OpenApp"), ["unprotected"]],
      [await deploy("ClosedApp"), ["owner-functions", "last-upgrade"]],
      [await deploy("ShiftedApp"), ["answers-change"]],
    ];
    for (const [implementation, rules] of cases) {
      const refused = await refusal({ app, implementation });
      expect(refused.rules, refused.message).to.include.members([...rules]);
      if (/^(?:no-code|same-address|is-)/.test(rules[0] ?? "")) expect(refused.rules).to.deep.equal(rules);
      expect(refused.code).to.equal("DSTK-1104");
    }
    expect(await implementationBehind(app)).to.not.equal(appImplementation.toLowerCase());
  });

  it("refuses what OpenZeppelin's validator refuses", async () => {
    const app = await newApp();
    const unsafe = await refusal({ app, contract: "DelegatingApp" });
    expect(unsafe.rules).to.deep.equal(["unsafe-code"]);
    expect(unsafe.message).to.include("delegatecall").and.to.include("selfdestruct");
    expect((await refusal({ app, contract: "ShiftedApp" })).rules).to.include.members(["layout-collision"]);
  });

  it("refuses a contract whose reinitialiser anyone could call, unless the upgrade calls it", async () => {
    const app = await newApp();
    const open = await refusal({ app, contract: "ReinitializedApp" });
    expect(open.rules).to.deep.equal(["unprotected"]);
    expect(open.message).to.include("initializeLabel");
    const told = await run({ app, contract: "ReinitializedApp", initialize: 'initializeLabel("main")' });
    expect(told.exitCode, told.stdout).to.equal(0);
    expect(told.stderr).to.include('then calls       initializeLabel("main")');
    expect(await readContract(world.ownerClient, { address: app, abi: upgradedAbi, functionName: "label" })).to.equal(
      "main",
    );
  });

  it("refuses an address without source, until that is accepted by name", async () => {
    const app = await newApp();
    const implementation = await deploy("ExtendedApp");
    const refused = await refusal({ app, implementation });
    expect(refused.rules).to.deep.equal(["unproven-layout"]);
    expect(refused.nextStep).to.include("--accept unproven-layout");
    expect(refused.message).to.include("Name the contract with --contract.");
    expect((await refusal({ app, implementation, contract: "ReinitializedApp" })).rules).to.include("other-code");
    const told = await run({ app, implementation, accept: "unproven-layout" });
    expect(told.exitCode, told.stdout).to.equal(0);
    expect(await implementationBehind(app)).to.equal(implementation.toLowerCase());
  });

  it("compares with the contract that the app runs today", async () => {
    const app = await deployBehindProxy(world.ownerClient, {
      contract: "ExtendedApp",
      args: [owner, false, false, false, deviceId, composeHash],
    });
    await waitForTransactionReceipt(world.ownerClient, {
      hash: await writeContract(world.ownerClient, {
        ...{ address: app, abi: parseAbi(["function setLabel(string newLabel)"]), functionName: "setLabel" },
        args: ["kept"],
      }),
    });
    const unknown = await refusal({ app, contract: "ReinitializedApp", initialize: 'initializeLabel("new")' });
    expect(unknown.rules).to.deep.equal(["unproven-layout"]);
    expect(unknown.message).to.include("slot 53 is in use");
    expect((await refusal({ app, contract: "ReinitializedApp", from: "DstackApp" })).rules).to.include("other-code");
    expect((await refusal({ app, contract: "DstackApp", from: "ExtendedApp" })).rules).to.deep.equal([
      "layout-collision",
    ]);
    const told = await run({
      ...{ app, contract: "ReinitializedApp", from: "ExtendedApp" },
      initialize: 'initializeLabel("new")',
    });
    expect(told.exitCode, told.stdout).to.equal(0);
  });

  it("says that upgrades are disabled on the app", async () => {
    const app = await deployBehindProxy(world.ownerClient, {
      contract: "DstackApp",
      args: [owner, true, false, false, deviceId, composeHash],
    });
    const refused = await refusal({ app, contract: "ExtendedApp" });
    expect(refused.rules).to.deep.equal(["upgrades-disabled"]);
    expect(refused.message).to.include("Upgrades are permanently disabled");
  });

  it("sends nothing with --dry-run, and only the owner can upgrade", async () => {
    const app = await newApp();
    const told = await run({ app, implementation: world.contracts.appImplementation, dryRun: true });
    expect(told.exitCode, told.stdout).to.equal(0);
    expect(await implementationBehind(app)).to.not.equal(world.contracts.appImplementation.toLowerCase());
    const stranger = await projectOf(
      world,
      { kms: world.contracts.kms, ownerKey: devPrivateKey(5) },
      { paths: { artifacts: join(root, "artifacts") } },
    );
    const refused = await runTask(stranger, ["app", "upgrade"], {
      ...{ app, implementation: world.contracts.appImplementation, ledger: join(directory, "other.sqlite") },
      ...{ store: ":memory:", json: true, yes: true },
    });
    expect(refused.exitCode).to.equal(3);
  });

  it("writes a plan, which is applied only while the app runs the code that it was made for", async () => {
    const [app, ledger] = [await newApp(), join(directory, "ledger.sqlite")];
    const implementation = await deploy("DstackApp");
    const planTask = (task: string, file: string) =>
      runTask(hre, ["plan", task], { file, json: true, ...(task === "apply" && { yes: true, ledger }) });
    const [file, overtaken] = [join(directory, "upgrade.json"), join(directory, "overtaken.json")];
    for (const plan of [file, overtaken]) {
      const written = await run({ app, implementation, plan });
      expect(written.exitCode, written.stdout).to.equal(0);
    }
    expect(JSON.parse(await readFile(file, "utf8"))).to.deep.include({ task: "app upgrade" });
    expect(await implementationBehind(app)).to.not.equal(implementation.toLowerCase());
    const applied = await planTask("apply", file);
    expect(applied.exitCode, applied.stdout).to.equal(0);
    expect(applied.json<{ comparedAnswers: number }>().comparedAnswers).to.be.greaterThan(5);
    expect(await implementationBehind(app)).to.equal(implementation.toLowerCase());
    const again = await planTask("apply", file);
    expect(again.json()).to.deep.include({ outcome: "applied" });
    expect(again.json<{ comparedAnswers: number }>().comparedAnswers).to.be.greaterThan(5);

    const later = await newApp();
    const written = await run({ app: later, implementation, plan: overtaken });
    expect(written.exitCode, written.stdout).to.equal(0);
    expect((await run({ app: later, implementation: await deploy("DstackApp") })).exitCode).to.equal(0);
    const checked = await planTask("check", overtaken);
    expect(checked.exitCode, checked.stdout).to.equal(6);
    expect(checked.stdout).to.include("The app runs ");
  });

  it("upgrades the app of a timelock after its delay, and compares its answers", async () => {
    const timelock = await deployTimelock(world.ownerClient, world.owner, 60n);
    const app = await deployBehindProxy(world.ownerClient, {
      contract: "DstackApp",
      args: [timelock, false, false, false, deviceId, composeHash],
    });
    const [file, implementation] = [join(directory, "timelock.json"), await deploy("DstackApp")];
    const written = await run({ app, implementation, plan: file });
    expect(written.exitCode, written.stdout).to.equal(0);
    const ofTimelock = (task: string) => runTask(hre, ["timelock", task], { file, json: true, yes: true });
    expect((await ofTimelock("schedule")).exitCode).to.equal(0);
    await world.advance(120);
    const executed = await ofTimelock("execute");
    expect(executed.exitCode, executed.stdout).to.equal(0);
    expect(executed.json()).to.deep.include({ outcome: "executed" });
    expect(executed.json<{ comparedAnswers: number }>().comparedAnswers).to.be.greaterThan(5);
    expect(await implementationBehind(app)).to.equal(implementation.toLowerCase());
  });

  it("says if the endpoint cannot simulate an upgrade, and goes on if that is accepted by name", async () => {
    const forward = async (body: string): Promise<unknown> => {
      const headers = { "content-type": "application/json" };
      return (await fetch(world.chain.rpcUrl, { method: "POST", headers, body })).json();
    };
    let refuses = true;
    const server = await startServer(async (response, { body }) => {
      const { params, ...call } = JSON.parse(body) as { id: number; method: string; params: unknown[] };
      const hasOverrides = call.method === "eth_call" && params.length > 2;
      const error = { code: -32602, message: "too many arguments, want at most 2" };
      if (hasOverrides && refuses) return sendJson(response, 200, { jsonrpc: "2.0", id: call.id, error });
      sendJson(
        response,
        200,
        await forward(JSON.stringify({ ...call, params: hasOverrides ? params.slice(0, 2) : params })),
      );
    });
    try {
      const chain = { id: world.chain.id, rpcUrl: server.url };
      const project = await projectOf({ ...world, chain }, { kms: world.contracts.kms });
      const app = await newApp();
      const implementation = await deploy("DstackApp");
      const upgrade = (args: object = {}) =>
        runTask(project, ["app", "upgrade"], {
          ...{
            app,
            implementation,
            ledger: join(directory, "ledger.sqlite"),
            store: ":memory:",
            json: true,
            yes: true,
          },
          ...args,
        });
      const refused = (await upgrade()).json<Failed>().error;
      expect(refused.context.objections?.map(({ rule }) => rule)).to.deep.equal(["unsimulated-upgrade"]);
      expect(refused.message).to.include("it refuses state overrides of eth_call (too many arguments");
      refuses = false;
      expect((await upgrade()).json<Failed>().error.message).to.include("it ignores state overrides of eth_call");
      const told = await upgrade({ accept: "unsimulated-upgrade" });
      expect(told.exitCode, told.stdout).to.equal(0);
      expect(await implementationBehind(app)).to.equal(implementation.toLowerCase());

      // An upgrade that loses the policy is found after its execution, whichever account executes its plan.
      const plan = join(directory, "unsimulated.json");
      const bad = { app: await newApp(), implementation: await deploy("ShiftedApp"), plan };
      const planned = await upgrade({ ...bad, accept: "unsimulated-upgrade,unproven-layout" });
      expect(planned.exitCode, planned.stdout).to.equal(0);
      const applied = await runTask(hre, ["plan", "apply"], { file: plan, json: true, yes: true });
      expect(applied.exitCode, applied.stdout).to.equal(3);
      expect(applied.json<Failed>().error).to.include({ code: "DSTK-2019" });
    } finally {
      await server.close();
    }
  });

  it("names what is wrong with --contract and --initialize", async () => {
    const app = await newApp();
    const message = async (args: Record<string, unknown>) => (await refusal({ app, ...args })).message;
    expect(await message({})).to.include("No implementation is named");
    expect(await message({ contract: "Missing" })).to.include("no compiled contract Missing");
    expect(await message({ contract: "OneStepApp" })).to.include("is abstract or an interface");
    expect(await message({ contract: "EpochApp" })).to.include("has a constructor with values (bytes4)");
    expect(await message({ contract: "LibraryApp" })).to.include("must be linked to Labels");
    expect(await message({ contract: "ExtendedApp", initialize: "nothing()" })).to.include("no function nothing");
    expect(await message({ contract: "ExtendedApp", initialize: "setLabel" })).to.include(
      "is neither calldata nor a call",
    );
    const { bytecode } = await hre.artifacts.readArtifact("DelegatingApp");
    const { address } = implementationOf(bytecode as Hex);
    expect(await getCode(world.ownerClient, { address }), "a refused contract is not deployed").to.equal(undefined);
  });
});
