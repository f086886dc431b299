import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { type Hex, zeroHash } from "viem";
import { getCode } from "viem/actions";
import { root } from "../../../../../scripts/support/paths.ts";
import { readAllowlist, readAppSettings } from "../../../../../src/chain/read-app.ts";
import { readBootVerdict } from "../../../../../src/chain/read-boot.ts";
import { type Ledger, openLedger } from "../../../../../src/chain/transactions/ledger.ts";
import { deployContracts, deploymentStep } from "../../../../../src/commands/deploy-contracts.ts";
import { implementationOf } from "../../../../../src/core/contract-deployment.ts";
import { type AppId, parseComposeHash } from "../../../../../src/core/ids.ts";
import { bootInfoOf } from "../../../../../src/testing/index.ts";
import { devAccount } from "../../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../../src/world/start-world.ts";
import { projectOf, runTask, type TaskRun } from "../../../../support/hardhat/run-task.ts";
import { Crash, crashingLedger } from "../../../../support/ledger/crashing-ledger.ts";
import { rejection } from "../../../../support/rejection.ts";

const composeHash = parseComposeHash("a1".repeat(32));

interface Deployed {
  readonly appId: AppId;
  readonly isFromRecord: boolean;
  readonly implementation: string;
}

interface Failed {
  readonly error: { readonly message: string; readonly context: { readonly objections?: readonly { rule: string }[] } };
}

describe("dstack app deploy --contract", () => {
  let world: World;
  let hre: HardhatRuntimeEnvironment;
  let directory: string;

  before(async () => {
    world = await startWorld({ cvms: false });
    const artifacts = join(root, "artifacts");
    hre = await projectOf(world, { kms: world.contracts.kms }, { paths: { artifacts } });
    directory = await mkdtemp(join(tmpdir(), "dstack-own-app-"));
  });
  after(async () => {
    await world?.close();
    if (directory) await rm(directory, { recursive: true, force: true });
  });

  const run = (args: Record<string, unknown> = {}): Promise<TaskRun> =>
    runTask(hre, ["app", "deploy"], {
      ...{ contract: "ExtendedApp", hash: composeHash, device: "node-1", json: true, yes: true },
      ledger: join(directory, "ledger.sqlite"),
      ...args,
    });
  const deployed = async (args?: Record<string, unknown>) => {
    const outcome = await run(args);
    expect(outcome.exitCode, outcome.stdout).to.equal(0);
    return outcome.json<Deployed>();
  };
  const refusal = async (args: Record<string, unknown>) => {
    const before = await head();
    const outcome = await run(args);
    expect(outcome.exitCode, outcome.stderr).to.equal(2);
    expect(await head()).to.equal(before);
    const { message, context } = outcome.json<Failed>().error;
    return { message, rules: (context.objections ?? []).map(({ rule }) => rule) };
  };
  const head = () => world.chain.client.getBlockNumber({ cacheTime: 0 });

  it("deploys and registers an app that boots, in one transaction, and finds it again", async () => {
    const before = await head();
    const { appId, isFromRecord, implementation } = await deployed();
    expect(isFromRecord).to.equal(false);
    expect(await head()).to.equal(before + 1n);
    const [node] = world.nodes;
    const bootInfo = bootInfoOf(appId, { composeHash, deviceId: node.deviceId, osImageHash: world.osImages[0].hash });
    const { kms } = world.contracts;
    expect(await readBootVerdict(world.ownerClient, { kms, bootInfo })).to.deep.equal({ isAllowed: true, reason: "" });
    const settings = await readAppSettings(world.ownerClient, { appId });
    expect(settings.implementation?.toLowerCase()).to.equal(implementation);

    const again = await deployed();
    expect(again).to.deep.include({ appId, isFromRecord: true });
    expect(await head()).to.equal(before + 1n);
    const another = await deployed({ again: true });
    expect(another).to.deep.include({ isFromRecord: false, implementation });
    expect(another.appId).to.not.equal(appId);
    expect((await deployed()).appId).to.equal(another.appId);
  });

  it("plans it with --dry-run", async () => {
    const before = await head();
    const planned = (await run({ dryRun: true, requireTcbUpToDate: true })).json<Deployed & { outcome: string }>();
    expect(planned.outcome).to.equal("planned");
    expect(await head()).to.equal(before);
    expect((await deployed({ requireTcbUpToDate: true })).appId).to.equal(planned.appId);
  });

  it("takes the initialiser that the user names, and compares the result with the values of the command", async () => {
    const owner = devAccount(7).address;
    const initialize = `initialize(${owner}, true, true, ${zeroHash}, ${composeHash})`;
    const values = { owner, device: undefined, allowAnyDevice: true, disableUpgrades: true };
    const other = await refusal({ ...values, initialize, owner: devAccount(6).address });
    expect(other.rules).to.include("answers-change");
    expect(other.message).to.include("owner()");
    expect((await refusal({ ...values, initialize, disableUpgrades: false })).rules).to.include("last-upgrade");
    const { appId } = await deployed({ ...values, initialize });
    expect(await readAllowlist(world.ownerClient, { appId, composeHash })).to.include({
      ...{ owner, allowAnyDevice: true, composeHashAllowed: true },
    });
  });

  it("refuses a contract that is no safe app, and deploys nothing", async () => {
    expect((await refusal({ contract: "OpenApp" })).rules).to.include("unprotected");
    expect((await refusal({ contract: "DelegatingApp" })).rules).to.include("unsafe-code");
    expect((await refusal({ contract: "UnlockedApp" })).rules).to.include("not-locked");
    expect((await refusal({ contract: "ReinitializedApp" })).rules).to.include("unprotected");
    expect((await refusal({ contract: "OneStepApp" })).message).to.include("is abstract");
    expect((await refusal({ contract: "EpochApp" })).message).to.include("constructor with values");
    expect((await refusal({ contract: "LibraryApp" })).message).to.include("must be linked to Labels");
    expect((await refusal({ contract: "NotUupsImplementation" })).message).to.include("has no initialize function");
    const zero = `0x${"00".repeat(20)}`;
    const reverting = { initialize: `initialize(${zero}, false, true, ${zeroHash}, ${zeroHash})` };
    expect((await refusal(reverting)).message).to.include("the initialiser reverts");
    expect((await refusal({ contract: undefined, initialize: "f()" })).message).to.include(
      "--initialize needs --contract",
    );
  });

  it("finishes what a run signed before it crashed, and deploys nothing twice", async () => {
    const path = join(directory, "crashed.sqlite");
    const { bytecode } = await hre.artifacts.readArtifact("HidingImplementation");
    const implementation = implementationOf(bytecode as Hex);
    const deploy = async (ledger: Ledger) => {
      const { owner, ownerClient, chain } = world;
      const steps = [deploymentStep(implementation)];
      return deployContracts(ownerClient, { steps, account: owner, chainId: chain.id, ledger, until: "latest" });
    };
    const nonce = () => world.chain.client.getTransactionCount({ address: world.owner.address });
    const before = await nonce();
    for (const point of [
      { write: 1, when: "after" },
      { write: 1, when: "before" },
      { write: 2, when: "before" },
    ] as const) {
      using ledger = openLedger(path);
      expect(await rejection(deploy(crashingLedger(ledger, point)))).to.be.instanceOf(Crash);
    }
    using ledger = openLedger(path);
    await deploy(ledger);
    expect(await deploy(ledger)).to.equal(undefined);
    expect(await nonce()).to.equal(before + 1);
    expect(await getCode(world.ownerClient, { address: implementation.address })).to.not.equal(undefined);
  });
});
