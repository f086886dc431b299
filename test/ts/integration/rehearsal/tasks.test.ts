import { existsSync, readdirSync, statSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { parseEther } from "viem";
import { sendTransaction } from "viem/actions";
import { readOwnership } from "../../../../src/chain/read-app.ts";
import { getAppCvms } from "../../../../src/cloud/get-app-cvms.ts";
import type { AppId } from "../../../../src/core/ids.ts";
import { parseComposeHash } from "../../../../src/core/ids.ts";
import { addComposeHashCall } from "../../../../src/core/owner-calls.ts";
import { formatAdoptedCvms } from "../../../../src/world/adopted-cvms.ts";
import { devAccount } from "../../../../src/world/chain/client.ts";
import { readAdoptedCvms } from "../../../../src/world/read-adopted-cvms.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { projectOf, runTask, type TaskRun } from "../../../support/hardhat/run-task.ts";

interface Report {
  readonly verdict: string;
  readonly reasons: readonly { readonly kind: string; readonly message: string }[];
  readonly chain: { readonly blockNumber: string };
  readonly phases: readonly {
    readonly title: string;
    readonly isLive: boolean;
    readonly execution: { readonly steps: readonly object[] };
  }[];
  readonly reboots: readonly { readonly isRunning: boolean; readonly composeHash: string }[];
  readonly next: readonly string[];
}

/** The world here is the live chain and the real cloud of an app that a Safe owns. */
describe("dstack rehearse", () => {
  let live: World;
  let appId: AppId;
  let project: HardhatRuntimeEnvironment;
  let directory: string;
  let untouched: string;

  before(async () => {
    live = await startWorld({ safe: { threshold: 2, owners: 3 } });
    const { onChain } = live.cvms;
    if (onChain?.appId === undefined) throw new Error("The world has a CVM with a contract.");
    appId = onChain.appId;
    directory = await mkdtemp(join(tmpdir(), "dstack-rehearse-test-"));
    project = await projectOf(live, { ownerKey: "", kms: live.contracts.kms });
    await writeFile(join(directory, "docker-compose.yml"), "services:\n  web:\n    image: nginx:1.29\n");
    untouched = await stateOf();
  });
  after(async () => {
    await live.close();
    await rm(directory, { recursive: true, force: true });
  });
  afterEach("nothing of the live chain, the cloud or the project has changed", async () => {
    expect(await stateOf()).to.equal(untouched);
  });

  async function stateOf(): Promise<string> {
    const [head, cvms] = await Promise.all([live.chain.client.getBlock(), getAppCvms(live.cloudClient, { appId })]);
    // Tests that ran before in this process share the project's folder.
    const { paths } = project.config;
    const files = [join(paths.root, ".dstack"), join(paths.cache, "dstack")].map((folder) =>
      existsSync(folder)
        ? readdirSync(folder).map((name) => [name, statSync(join(folder, name)).mtimeMs])
        : "there is no such folder",
    );
    return JSON.stringify([head.hash, cvms, files]);
  }

  const rehearse = (task: string, args: Record<string, unknown> = {}): Promise<TaskRun> =>
    runTask(project, ["rehearse", task], { ...(task !== "plan" && { app: appId }), ...args });
  const reportOf = async (task: string, args: Record<string, unknown> = {}, exitCode = 0): Promise<Report> => {
    const run = await rehearse(task, { json: true, ...args });
    expect(run.exitCode, run.stdout + run.stderr).to.equal(exitCode);
    return run.json<Report>();
  };

  it("rehearses an update to its restart, and tells the live commands of the Safe", async () => {
    const compose = join(directory, "docker-compose.yml");
    const { verdict, reboots, next } = await reportOf("update", { compose });
    expect(verdict).to.equal("go");
    expect(reboots.map(({ isRunning }) => isRunning)).to.deep.equal([true]);
    const [cvm] = await getAppCvms(live.cloudClient, { appId });
    expect(reboots[0]?.composeHash).to.not.equal(cvm?.composeHash);
    expect(next).to.deep.equal([
      `npx hardhat dstack update --app ${appId} --compose ${compose} --prepare --plan update.json --network world`,
      "npx hardhat dstack safe propose update.json --network world",
      "npx hardhat dstack safe sign update.json --network world",
      "npx hardhat dstack safe execute update.json --network world",
      "npx hardhat dstack update --commit --plan update.json --wait --network world",
    ]);
  });

  it("is a no-go with exit code 8 where the task refuses, and the Markdown says so", async () => {
    const markdown = join(directory, "report.md");
    const args = { address: live.contracts.kms, markdown };
    const { verdict, reasons, next } = await reportOf("owner-transfer", args, 8);
    expect([verdict, reasons[0]?.kind, next.length]).to.deep.equal(["no-go", "refused", 0]);
    expect(await readFile(markdown, "utf8")).to.include("## NO-GO");
    await writeFile(markdown, "my notes");
    const refused = await rehearse("owner-transfer", args);
    expect(refused.exitCode).to.equal(2);
    expect(await readFile(markdown, "utf8")).to.equal("my notes");
  });

  it("is a no-go if there is nothing to do", async () => {
    for (const [task, args] of [
      ["app-upgrade", { implementation: live.contracts.appImplementation }],
      ["prune", { keep: "0" }],
    ] as const) {
      const { reasons } = await reportOf(task, args, 8);
      expect(
        reasons.map(({ kind }) => kind),
        task,
      ).to.deep.equal(["nothing-to-do"]);
    }
  });

  it("rehearses a plan that a task wrote", async () => {
    const file = join(directory, "plan.json");
    const hash = `0x${"0a".repeat(32)}`;
    const wrote = await runTask(project, ["hash", "add"], { hashes: [hash], app: appId, plan: file });
    expect(wrote.exitCode, wrote.stderr).to.equal(0);
    const plan = await reportOf("plan", { file });
    expect(plan.verdict).to.equal("go");
    expect(plan.next).to.deep.equal(
      ["propose", "sign", "execute"].map((step) => `npx hardhat dstack safe ${step} ${file} --network world`),
    );
  });

  it("rehearses a transfer, and repeats it from a recording and a file of CVMs, without the chain and the cloud", async () => {
    const cvms = join(directory, "cvms.json");
    await writeFile(cvms, formatAdoptedCvms(await readAdoptedCvms(live.cloudClient, { appIds: [appId] })));
    const recording = join(directory, "base.rpc.jsonl");
    const address = devAccount(7).address;
    const first = await reportOf("owner-transfer", { address, cvms, record: recording, kms: live.contracts.kms });
    expect(first.verdict).to.equal("go");
    expect(first.phases.map(({ title, isLive }) => [title, isLive])).to.deep.equal([
      ["The transfer", true],
      ["The new owner accepts", true],
      ["The new owner allows a hash", false],
      ["The new owner removes it", false],
    ]);
    expect(first.next[0]).to.equal(
      `npx hardhat dstack owner transfer ${address} --app ${appId} --plan owner-transfer.json --network world`,
    );
    expect(first.next.at(-1)).to.equal(`npx hardhat dstack owner accept --app ${appId} --network world`);
    const alone = await projectOf(
      { chain: { id: 8453, rpcUrl: "http://127.0.0.1:1" }, cloud: { baseUrl: "http://127.0.0.1:1" }, apiKey: "none" },
      { ownerKey: "", kms: live.contracts.kms },
    );
    const run = await runTask(alone, ["rehearse", "owner-transfer"], {
      ...{ app: appId, address, cvms, offline: recording, json: true },
    });
    expect(run.exitCode, run.stdout + run.stderr).to.equal(0);
    const second = run.json<Report>();
    expect(second.chain.blockNumber).to.equal(first.chain.blockNumber);
    const stepsOf = ({ phases }: Report) => phases.map(({ execution }) => execution.steps);
    expect(stepsOf(second)).to.deep.equal(stepsOf(first));
    const pruning = { app: appId, keep: "0", cvms, json: true };
    const recorded = await rehearse("prune", { ...pruning, record: recording });
    const repeated = await runTask(alone, ["rehearse", "prune"], { ...pruning, offline: recording });
    expect(repeated.json<Report>().reasons).to.deep.equal(recorded.json<Report>().reasons);
    const other = await runTask(alone, ["rehearse", "app-upgrade"], {
      ...{ app: appId, implementation: devAccount(3).address, cvms, offline: recording, json: true },
    });
    expect(other.exitCode).to.equal(2);
    expect(other.stdout).to.include("has no answer");
  });

  it("does not say what an unnamed cloud has", async () => {
    const { client } = live.chain;
    const alone = await projectOf(live, { ownerKey: "", kms: live.contracts.kms, cloud: { apiKey: "" } });
    const before = await live.snapshot();
    const { owner } = await readOwnership(client, { appId });
    const { to, data } = addComposeHashCall({ appId, composeHash: parseComposeHash(`0x${"0b".repeat(32)}`) });
    await client.setBalance({ address: owner, value: parseEther("1") });
    await client.impersonateAccount({ address: owner });
    await sendTransaction(client, { account: owner, chain: null, to, data });
    const run = await runTask(alone, ["rehearse", "prune"], { app: appId, keep: "0" });
    await client.stopImpersonatingAccount({ address: owner });
    await live.restore(before);
    expect(run.exitCode, run.stderr).to.equal(8);
    const text = run.stdout.replace(/\n +/g, " ");
    expect(text).to.include("The prepared updates are not known: no API key was given");
    expect(text).to.include("No CVM is known, so no boot was judged");
  });
});
