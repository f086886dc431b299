import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { numberToHex } from "viem";
import { addComposeHash } from "../../../../src/chain/add-compose-hash.ts";
import { waitForReceipt } from "../../../../src/chain/transactions/receipt.ts";
import { getCvm } from "../../../../src/cloud/get-cvm.ts";
import { type AppId, parseComposeHash } from "../../../../src/core/ids.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { projectOf, runTask, type TaskRun } from "../../../support/hardhat/run-task.ts";
import { type IndexServer, type NodeLog, startIndex } from "../../../support/history/index-server.ts";
import { type RpcProvider, startProvider } from "../../../support/history/rpc-provider.ts";

const apiKey = "K3yThatNobodyMaySee9876543210";
const hashes = ["1e", "1f", "20"].map((byte) => parseComposeHash(byte.repeat(32)));
const marked = "STATE PROVEN, EVENTS NOT PROVEN";

interface Evidence {
  readonly evidence: {
    readonly summary: string;
    readonly indexed: { readonly indexes: readonly string[]; readonly provenAt: object | null } | null;
  };
  readonly completeness: { readonly isComplete: boolean; readonly reasons?: readonly { readonly message: string }[] };
}

describe("tasks with an index", () => {
  let world: World;
  let appId: AppId;
  let provider: RpcProvider;
  let index: IndexServer;
  let directory: string;
  let runs = 0;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "dstack-index-"));
    world = await startWorld();
    const cvm = await getCvm(world.cloudClient, { cvm: "onchain-app" });
    if (cvm.appId === undefined) throw new Error("The world has no app.");
    appId = cvm.appId;
    for (const composeHash of hashes) {
      const transactionHash = await addComposeHash(world.ownerClient, { appId, composeHash });
      await waitForReceipt(world.ownerClient, { transactionHash, functionName: "addComposeHash" });
    }
  });
  beforeEach(async () => {
    const node = { request: (call: object) => world.chain.client.request(call as never) };
    provider = await startProvider(node);
    index = await startIndex(node, { pageLength: 1_000 });
  });
  afterEach(async () => {
    await Promise.all([provider.close(), index.close()]);
  });
  after(async () => {
    await world?.close();
    await rm(directory, { recursive: true });
  });

  const storeOf = () => join(directory, `${runs}`, "history.sqlite");
  async function run(
    task: string,
    args: Record<string, unknown> = {},
    configured: { index?: string | { url: string; apiKey?: string } } = {},
  ): Promise<TaskRun> {
    runs += 1;
    const networks = { world: { type: "http" as const, url: provider.url } };
    const hre = await projectOf(world, { apps: { shop: appId }, history: configured }, { networks });
    return runTask(hre, task.split(" "), { store: storeOf(), ...args });
  }
  const fromIndex = (task: string, args: Record<string, unknown> = {}) =>
    run(task, args, { index: { url: index.url, apiKey } });

  for (const task of ["history", "status", "device list"])
    it(`${task} marks what an index delivered, in text and in JSON`, async () => {
      const text = await fromIndex(task);
      expect(text.stdout, text.stderr).to.include(marked).and.to.include(new URL(index.url).host);
      const { exitCode, json, stderr } = await fromIndex(task, { json: true });
      const { evidence, completeness } = json<Evidence>();
      expect(evidence.summary, stderr).to.equal("state proven, events not proven");
      expect(evidence.indexed?.indexes).to.deep.equal([new URL(index.url).host]);
      expect(completeness).to.deep.equal({ isComplete: true });
      expect(provider.countOf("eth_getLogs")).to.equal(0);
      const plain = await run(task, { json: true });
      expect(plain.exitCode).to.equal(exitCode);
      expect(plain.json<Evidence>().evidence).to.deep.equal({ summary: "events read from the chain", indexed: null });
    });

  it("history names the origin of each change, and of an earlier state", async () => {
    const { json } = await fromIndex("history", { json: true });
    const { changes } = json<{ changes: { origin: string; blockNumber: string }[] }>();
    expect(new Set(changes.map(({ origin }) => origin))).to.deep.equal(new Set(["index"]));
    const { stdout } = await fromIndex("history", { at: changes[4]?.blockNumber });
    expect(stdout).to.include(marked).and.to.include("earlier blocks follows from these events");
    const csv = await fromIndex("history", { csv: true });
    expect(
      csv.stdout
        .trimEnd()
        .split("\n")
        .slice(1)
        .every((line) => line.endsWith(",index")),
    ).to.equal(true);
    expect(csv.stderr).to.include(marked);
  });

  it("prune stops at dates that only an index says, until they are accepted", async () => {
    const args = { keep: "1", dryRun: true, accept: "other-machines" };
    const stopped = await fromIndex("prune", args);
    expect(stopped.stdout).to.include("State proven, events not proven").and.to.include("--accept events");
    const { json, exitCode, stderr } = await fromIndex("prune", {
      ...args,
      accept: "other-machines,events",
      json: true,
    });
    expect(exitCode, stderr).to.equal(0);
    const { unknowns, removals } = json<{ unknowns: { kind: string; isAccepted: boolean }[]; removals: unknown[] }>();
    expect(unknowns.find(({ kind }) => kind === "events")).to.include({ isAccepted: true });
    expect(removals).to.not.have.lengthOf(0);
  });

  it("prune removes no hash by a date that an index invented", async () => {
    // The newest hash looks like the oldest one. The state that follows is the same.
    const [newest] = hashes.slice(-1);
    index.believe((logs) => {
      const creation = logs[0];
      const isOfNewest = (log: NodeLog) => log.data === newest || log.topics[3] === newest;
      const moved = logs.filter(isOfNewest).map((log, at) => ({
        ...log,
        blockNumber: creation?.blockNumber ?? log.blockNumber,
        logIndex: numberToHex(500 + at),
      }));
      const others = logs.filter((log) => !isOfNewest(log));
      const first = others.filter(({ blockNumber }) => blockNumber === creation?.blockNumber);
      return [...first, ...moved, ...others.slice(first.length)];
    });
    const { exitCode, json } = await fromIndex("prune", {
      ...{ keep: "2", accept: "other-machines,events", yes: true, json: true },
      ledger: join(directory, "ledger.sqlite"),
    });
    expect(exitCode).to.not.equal(0);
    expect(json<{ error: object }>().error).to.include({ name: "HistoryContradictedError" });
  });

  it("history --prove scans, and refuses an index", async () => {
    const { exitCode, json } = await fromIndex("history", { prove: true, json: true });
    const { evidence, proof } = json<Evidence & { proof: { isProven: boolean } }>();
    expect([exitCode, evidence.summary, proof.isProven]).to.deep.equal([0, "events read from the chain", true]);
    expect(index.queries).to.have.lengthOf(0);
    const refused = await run("history", { prove: true, index: index.url });
    expect(refused.exitCode).to.equal(2);
    expect(refused.stderr).to.include("--prove needs the scan");
  });

  it("take the index of the option, and send the key to no other address than the configured one", async () => {
    await fromIndex("history", { index: index.url });
    expect(index.queries.at(-1)).to.include({ apikey: apiKey, chainid: "8453" });
    const other = await startIndex(
      { request: (call) => world.chain.client.request(call as never) },
      { kind: "blockscout", pageLength: 1_000 },
    );
    try {
      const { stdout } = await fromIndex("history", { index: `blockscout:${other.url}` });
      expect(stdout).to.include(marked).and.to.include(new URL(other.url).host);
      expect(other.queries).to.have.lengthOf(1);
      expect(other.queries[0]).to.not.have.any.keys("apikey", "page");
    } finally {
      await other.close();
    }
    const before = index.queries.length;
    const { stdout } = await fromIndex("history", { index: "none" });
    expect(stdout).to.not.include("NOT PROVEN");
    expect(index.queries).to.have.lengthOf(before);
  });

  it("keep the key out of outputs and stores", async () => {
    const good = await fromIndex("status", { json: true });
    const store = (await readFile(storeOf())).toString("latin1");
    index.behave(() => ({
      body: JSON.stringify({ status: "0", message: "NOTOK", result: `Invalid API Key ${apiKey}` }),
    }));
    const bad = await fromIndex("history");
    expect(bad.stdout).to.include("Invalid API Key").and.to.include("THE HISTORY IS INCOMPLETE");
    expect(bad.stdout).to.include("Use an RPC endpoint or an index that keeps all logs.");
    expect(bad.exitCode).to.not.equal(0);
    for (const text of [good.stdout, good.stderr, bad.stdout, bad.stderr, store]) expect(text).to.not.include(apiKey);
  });

  it("say that a state is not proven when the index leaves out an addition", async () => {
    index.believe((logs) => logs.filter(({ data, topics }) => data !== hashes[1] && topics[3] !== hashes[1]));
    for (const task of ["history", "status", "device list"]) {
      const { stdout, exitCode } = await fromIndex(task);
      expect(exitCode, task).to.not.equal(0);
      expect(stdout, task)
        .to.include("STATE NOT PROVEN, EVENTS NOT PROVEN")
        .and.to.include("THE HISTORY IS INCOMPLETE");
    }
    const { stdout } = await fromIndex("prune", { keep: "0", dryRun: true, accept: "other-machines,events" });
    expect(stdout).to.include("--accept history");
  });
});
