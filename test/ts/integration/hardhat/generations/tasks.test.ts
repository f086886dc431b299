import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { artifacts } from "hardhat";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { type Hex, parseAbi, zeroHash } from "viem";
import { deployContract, readContract, waitForTransactionReceipt, writeContract } from "viem/actions";
import { readAllowlist, readOwnership } from "../../../../../src/chain/read-app.ts";
import { getCvm } from "../../../../../src/cloud/get-cvm.ts";
import { type AcceptingCommand, namesToAccept } from "../../../../../src/commands/acceptable-names.ts";
import { type AppId, type ComposeHash, parseComposeHash } from "../../../../../src/core/ids.ts";
import { devAccount } from "../../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../../src/world/start-world.ts";
import { epochInterfaces, oddities, upgradeTo } from "../../../../support/chain/upgrade-to.ts";
import { projectOf, runTask, type TaskRun } from "../../../../support/hardhat/run-task.ts";
import { allow, fillerHash, type PruneWorld } from "../../../../support/prune/prune-world.ts";

const caveat = "app epoch 0 only, another epoch may decide";
const newHash = parseComposeHash("a1".repeat(32));
const newValue = `0x${"d7".repeat(32)}`;

const epochAppAbi = parseAbi([
  "function advanceEpoch(bytes32 firstComposeHash)",
  "function isAllowedNow(bytes32 composeHash) view returns (bool)",
]);

interface Report {
  readonly generation: { readonly id: string; readonly releases: string; readonly hasKeyEpochs: boolean | null } | null;
  readonly kmsGeneration: Report["generation"];
  readonly caveat: string | null;
}

