import { existsSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { type Address, type Hex, numberToHex } from "viem";
import { openLedger } from "../../../../src/chain/transactions/ledger.ts";
import { getAppCvms } from "../../../../src/cloud/get-app-cvms.ts";
import { getCvmState } from "../../../../src/cloud/get-cvm-state.ts";
import type { ComposeHash } from "../../../../src/core/ids.ts";
import { currentSlots } from "../../../../src/history/proof.ts";
import { prunePlanOf } from "../../../../src/plans/change-plan.ts";
import { loadPlan } from "../../../../src/plans/plan-file.ts";
import { applyPrunePlan } from "../../../../src/prune/apply-prune-plan.ts";
import { type PrunePlan, planPrune, removalsOf } from "../../../../src/prune/plan-prune.ts";
import { readAllowlistUseFrom } from "../../../../src/prune/read-allowlist-use.ts";
import { executeSafe } from "../../../support/chain/deploy-owner-contracts.ts";
import { projectOf, runTask, type TaskRun } from "../../../support/hardhat/run-task.ts";
import { crashingLedger } from "../../../support/ledger/crashing-ledger.ts";
import { keepRulesWith } from "../../../support/prune/allowlist-use.ts";
import { buildScenario, type PruneScenario } from "../../../support/prune/prune-scenario.ts";
import {
  allow,
  allowedNow,
  commitUpdate,
  control,
  fillerHash,
  giveToSafe,
  type PruneWorld,
  sourceOf,
  startPruneWorld,
} from "../../../support/prune/prune-world.ts";
import { catchError } from "../../../support/update/catch-error.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

/** The objections of an error, as sentences. */
function problemsOf({ objections }: Record<string, unknown>): readonly string[] {
  return (objections as readonly { readonly problem: string }[]).map(({ problem }) => problem);
}

interface PruneJson {
  readonly outcome: string;
  readonly removals: readonly ComposeHash[];
  readonly removed: readonly ComposeHash[];
  readonly transactions: readonly { readonly transactionHash: string; readonly calls: number }[];
  readonly rows: readonly {
    readonly composeHash: ComposeHash;
    readonly verdict: string;
    readonly reasons: readonly { readonly rule: string }[];
  }[];
  readonly error: { readonly code: string; readonly message: string; readonly context: Record<string, unknown> };
}

/** Carries a plan out, and is killed right after its transaction is on record, or right before its end is. */
async function die(world: PruneWorld, plan: PrunePlan, path: string, at: "recorded" | "ended"): Promise<void> {
  using file = openLedger(path);
  const ledger = crashingLedger(file, at === "recorded" ? { write: 1, when: "after" } : { write: 3, when: "before" });
  const parameters = { plan, source: sourceOf(world), account: world.owner, allowDelegation: true, ledger };
  await catchError(applyPrunePlan(parameters), Error);
}

describe("dstack prune, on an app of 60 hashes", () => {
  const directory = useTemporaryDirectory();
  let world: PruneWorld;
  let scenario: PruneScenario;
  let untouched: string;
  before(async () => {
    world = await startPruneWorld({ cloud: { rolloverMs: 20 } });
    scenario = await buildScenario(world);
    const [, second] = await getAppCvms(world.cloudClient, { appId: world.appId });
    await control(world, second?.id ?? "", "stop");
  });
  beforeEach(async () => {
    untouched = await world.snapshot();
  });
  afterEach(() => world.restore(untouched));
  after(() => world.close());

  /** The chain mines a block for each; an authorisation takes a nonce of its own, so nonces would miscount. */
  const countTransactions = async () => Number(await world.chain.client.getBlockNumber({ cacheTime: 0 }));

  const prune = (args: Record<string, unknown> = {}, dstack = {}) => run(["prune"], args, dstack);
  const apply = (args: Record<string, unknown>) => run(["plan", "apply"], { yes: true, ...args });

  async function run(task: readonly string[], args: Record<string, unknown>, dstack = {}): Promise<TaskRun> {
    const apps = { shop: { address: world.appId, pins: [scenario.pinned] } };
    const paths = { cache: join(directory.path, "cache") };
    const hre = await projectOf(world, { apps, batch: { delegate: true }, ...dstack }, { paths });
    const ledger = join(directory.path, "prune.sqlite");
    return runTask(hre, task, { json: true, ledger, ...args });
  }

  async function queuedFile(): Promise<string> {
    const path = join(directory.path, "safe.json");
    await writeFile(path, scenario.safeFile);
    return path;
  }

  it("removes exactly the unused hashes, in one transaction", async () => {
    const before = await countTransactions();
    const run = await prune({ yes: true, queued: await queuedFile() });
    expect(run.exitCode, run.stderr).to.equal(0);
    const { outcome, removed, transactions, rows } = run.json<PruneJson>();

    const { first, replicas, prepared, queued, pinned, fillers, all } = scenario;
    const kept = [first, ...replicas, prepared.composeHash, queued, pinned, ...fillers.slice(-3)];
    expect(all).to.have.lengthOf(60);
    expect(await allowedNow(world, all)).to.have.members(kept);
    expect(removed).to.have.members(all.filter((hash) => !kept.includes(hash)));
    expect(outcome).to.equal("removed");
    expect(transactions).to.have.lengthOf(1);
    expect(transactions[0]).to.include({ calls: 50 });
    expect(await countTransactions()).to.equal(before + 1);

    const rulesOf = (hash: ComposeHash) =>
      rows.find(({ composeHash }) => composeHash === hash)?.reasons.map(({ rule }) => rule);
    expect([first, ...replicas].map(rulesOf)).to.deep.equal(Array(4).fill(["running"]));
    expect([prepared.composeHash, queued, pinned].map(rulesOf)).to.deep.equal([["prepared"], ["queued"], ["pinned"]]);
    expect(fillers.slice(-4).map(rulesOf)).to.deep.equal([[], ["newest"], ["newest"], ["newest"]]);

    // Every CVM that ran still boots, what was prepared can be committed, and a second run has nothing to do.
    for (const { id, status } of await getAppCvms(world.cloudClient, { appId: world.appId })) {
      await control(world, id, status === "stopped" ? "start" : "restart");
      expect(await getCvmState(world.cloudClient, { cvm: id })).to.include({ status: "running", bootError: undefined });
    }
    await commitUpdate(world, prepared);
    await world.cloud.whenIdle();
    const [updated] = await getAppCvms(world.cloudClient, { appId: world.appId });
    expect(updated).to.include({ status: "running", composeHash: prepared.composeHash });
  });

  it("prints which hashes stay and why, which are removed, and the effect", async () => {
    const { stdout, exitCode } = await prune({ json: false, dryRun: true, app: "shop" });
    expect(exitCode).to.equal(0);
    for (const hash of scenario.all) expect(stdout).to.include(hash);
    expect(stdout)
      .to.match(/runs on/)
      .and.to.match(/boots next on .*, which is stopped/)
      .and.to.match(/until 20/);
    expect(stdout).to.include("pinned by the configuration").and.to.include("51 to remove, 9 to keep");
    expect(stdout.replace(/\s+/g, " "))
      .to.include("a CVM cannot boot again")
      .and.to.include("keeps the keys that it received");
    expect(await allowedNow(world, scenario.all)).to.have.lengthOf(60);
  });

  it("sends nothing without a yes and without a terminal", async () => {
    const before = await countTransactions();
    const run = await prune();
    expect(run.exitCode).to.equal(2);
    expect(await countTransactions()).to.equal(before);
  });

  it("exits with 0 when there is nothing to remove", async () => {
    const run = await prune({ yes: true, keep: "60" });
    expect(run.exitCode, run.stderr).to.equal(0);
    expect(run.json<PruneJson>()).to.deep.include({ outcome: "nothing", removals: [] });
  });

  it("writes one transaction for a Safe's owners that removes exactly the unused hashes", async () => {
    const safe = await giveToSafe(world);
    const file = join(directory.path, "batch.json");
    // No Safe transaction service is named, so what waits in the Safe is not known.
    const args = { queued: await queuedFile(), accept: "queue" };
    const run = await prune({ ...args, batch: `safe:${file}` });
    expect(run.exitCode, run.stderr).to.equal(0);
    const { outcome, removals, safeTx } = run.json<
      PruneJson & { safeTx: { to: Address; data: Hex; operation: number } }
    >();
    expect(outcome).to.equal("prepared");
    expect(removals).to.have.lengthOf(50);
    expect(JSON.parse(await readFile(file, "utf8")).transactions).to.have.lengthOf(50);
    expect(await allowedNow(world, scenario.all)).to.have.lengthOf(60);

    await executeSafe(world.ownerClient, world.owner, { safe, ...safeTx });
    const left = await allowedNow(world, scenario.all);
    expect(left).to.have.members(scenario.all.filter((hash) => !removals.includes(hash)));
    // Left to choose, it sees whose the app is.
    const again = (await prune({ ...args, keep: "2" })).json<PruneJson & { file: string }>();
    expect(again).to.deep.include({ outcome: "prepared", mode: "safe" });
    await rm(again.file);
  });

  it("writes no file with unknown facts, or for an outdated plan", async () => {
    await giveToSafe(world);
    const [plan, file] = [join(directory.path, "safe-plan.json"), join(directory.path, "no-batch.json")];
    const batch = `safe:${file}`;
    const cloud = { cloud: { baseUrl: world.cloud.baseUrl, apiKey: "" } };
    // One thing answered for is not the others.
    const blocked = await prune({ batch, accept: "history,running-hashes" }, cloud);
    expect([blocked.exitCode, blocked.json<PruneJson>().error.code]).to.deep.equal([7, "DSTK-5001"]);

    const unread = await prune({ batch });
    expect([unread.exitCode, unread.json<PruneJson>().error.code]).to.deep.equal([7, "DSTK-5001"]);
    const [planned] = (await prune({ plan, accept: "queue" })).json<PruneJson>().removals;
    const overtaken = await apply({ file: plan, batch, pin: planned });
    const { code, context } = overtaken.json<PruneJson>().error;
    expect([overtaken.exitCode, code]).to.deep.equal([7, "DSTK-5006"]);
    expect(problemsOf(context)).to.deep.equal([`${planned}: is pinned by --pin.`]);
    expect(existsSync(file)).to.equal(false);
  });

  it("completes the signed transaction of a killed run, and sends nothing twice", async () => {
    const before = await countTransactions();
    const path = join(directory.path, "ledger.sqlite");
    const policy = keepRulesWith({ keep: 3, pins: [{ composeHash: scenario.pinned, source: "--pin" }] });
    const plan = planPrune(await readAllowlistUseFrom(sourceOf(world)), policy);
    const removals = removalsOf(plan);
    await die(world, plan, path, "recorded");
    expect(removals).to.have.lengthOf(51);
    expect(await countTransactions(), "nothing was broadcast").to.equal(before);

    // A run that keeps everything shows what is on record.
    const kept = await prune({ yes: true, ledger: path, keep: "60" });
    expect([kept.exitCode, kept.json<PruneJson>().error.code]).to.deep.equal([7, "DSTK-5002"]);
    expect(await countTransactions()).to.equal(before);

    const run = await prune({ yes: true, ledger: path });
    expect(run.exitCode, run.stderr).to.equal(0);
    expect(run.json<PruneJson & { finished: unknown }>().finished).to.have.members(removals);
    expect(await allowedNow(world, removals)).to.deep.equal([]);
    expect(await countTransactions()).to.equal(before + 1);
    const again = await prune({ yes: true, ledger: path });
    expect(again.json<PruneJson>().outcome).to.equal("nothing");
  });

  describe("with a plan in a file", () => {
    const path = () => join(directory.path, "plan.json");
    const write = async (args = {}, exitCode = 0) => {
      const run = await prune({ plan: path(), ...args });
      expect(run.exitCode, run.stderr).to.equal(exitCode);
      return run.json<PruneJson>().removals;
    };

    it("removes exactly the hashes of the plan", async () => {
      const planned = await write();
      // Three new versions push three others out of the newest three: they are not part of what was agreed to.
      for (const name of ["a", "b", "c"]) await allow(world, fillerHash(name));
      const run = await apply({ file: path() });
      expect(run.exitCode, run.stderr).to.equal(0);
      expect(run.json<PruneJson>().removed).to.have.members(planned);
      expect(await allowedNow(world, scenario.all)).to.have.lengthOf(60 - planned.length);
    });

    it("completes a plan whose run was killed after its transaction was mined", async () => {
      const planned = await write();
      const plan = prunePlanOf(await loadPlan(path()));
      if (plan === undefined) throw new Error("it is the plan of a prune");
      const ledger = join(directory.path, "mined.sqlite");
      await die(world, plan, ledger, "ended");
      const before = await countTransactions();
      const run = await apply({ file: path(), ledger });
      expect(run.exitCode, run.stderr).to.equal(0);
      const { removed, finished } = run.json<PruneJson & { finished: readonly ComposeHash[] }>();
      expect(removed).to.deep.equal([]);
      expect(finished).to.have.members(planned);
      expect(await countTransactions()).to.equal(before);
    });

    it("stops with nothing sent when a hash of the plan is in use now", async () => {
      const { first, prepared } = scenario;
      await commitUpdate(world, prepared);
      await world.cloud.whenIdle();
      expect(await write()).to.include(first);

      // A further CVM of a document the app ran before needs no registration: its hash is still allowed.
      const json = { compose_hash: first, node_id: 1 };
      await world.cloudClient.request({ method: "POST", path: `/apps/${world.appId}/instances`, json });
      const before = await countTransactions();
      for (const isSettled of [false, true]) {
        if (isSettled) await world.cloud.whenIdle();
        const run = await apply({ file: path() });
        expect(run.exitCode).to.equal(7);
        const { code, context } = run.json<PruneJson>().error;
        expect(code).to.equal("DSTK-5006");
        expect(problemsOf(context)[0]).to.include(first);
      }
      expect(await countTransactions()).to.equal(before);
      expect(await allowedNow(world, scenario.all)).to.have.lengthOf(60);
    });

    it("is not written while the proof fails", async () => {
      const hidden = fillerHash("hidden");
      const slot = { index: currentSlots.composeHash(hidden), value: numberToHex(1, { size: 32 }) };
      await world.chain.client.setStorageAt({ address: world.appId, ...slot });
      await world.chain.client.mine({ blocks: 1 });
      const stopped = await prune({ plan: path(), prove: true });
      expect(stopped.exitCode).to.equal(7);
      const { code, message } = stopped.json<PruneJson>().error;
      expect(code).to.equal("DSTK-5001");
      expect(message).to.include("(proof)");
      expect(existsSync(path())).to.equal(false);
      await world.chain.client.setStorageAt({ address: world.appId, ...slot, value: numberToHex(0, { size: 32 }) });
      await world.chain.client.mine({ blocks: 1 });
      await write({ prove: true });
      const proven = await apply({ file: path() });
      expect(proven.exitCode, proven.stderr).to.equal(0);
    });

    it("counts a hash without an event as the plan does", async () => {
      const hidden = fillerHash("hidden");
      await world.chain.client.setStorageAt({
        address: world.appId,
        index: currentSlots.composeHash(hidden),
        value: numberToHex(1, { size: 32 }),
      });
      await world.chain.client.mine({ blocks: 1 });
      // It may be the newest of all, so it has a place among the newest three.
      const planned = await write({ pin: hidden, accept: "history" });
      expect(planned).to.have.lengthOf(52);
      const run = await apply({ file: path() });
      expect(run.exitCode, run.stderr).to.equal(0);
      expect(run.json<PruneJson>().removed).to.have.members(planned);
    });

    it("is refused when it was edited, and overwrites nothing else", async () => {
      await write();
      const text = await readFile(path(), "utf8");
      const codeOf = ({ exitCode, json }: TaskRun) => [exitCode, json<PruneJson>().error.code];
      const applied = async () => codeOf(await apply({ file: path() }));
      await writeFile(path(), text.replace('"verdict": "keep"', '"verdict": "remove"'));
      expect(await applied()).to.deep.equal([7, "DSTK-5003"]);
      await writeFile(path(), "{}");
      expect(await applied()).to.deep.equal([7, "DSTK-5003"]);
      expect(codeOf(await prune({ plan: path() }))).to.deep.equal([7, "DSTK-5003"]);
      expect(codeOf(await prune({ plan: path(), batch: "none" }))).to.deep.equal([2, "DSTK-1007"]);
      expect(codeOf(await apply({ file: join(directory.path, "none.json") }))).to.deep.equal([7, "DSTK-5003"]);
      expect(await allowedNow(world, scenario.all)).to.have.lengthOf(60);
    });
  });

  it("stops for unknown facts, and names how to accept them", async () => {
    const cloud = { cloud: { baseUrl: world.cloud.baseUrl, apiKey: "" } };
    const blocked = await prune({ yes: true }, cloud);
    expect(blocked.exitCode).to.equal(7);
    expect(blocked.json<PruneJson>().error.code).to.equal("DSTK-5001");
    expect(blocked.stderr).to.include("yourself: --accept running-hashes,prepare-tokens\n");
    expect(await allowedNow(world, scenario.all)).to.have.lengthOf(60);
    const accepted = await prune({ yes: true, accept: "running-hashes,prepare-tokens", keep: "59" }, cloud);
    expect(accepted.exitCode, accepted.stderr).to.equal(0);
  });
});
