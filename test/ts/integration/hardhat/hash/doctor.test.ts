import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { addComposeHash } from "../../../../../src/chain/add-compose-hash.ts";
import { removeComposeHash } from "../../../../../src/chain/remove-compose-hash.ts";
import { waitForReceipt } from "../../../../../src/chain/transactions/receipt.ts";
import { getComposeFile } from "../../../../../src/cloud/get-compose-file.ts";
import { getCvm } from "../../../../../src/cloud/get-cvm.ts";
import { type AppCompose, changeAppCompose } from "../../../../../src/core/app-compose.ts";
import { computeComposeHash, hashAppComposeText } from "../../../../../src/core/compose-hash.ts";
import type { HashExamination } from "../../../../../src/core/examine-hashes.ts";
import type { AppId, ComposeHash, TransactionHash } from "../../../../../src/core/ids.ts";
import { startWorld, type World } from "../../../../../src/world/start-world.ts";
import { projectOf, runTask } from "../../../../support/hardhat/run-task.ts";
import { addReplica, compose, type PruneWorld } from "../../../../support/prune/prune-world.ts";

interface Answer {
  readonly appId?: AppId;
  readonly isMatch: boolean;
  readonly composeProblems: readonly string[];
  readonly comparisons: readonly (HashExamination & { kind: string; cvm?: string })[];
}