describe("tasks on contracts of each generation", () => {
  let world: World;
  let hre: HardhatRuntimeEnvironment;
  let appId: AppId;
  let inForce: ComposeHash;
  let directory: string;
  let compose: string;
  let snapshot: string;
  let runs = 0;

  before(async () => {
    world = await startWorld({ cloud: { rolloverMs: 0 } });
    hre = await projectOf(world, { kms: world.contracts.kms });
    const cvm = await getCvm(world.cloudClient, { cvm: "onchain-app" });
    if (cvm.appId === undefined || cvm.composeHash === undefined) throw new Error("The world's CVM has no app.");
    appId = cvm.appId;
    inForce = cvm.composeHash;
    directory = await mkdtemp(join(tmpdir(), "dstack-generations-"));
    compose = join(directory, "compose.yml");
    await writeFile(compose, "services:\n  web:\n    image: nginx:1.29\n");
  });
  beforeEach(async () => {
    snapshot = await world.snapshot();
    runs++;
  });
  afterEach(() => world.restore(snapshot));
  after(async () => {
    await world?.close();
    if (directory) await rm(directory, { recursive: true, force: true });
  });

  const run = (task: string, args: Record<string, unknown> = {}): Promise<TaskRun> =>
    runTask(hre, task.split(" "), { cvm: "onchain-app", json: true, ...args });
  const errorOf = (outcome: TaskRun) =>
    outcome.json<{ error: { name: string; code: string; message: string; nextStep: string } }>().error;
  const head = () => world.chain.client.getBlockNumber({ cacheTime: 0 });
  const toEpochApp = (id: keyof typeof epochInterfaces = "0.6.5") =>
    upgradeTo(world.ownerClient, { proxy: appId, contract: "EpochApp", args: [epochInterfaces[id]] });
  const toEpochKms = (id: keyof typeof epochInterfaces = "0.6.5") =>
    upgradeTo(world.ownerClient, { proxy: world.contracts.kms, contract: "EpochKms", args: [epochInterfaces[id]] });
  const toOddApp = (oddity: keyof typeof oddities) =>
    upgradeTo(world.ownerClient, { proxy: appId, contract: "OddInterfaceApp", args: [oddities[oddity]] });

  /** Every task that must stop, with arguments that pass once the risk is accepted. */
  const stopping: readonly [task: AcceptingCommand, args: () => Record<string, unknown>][] = [
    ["hash", () => ({ file: compose })],
    ["hash add", () => ({ hashes: [newHash], yes: true })],
    ["hash remove", () => ({ hashes: [inForce], accept: "in-use", yes: true })],
    ["device add", () => ({ devices: [newValue], yes: true })],
    ["device remove", () => ({ devices: [newValue], accept: "no-effect,in-use", yes: true })],
    ["device allow-any", () => ({ state: "on", yes: true })],
    ["prune", () => ({ dryRun: true, keep: "0" })],
    ["prune", () => ({ keep: "0", accept: "other-machines", yes: true, ledger: `${directory}/prune-${runs}` })],
    ["update", () => ({ compose, ledger: `${directory}/update-${runs}` })],
    ["boot-check", () => ({})],
  ];
  const otherNames = (task: AcceptingCommand) =>
    namesToAccept(task)
      .filter((name) => name !== "key-epochs")
      .join(",");
  const accepting = (args: Record<string, unknown>) => ({
    ...args,
    accept: [args.accept, "key-epochs"].filter((names) => names !== undefined).join(","),
  });
  /** Tasks whose answer is negative, with exit code 6. */
  const negative = new Set(["hash"]);

  describe("an app with key epochs", () => {
    for (const [task, args] of stopping) {
      const how = args().dryRun ? `${task} --dry-run` : task;
      it(`${how} stops with its own error, and sends nothing`, async () => {
        await toEpochApp();
        const block = await head();
        const stopped = await run(task, args());
        expect(errorOf(stopped), stopped.stdout).to.include({ name: "KeyEpochsError", code: "DSTK-1201" });
        expect(errorOf(stopped).message).to.include("0.6.5 or 0.6.6").and.to.include("app epoch 0");
        expect(errorOf(stopped).nextStep).to.include("--accept key-epochs");
        expect([stopped.exitCode, await head()]).to.deep.equal([2, block]);
        const other = await run(task, { ...args(), accept: otherNames(task) });
        expect(errorOf(other), "another risk's name").to.include({ name: "KeyEpochsError" });
      });

      it(`${how} continues when that is accepted by name, and prints the caveat`, async () => {
        await toEpochApp();
        const outcome = await run(task, accepting(args()));
        // The mock cloud has no verdict about such an app: what is paid for is not confirmed by it.
        const isRefusedByCloud = task === "update";
        if (isRefusedByCloud) {
          expect(errorOf(outcome), outcome.stdout).to.include({ name: "HashNotAllowedError" });
          expect(outcome.stderr).to.include(`CAUTION: ${caveat}`);
          return;
        }
        expect(outcome.exitCode, outcome.stdout).to.equal(negative.has(task) ? 6 : 0);
        expect(outcome.json<Report>()).to.deep.include({ caveat });
        expect(outcome.json<Report>().generation).to.include({ id: "0.6.5", hasKeyEpochs: true });
        expect(outcome.json<Report>().kmsGeneration).to.include({ id: "first", hasKeyEpochs: false });
      });
    }

    for (const id of ["0.6.4", "0.6.5"] as const) {
      it(`status labels everything that it lists of ${id}, with every release of that id`, async () => {
        await toEpochApp(id);
        const releases = id === "0.6.5" ? "0.6.5 or 0.6.6" : "0.6.4";
        const report = (await run("status")).json<Report & { composeHashes: { composeHash: string }[] }>();
        expect(report.generation).to.include({ id, releases, hasKeyEpochs: true });
        expect(report.kmsGeneration).to.include({ id: "first", hasKeyEpochs: false });
        expect(report.caveat).to.equal(caveat);
        expect(report.composeHashes.map(({ composeHash }) => composeHash)).to.deep.equal([inForce]);
        const { stdout } = await run("status", { json: false });
        expect(stdout).to.include(`generation ${releases} (key epochs)`);
        for (const title of ["Compose hashes allowed", "Devices listed", "Findings"])
          expect(stdout).to.include(`${title} (${caveat})`);
      });
    }

    for (const task of ["history", "device list"]) {
      it(`${task} labels what it lists`, async () => {
        await toEpochApp();
        const outcome = await run(task);
        expect([outcome.exitCode, outcome.json<Report>().caveat]).to.deep.equal([0, caveat]);
        expect(outcome.json<Report>().generation).to.include({ id: "0.6.5" });
        expect((await run(task, { json: false })).stdout).to.include(`CAUTION: ${caveat}`);
      });
    }

    it("history prints no label into a file for other programs", async () => {
      await toEpochApp();
      const { stdout, stderr } = await run("history", { csv: true, json: false });
      expect(stdout)
        .to.match(/^block/)
        .and.to.not.include("CAUTION");
      expect(stderr).to.include(`CAUTION: ${caveat}`);
    });

    it("prints what is accepted above the plan and the result", async () => {
      await toEpochApp();
      for (const [task, args] of stopping.filter(([task]) => task !== "update")) {
        const { stdout } = await run(task, { ...accepting(args()), json: false });
        expect(stdout, task).to.include(`CAUTION: ${caveat}`).and.to.include("0.6.5 or 0.6.6");
      }
    });

    it("allows a transfer of ownership as before", async () => {
      await toEpochApp();
      const shown = await run("owner show");
      expect(shown.exitCode, shown.stdout).to.equal(0);
      const address = devAccount(1).address;
      const offered = await run("owner transfer", { address, yes: true });
      expect(offered.exitCode, offered.stdout).to.equal(0);
      expect(await readOwnership(world.ownerClient, { appId })).to.include({ pendingOwner: address });
    });
  });

  describe("a KMS with key epochs, and an app of the first generation", () => {
    for (const [task, args] of stopping) {
      const how = args().dryRun ? `${task} --dry-run` : task;
      it(`${how} stops, and names the KMS`, async () => {
        await toEpochKms("0.6.4");
        const block = await head();
        const stopped = await run(task, args());
        expect(errorOf(stopped), stopped.stdout).to.include({ name: "KeyEpochsError" });
        expect(errorOf(stopped).message).to.match(/^The KMS 0x\w+ is of release 0\.6\.4/);
        expect(await head()).to.equal(block);
      });
    }

    it("status, history and device list label what they list", async () => {
      await toEpochKms();
      for (const task of ["status", "history", "device list"]) {
        const report = (await run(task)).json<Report>();
        expect(report.generation, task).to.include({ id: "first" });
        expect(report.kmsGeneration, task).to.include({ id: "0.6.5", releases: "0.6.5 or 0.6.6" });
        expect(report.caveat, task).to.equal(caveat);
      }
    });

    it("kms show prints the generation and labels its answers", async () => {
      await toEpochKms();
      const osImage = world.osImages[0].hash;
      const outcome = await run("kms show", { osImage });
      expect(outcome.json<Report>()).to.deep.include({ caveat });
      expect(outcome.json<Report>().generation).to.include({ id: "0.6.5", releases: "0.6.5 or 0.6.6" });
      expect((await run("kms show", { osImage, json: false })).stdout)
        .to.include("0.6.5 or 0.6.6 (key epochs)")
        .and.to.include(caveat);
    });

    const writes = ["add-os-image", "remove-os-image", "add-device", "remove-device", "add-measurement"];
    for (const task of [...writes, "remove-measurement", "set-app-implementation"]) {
      it(`kms ${task} stops, unless that is accepted by name`, async () => {
        const value = task === "set-app-implementation" ? world.contracts.kms : newValue;
        const opposite = task.startsWith("remove-") ? task.replace("remove", "add") : undefined;
        if (opposite) expect((await run(`kms ${opposite}`, { value, yes: true })).exitCode).to.equal(0);
        await toEpochKms();
        const block = await head();
        const stopped = await run(`kms ${task}`, { value, yes: true });
        expect(errorOf(stopped), stopped.stdout).to.include({ name: "KeyEpochsError" });
        expect(await head()).to.equal(block);
        const accepted = await run(`kms ${task}`, { value, yes: true, accept: "key-epochs" });
        expect(accepted.exitCode, accepted.stdout).to.equal(0);
        expect(accepted.json<Report>()).to.deep.include({ caveat });
      });
    }

    it("app deploy stops, unless that is accepted by name", async () => {
      await toEpochKms();
      const block = await head();
      const ledger = join(directory, "ledger.sqlite");
      const deploy = (accept?: string) =>
        runTask(hre, ["app", "deploy"], { hash: newHash, yes: true, json: true, ledger, accept });
      const stopped = await deploy();
      expect(errorOf(stopped), stopped.stdout).to.include({ name: "KeyEpochsError" });
      expect(await head()).to.equal(block);
      const accepted = await deploy("key-epochs");
      expect(accepted.exitCode, accepted.stdout).to.equal(0);
      expect(accepted.json<Report>()).to.deep.include({ caveat });
    });
  });

  describe("an app that violates ERC-165", () => {
    for (const oddity of ["answersTwo", "answersOneByte", "saysYesToAll", "saysNoToAll", "failsForEpochs"] as const) {
      it(`has no known generation when it ${oddity}: it is read with a caveat, and not changed`, async () => {
        await toOddApp(oddity);
        const report = (await run("status")).json<Report>();
        expect(report.generation).to.include({ id: "unknown", hasKeyEpochs: null });
        expect(report.caveat).to.equal("generation not known, these values may not decide");
        const block = await head();
        const stopped = await run("hash add", { hashes: [newHash], yes: true });
        expect(errorOf(stopped)).to.include({ name: "KeyEpochsError" });
        expect(errorOf(stopped).message).to.include("is not known");
        expect(await head()).to.equal(block);
        const accepted = await run("hash add", { hashes: [newHash], yes: true, accept: "key-epochs" });
        expect(accepted.exitCode, accepted.stdout).to.equal(0);
      });
    }

    for (const oddity of ["reverts", "burnsAllGas"] as const) {
      it(`has the first generation when it ${oddity}, as the oldest apps do`, async () => {
        await toOddApp(oddity);
        const report = (await run("status")).json<Report>();
        expect([report.generation?.id, report.caveat]).to.deep.equal(["first", null]);
        const added = await run("hash add", { hashes: [newHash], yes: true });
        expect(added.exitCode, added.stdout).to.equal(0);
        expect(await readAllowlist(world.ownerClient, { appId, composeHash: newHash })).to.include({
          composeHashAllowed: true,
        });
      });
    }
  });

  it("print no caveat for an app and a KMS of the first generation, and name their releases", async () => {
    for (const task of ["status", "history", "device list", "boot-check"]) {
      const report = (await run(task)).json<Report>();
      expect([report.generation?.id, report.kmsGeneration?.id, report.caveat], task).to.deep.equal([
        "first",
        "first",
        null,
      ]);
    }
    expect((await run("status", { json: false })).stdout)
      .to.include("generation 0.6.0 (first generation)")
      .and.not.include("CAUTION");
    expect((await run("kms show", { json: false })).stdout).to.include("0.6.0 (first generation)");
  });

  it("say that the KMS's generation is unknown when no KMS is named", async () => {
    const keyless = await projectOf(world, { cloud: { baseUrl: world.cloud.baseUrl, apiKey: "" } });
    const report = (await runTask(keyless, ["status"], { app: appId, json: true })).json<Report>();
    expect([report.generation?.id, report.kmsGeneration]).to.deep.equal(["first", null]);
    const { stdout } = await runTask(keyless, ["status"], { app: appId });
    expect(stdout).to.include("not known: no KMS is named");
  });

  it("check the configured KMS with key epochs, although the cloud names another", async () => {
    const { bytecode, abi } = await artifacts.readArtifact("EpochKms");
    const { ownerClient } = world;
    const args = [epochInterfaces["0.6.5"]] as const;
    const deployed = await deployContract(ownerClient, { abi, bytecode: bytecode as Hex, args });
    const { contractAddress } = await waitForTransactionReceipt(ownerClient, { hash: deployed });
    const project = await projectOf(world, { kms: contractAddress ?? "0x" });
    for (const task of [["hash", "add"], ["status"]]) {
      const adding = task[0] === "hash" ? { hashes: [newHash], yes: true } : {};
      const outcome = await runTask(project, task, { cvm: "onchain-app", json: true, ...adding });
      if (task[0] === "hash") expect(errorOf(outcome), outcome.stdout).to.include({ name: "KeyEpochsError" });
      else expect(outcome.json<Report>()).to.deep.include({ caveat });
    }
  });

  it("carry out no plan after an upgrade", async () => {
    const pruned = { ...world, appId } as unknown as PruneWorld;
    await allow(pruned, fillerHash("old"));
    const file = join(directory, "plan.json");
    const planned = await run("prune", { plan: file, keep: "0", accept: "other-machines" });
    expect(planned.exitCode, planned.stdout).to.equal(0);
    await toEpochApp();
    const block = await head();
    const args = { file, ledger: join(directory, "planned"), yes: true, json: true };
    const refused = errorOf(await runTask(await projectOf(world), ["plan", "apply"], args));
    expect(refused)
      .to.include({ name: "PlanOvertakenError" })
      .and.to.have.property("message")
      .that.includes("generation");
    expect(await head()).to.equal(block);
  });

  it("test against contracts whose epoch 0 has no effect once the epoch has advanced", async () => {
    await toEpochApp();
    const app = { address: appId, abi: epochAppAbi } as const;
    const hash = await writeContract(world.ownerClient, { ...app, functionName: "advanceEpoch", args: [newHash] });
    await waitForTransactionReceipt(world.ownerClient, { hash });
    const governs = (composeHash: Hex) =>
      readContract(world.ownerClient, { ...app, functionName: "isAllowedNow", args: [composeHash] });
    expect([await governs(inForce), await governs(newHash), await governs(zeroHash)]).to.deep.equal([
      false,
      true,
      false,
    ]);
    expect(await readAllowlist(world.ownerClient, { appId, composeHash: inForce })).to.deep.include({
      composeHashAllowed: true,
    });
  });
});
