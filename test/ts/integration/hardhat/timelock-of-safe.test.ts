import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { type Address, type Hex, zeroAddress } from "viem";
import { sendTransaction, waitForTransactionReceipt } from "viem/actions";
import { sendBatch } from "../../../../src/batch/send-batch.ts";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import { type AppId, parseComposeHash } from "../../../../src/core/ids.ts";
import { acceptOwnershipCall, addComposeHashCall, transferOwnershipCall } from "../../../../src/core/owner-calls.ts";
import { devPrivateKey } from "../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { deployTimelock } from "../../../support/chain/deploy-owner-contracts.ts";
import { projectOf, runTask } from "../../../support/hardhat/run-task.ts";
import { addSafe, type TestSafe } from "../../../support/safe/safe-world.ts";
import { type SafeService, startSafeService } from "../../../support/safe/service.ts";

const twoDays = 172_800;
/** Blocks that are mined fast have timestamps ahead of the clock, so the delay ends a little later than the clock shows. */
const aMinute = 60;
const listed = parseComposeHash("a1".repeat(32));

interface UnderWay {
  readonly operations: readonly {
    readonly kind: string;
    readonly safeTxHash?: Hex;
    readonly confirmations?: number;
    readonly state?: string;
    readonly calls: readonly { readonly description: string }[];
  }[];
  readonly problems: readonly string[];
}

describe("an app of a two-day timelock, in which a 2-of-3 Safe proposes", () => {
  let folder: string;
  let world: World;
  let appId: AppId;
  let timelock: Address;
  let test: TestSafe;
  let service: SafeService;
  let untouched: string;
  let plan: string;
  let ofSafe: string;
  let projects: readonly HardhatRuntimeEnvironment[];

  before(async () => {
    world = await startWorld({ cloud: { rolloverMs: 0 } });
    const { owner, ownerClient, cvms, chain } = world;
    if (cvms.onChain?.appId === undefined) throw new Error("The world has no app.");
    appId = cvms.onChain.appId;
    test = await addSafe(world, "1.4.1");
    const roles = { proposers: [test.safe], executors: [zeroAddress] };
    timelock = await deployTimelock(ownerClient, owner, BigInt(twoDays), roles);
    await sendBatch(ownerClient, {
      mode: "none",
      calls: [addComposeHashCall({ appId, composeHash: listed }), transferOwnershipCall({ appId, newOwner: timelock })],
    });
    await chain.client.impersonateAccount({ address: timelock });
    await chain.client.setBalance({ address: timelock, value: 10n ** 18n });
    const { data } = acceptOwnershipCall({ appId });
    const accept = { account: timelock, chain: ownerClient.chain, to: appId, data };
    await waitForTransactionReceipt(ownerClient, { hash: await sendTransaction(chain.client, accept) });
    service = await startSafeService({ rpcUrl: chain.rpcUrl });
    const safe = { service: service.url };
    projects = await Promise.all(
      [1, 2, 7].map((index) => projectOf(world, { ownerKey: devPrivateKey(index), apps: { shop: appId }, safe })),
    );
    untouched = await world.snapshot();
    folder = await mkdtemp(join(tmpdir(), "dstack-timelock-"));
    [plan, ofSafe] = [join(folder, "plan.json"), join(folder, "plan.safe.json")];
    await ok(0, ["hash", "remove"], { hashes: [listed], plan });
    await ok(0, ["timelock", "schedule"], { file: plan, from: test.safe, plan: ofSafe });
    await ok(0, ["safe", "propose"], { file: ofSafe, yes: true });
  });
  after(async () => {
    await service?.close();
    await world?.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function ok<Result>(project: number, task: readonly string[], args: object = {}): Promise<Result> {
    const outcome = await runTask(projects[project] ?? expect.fail("There is no such project."), task, {
      json: true,
      ...args,
    });
    expect(outcome.exitCode, outcome.stdout + outcome.stderr).to.equal(0);
    return outcome.json<Result>();
  }
  const underWay = async () => (await ok<{ underWay: UnderWay }>(0, ["status"])).underWay;
  async function prune(project: HardhatRuntimeEnvironment | undefined) {
    if (project === undefined) throw new Error("There is no such project.");
    const outcome = await runTask(project, ["prune"], { keep: "0", dryRun: true, json: true });
    return outcome.json<{ removals: Hex[]; unknowns: { kind: string; problem: string }[] }>();
  }

  it("shows what waits in the Safe, with the calls that it would schedule, and prune keeps what those name", async () => {
    const { operations, problems } = await underWay();
    expect(problems).to.deep.equal([]);
    const [operation] = operations;
    expect(operation).to.include({ kind: "safe", confirmations: 1 });
    expect(operation?.calls.map(({ description }) => description).at(-1)).to.equal(`remove compose hash ${listed}`);
    const { removals, unknowns } = await prune(projects[0]);
    expect(removals).to.not.include(listed);
    expect(unknowns.map(({ kind }) => kind)).to.not.include("queue");
  });

  it("does not believe that nothing waits where no service is named, or where it does not answer", async () => {
    const options = { ownerKey: devPrivateKey(1), apps: { shop: appId } };
    for (const safe of [{}, { service: "http://127.0.0.1:1" }]) {
      const { unknowns } = await prune(await projectOf(world, { ...options, safe }));
      const problems = unknowns.filter(({ kind }) => kind === "queue").map(({ problem }) => problem);
      expect(problems).to.have.lengthOf(1);
      expect(problems[0]).to.include(`What is queued in the Safe ${test.safe} is not known`);
    }
  });

  it("is changed by signing, scheduling, waiting and executing", async () => {
    await ok(1, ["safe", "sign"], { file: ofSafe, yes: true });
    await ok(2, ["safe", "execute"], { file: ofSafe, yes: true });
    const { operations } = await underWay();
    expect(operations.map(({ kind, state }) => [kind, state])).to.deep.equal([["timelock", "waiting"]]);
    expect(await ok<object>(2, ["timelock", "status"], { file: plan })).to.include({ state: "waiting" });
    await world.advance(twoDays + aMinute);
    expect(await ok<object>(2, ["timelock", "execute"], { file: plan, yes: true })).to.include({ outcome: "executed" });
    const { composeHashAllowed } = await readAllowlist(world.ownerClient, { appId, composeHash: listed });
    expect(composeHashAllowed).to.equal(false);
    expect((await underWay()).operations).to.deep.equal([]);
    await world.restore(untouched);
  });
});