describe("dstack hash", () => {
  let world: World;
  let hre: HardhatRuntimeEnvironment;
  let directory: string;
  let manifest: AppCompose;
  let appId: AppId;
  let inForce: ComposeHash;
  const files: Record<string, string> = {};

  before(async () => {
    world = await startWorld({ cloud: { rolloverMs: 0 } });
    hre = await projectOf(world);
    directory = await mkdtemp(join(tmpdir(), "dstack-hash-"));
    const cvm = await getCvm(world.cloudClient, { cvm: "onchain-app" });
    if (cvm.appId === undefined || cvm.composeHash === undefined) throw new Error("The world's CVM has no app.");
    appId = cvm.appId;
    inForce = cvm.composeHash;
    manifest = await getComposeFile(world.cloudClient, { cvm: "onchain-app" });
    await write("same.yml", String(manifest.docker_compose_file));
    await write("other.yml", String(manifest.docker_compose_file).replace("nginx:1.28", "nginx:1.29"));
    await write("app-compose.json", JSON.stringify(manifest));
    await write("unknown-key.yml", "services:\n  web:\n    image: nginx\n    prots: []\n");
    await write(
      "unknown-key.json",
      JSON.stringify({ docker_compose_file: "services:\n  web: nginx\n", runner: "docker-compose" }),
    );
    await write("broken.yml", "services: [");
    await write("several.yml", `${manifest.docker_compose_file}---\nservices:\n  other:\n    image: other\n`);
  });
  after(async () => {
    await world?.close();
    if (directory) await rm(directory, { recursive: true, force: true });
  });

  async function write(name: string, text: string): Promise<void> {
    files[name] = join(directory, name);
    await writeFile(join(directory, name), text);
  }
  const run = (file: string, args: Record<string, unknown> = {}) =>
    runTask(hre, ["hash"], { file: files[file] ?? file, json: true, ...args });
  const kindsOf = ({ comparisons }: Answer) => comparisons[0]?.findings.map(({ kind }) => kind);
  const pruneWorld = (): PruneWorld => ({ ...world, appId, cvm: "onchain-app", firstHash: inForce });
  const mined = (transactionHash: TransactionHash) =>
    waitForReceipt(world.ownerClient, { transactionHash, functionName: "change" });

  it("computes without a network", async () => {
    const nowhere = "http://127.0.0.1:9";
    const offline = await projectOf({
      ...world,
      chain: { ...world.chain, rpcUrl: nowhere },
      cloud: { ...world.cloud, baseUrl: nowhere },
    });
    const { exitCode, json } = await runTask(offline, ["hash"], { file: files["app-compose.json"], json: true });
    expect(exitCode).to.equal(0);
    expect(json<Answer>().comparisons[0]).to.include({ kind: "app-compose" });
    expect(json<Answer>().comparisons[0]?.hashes[0]?.hash).to.equal(inForce);
  });

  it("warns of what Docker would refuse", async () => {
    const { json } = await run("unknown-key.yml");
    const problem = "services.web.prots is not a known key (did you mean ports?), at line 4, column 5";
    expect(json<Answer>().composeProblems).to.deep.equal([problem]);
    const shown = await run("unknown-key.yml", { json: false });
    expect(shown.stdout).to.include(`Warning: Docker would refuse the compose file: ${problem}.`);
    const manifest = (await run("unknown-key.json")).json<Answer>();
    expect(manifest.composeProblems).to.deep.equal(["services.web must be a mapping, at line 2, column 3"]);
    expect((await run("same.yml")).json<Answer>().composeProblems).to.deep.equal([]);
  });

  it("finds the form that the CVM and the contract have, with --cvm and with --app", async () => {
    for (const args of [{ cvm: "onchain-app" }, { app: appId }]) {
      for (const file of ["same.yml", "app-compose.json"]) {
        const { exitCode, json } = await run(file, args);
        expect(json<Answer>().appId).to.equal(appId);
        expect(json<Answer>().comparisons.map(({ cvm }) => cvm)).to.deep.equal(["onchain-app"]);
        expect(kindsOf(json<Answer>())).to.deep.equal(["inForce", "allowed"]);
        expect(exitCode).to.equal(0);
      }
    }
  });

  it("names the line that differs, and exits with its own code", async () => {
    const { exitCode, json } = await run("other.yml", { cvm: "onchain-app" });
    expect(exitCode).to.equal(6);
    expect(kindsOf(json<Answer>())).to.deep.equal(["otherDocument", "notAllowed"]);
    const [difference] = json<Answer>().comparisons[0]?.differences ?? [];
    expect(difference?.field).to.equal("docker_compose_file");
    expect(difference?.firstDifferingLine).to.deep.equal({
      number: 3,
      before: "    image: nginx:1.28",
      after: "    image: nginx:1.29",
    });
  });

  it("finds a hash of a stale document, as after an outage", async () => {
    // The new compose file was put into an outdated manifest, which has the former allowed variables.
    const stale = { ...changeAppCompose(manifest, { dockerCompose: "services:\n  web:\n    image: x\n" }), name: "" };
    await write("stale.json", JSON.stringify(stale));
    const hash = computeComposeHash({ ...stale, allowed_envs: [] });
    const { exitCode, json } = await run("stale.json", { cvm: "onchain-app", hash });
    expect(exitCode).to.equal(6);
    expect(json<Answer>().comparisons[0]?.findings.at(-1)?.text).to.include("It differs in allowed_envs.");
  });

  it("reports that the contract allows a form other than the CVM's, as after an outage", async () => {
    const { ownerClient } = world;
    const snapshot = await world.snapshot();
    const compact = hashAppComposeText(JSON.stringify(manifest));
    await mined(await addComposeHash(ownerClient, { appId, composeHash: compact }));
    await mined(await removeComposeHash(ownerClient, { appId, composeHash: inForce }));
    const { exitCode, json, stderr } = await run("app-compose.json", { app: appId });
    expect(kindsOf(json<Answer>()), stderr).to.deep.equal(["inForce", "wrongFormAllowed"]);
    expect(exitCode).to.equal(6);
    await world.restore(snapshot);
  });

  it("compares with the cloud alone on an off-chain KMS", async () => {
    const { exitCode, json } = await run("same.yml", { cvm: "offchain-app" });
    expect(kindsOf(json<Answer>())).to.deep.equal(["inForce"]);
    expect(exitCode).to.equal(0);
  });

  it("compares with every CVM of an app, each with its own manifest", async () => {
    const snapshot = await world.snapshot();
    await addReplica(pruneWorld(), "1.29");
    await write("replica.yml", compose("1.29"));
    const { exitCode, json } = await run("replica.yml", { app: appId });
    const kinds = json<Answer>().comparisons.map(({ findings }) => findings.map(({ kind }) => kind));
    expect(kinds).to.deep.include.members([
      ["inForce", "allowed"],
      ["otherDocument", "allowedAhead"],
    ]);
    expect(exitCode).to.equal(6);
    await world.restore(snapshot);
  });

  it("asks the contract alone without an API key", async () => {
    const keyless = await projectOf(world, { cloud: { baseUrl: world.cloud.baseUrl, apiKey: "" } });
    const { exitCode, json } = await runTask(keyless, ["hash"], {
      file: files["app-compose.json"],
      app: appId,
      json: true,
    });
    expect(kindsOf(json<Answer>())).to.deep.equal(["allowed"]);
    expect(exitCode).to.equal(0);
  });

  it("prints a table, the line and a sentence for each finding", async () => {
    const same = await run("same.yml", { cvm: "onchain-app", json: false });
    for (const words of ["canonical", inForce, "in force", "allowed", "ok     onchain-app"])
      expect(same.stdout).to.include(words);
    const other = await run("other.yml", { cvm: "onchain-app", json: false });
    for (const words of ["not allowed", "line 3", "nginx:1.28", "nginx:1.29", "wrong  onchain-app"])
      expect(other.stdout).to.include(words);
  });

  for (const [what, file, args, code, name] of [
    ["no file", "", {}, 2, "InvalidArgumentError"],
    ["a missing file", "absent.yml", {}, 2, "UnusableFileError"],
    ["broken YAML", "broken.yml", {}, 2, "InvalidAppComposeError"],
    ["several documents", "several.yml", {}, 2, "InvalidAppComposeError"],
    ["several documents, before the CVM is asked for", "several.yml", { cvm: "unknown" }, 2, "InvalidAppComposeError"],
    ["a short hash", "same.yml", { hash: "0x12" }, 2, "InvalidHexError"],
    ["an unknown CVM", "same.yml", { cvm: "unknown" }, 4, "CvmNotFoundError"],
    ["an address without code", "same.yml", { app: `0x${"12".repeat(20)}` }, 3, "NoContractError"],
    ["an unknown name of an app", "same.yml", { app: "shop" }, 2, "InvalidArgumentError"],
  ] as const)
    it(`refuses ${what}`, async () => {
      const { exitCode, json, stderr } = await run(file, args);
      expect(exitCode).to.equal(code);
      expect(json<{ error: object }>().error).to.include({ name });
      expect(stderr).not.to.match(/^\s+at /m);
    });
});
