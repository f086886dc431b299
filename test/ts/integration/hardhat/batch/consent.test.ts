import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { expect } from "chai";
import { createHardhatRuntimeEnvironment } from "hardhat/hre";
import { type Address, concat } from "viem";
import { getCode, getTransactionCount } from "viem/actions";
import type { BatchPlan } from "../../../../../src/batch/plan-batch.ts";
import { parseBatch } from "../../../../../src/commands/arguments.ts";
import { planWithUser } from "../../../../../src/commands/plan-with-user.ts";
import { batchExecutorAddress, earlierBatchExecutors } from "../../../../../src/core/batch-executor.ts";
import { type AppId, parseComposeHash } from "../../../../../src/core/ids.ts";
import { addComposeHashCall } from "../../../../../src/core/owner-calls.ts";
import { InvalidArgumentError } from "../../../../../src/errors/index.ts";
import dstack from "../../../../../src/hardhat/index.ts";
import type { DstackUserConfig } from "../../../../../src/hardhat/type-extensions.ts";
import { createOutput } from "../../../../../src/output/output.ts";
import { devAccount, devPrivateKey } from "../../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../../src/world/start-world.ts";
import { runTask } from "../../../../support/hardhat/run-task.ts";
import { useTemporaryDirectory } from "../../../../support/update/temporary-directory.ts";

const hashes = ["1", "2", "3"].map((digit) => parseComposeHash(digit.repeat(64)));

/** A delegation stays on the account, so `auto` begins one only for a user who has said yes to it. */
describe("the user's yes to a delegation", () => {
  let world: World;
  let snapshot: string;
  let appId: AppId;
  const directory = useTemporaryDirectory();

  before(async () => {
    world = await startWorld();
    const { onChain } = world.cvms;
    if (onChain?.appId === undefined) throw new Error("the world has an app");
    appId = onChain.appId;
    snapshot = await world.snapshot();
  });
  afterEach(() => world.restore(snapshot));
  after(() => world.close());

  const codeOfOwner = () => getCode(world.ownerClient, { address: world.owner.address });
  const delegateTo = (executor: Address) =>
    world.chain.client.setCode({ address: world.owner.address, bytecode: concat(["0xef0100", executor]) });

  /** A task without a terminal. */
  async function add(args: Record<string, unknown> = {}, config: DstackUserConfig = {}) {
    await writeFile(join(directory.path, "package.json"), "{}");
    const hre = await createHardhatRuntimeEnvironment(
      {
        plugins: [dstack],
        networks: { world: { type: "http", chainType: "op", chainId: world.chain.id, url: world.chain.rpcUrl } },
        dstack: { ownerKey: devPrivateKey(0), ...config },
      },
      { network: "world" },
      directory.path,
    );
    const nonce = await getTransactionCount(world.ownerClient, { address: world.owner.address });
    const outcome = await runTask(hre, ["hash", "add"], { app: appId, hashes, yes: true, ...args });
    expect(outcome.exitCode, outcome.stderr).to.equal(0);
    const sent = (await getTransactionCount(world.ownerClient, { address: world.owner.address })) - nonce;
    return { ...outcome, sent };
  }

  it("is not --yes: a script sends the changes one by one, and says why and how to change that", async () => {
    const { stdout, sent } = await add();
    expect(sent).to.equal(3);
    expect(stdout).to.contain("3 transactions, one per change (batch none: one transaction would need a delegation");
    expect(stdout.split("one transaction would need a delegation"), "once").to.have.length(2);
    expect(stdout).to.contain("--batch auto:delegate").and.to.contain("batch.delegate");
    expect(await codeOfOwner()).to.equal(undefined);
  });

  it("is also missing with --json, whose plan has the offer", async () => {
    const { json, sent } = await add({ json: true });
    expect(sent).to.equal(3);
    const { mode, plan } = json<{ mode: string; plan: { delegation: null; offer: unknown } }>();
    expect([mode, plan.delegation]).to.deep.equal(["none", null]);
    expect(plan.offer).to.deep.equal({ executor: batchExecutorAddress, authorizes: true, deploys: false });
  });

  for (const [where, args, config] of [
    ["on the command line", { batch: "auto:delegate" }, {}],
    ["in the configuration", {}, { batch: { delegate: true } }],
  ] as const)
    it(`can be given ${where}`, async () => {
      const { stdout, sent } = await add(args, config);
      expect(sent, "the transaction and its authorisation").to.equal(2);
      expect(stdout).to.contain(`signs a delegation: the batch executor's code at ${batchExecutorAddress}`);
      expect(await codeOfOwner()).to.equal(concat(["0xef0100", batchExecutorAddress]));
    });

  it("is needed once: an account that delegates already is not asked about", async () => {
    await delegateTo(batchExecutorAddress);
    const { stdout, sent } = await add();
    expect(sent).to.equal(1);
    expect(stdout).to.contain("no authorisation is signed");
  });

  it("is needed to replace the delegation to an earlier executor", async () => {
    const [, earlier] = earlierBatchExecutors as readonly [Address, Address];
    await delegateTo(earlier);
    const refused = await add();
    expect(refused.sent).to.equal(3);
    expect(refused.stdout).to.contain(`the account delegates to an earlier batch executor, ${earlier}`);
    expect(await codeOfOwner()).to.equal(concat(["0xef0100", earlier]));
    await world.restore(snapshot);

    await delegateTo(earlier);
    const { stdout, sent } = await add({ batch: "auto:delegate" });
    expect(sent).to.equal(2);
    expect(stdout).to.contain(`this delegation replaces the one to ${earlier}, an earlier batch executor`);
    expect(await codeOfOwner()).to.equal(concat(["0xef0100", batchExecutorAddress]));
  });

  describe("on a terminal", () => {
    /** The plan, the output and the questions of the task. */
    async function planned(answer: boolean | undefined, { count = 3, allowDelegation = false } = {}) {
      const stream = Object.assign(new PassThrough(), { columns: 1000 });
      const questions: string[] = [];
      const ask = async (question: string) => {
        questions.push(question);
        return answer === true;
      };
      const { chain, ownerClient: client } = world;
      const plan: BatchPlan = await planWithUser(
        { output: createOutput(stream), ask: answer === undefined ? undefined : ask },
        { client, chainId: chain.id, network: "world", root: directory.path, allowDelegation },
        {
          calls: hashes.slice(0, count).map((composeHash) => addComposeHashCall({ appId, composeHash })),
          account: devAccount(0),
        },
      );
      stream.end();
      return { plan, questions, shown: await text(stream) };
    }

    it("is asked for with an explanation, and a no sends the changes one by one", async () => {
      const no = await planned(false);
      expect(no.questions).to.have.length(1);
      expect(no.shown)
        .to.contain(`the batch executor's code at ${batchExecutorAddress}`)
        .and.to.contain("undo-delegation");
      expect(no.plan).to.include({ mode: "none", delegation: undefined });
      const yes = await planned(true);
      expect(yes.questions).to.deep.equal(no.questions);
      expect(yes.plan).to.include({ mode: "7702", offer: undefined });
      expect(yes.plan.delegation).to.include({ executor: batchExecutorAddress, authorizes: true });
    });

    it("is not asked for when it would change nothing", async () => {
      expect((await planned(true, { count: 1 })).questions).to.deep.equal([]);
      expect((await planned(true, { allowDelegation: true })).questions).to.deep.equal([]);
      expect(await planned(undefined)).to.deep.include({ questions: [], shown: "" });
      await delegateTo(batchExecutorAddress);
      const there = await planned(true);
      expect([there.questions, there.plan.mode]).to.deep.equal([[], "7702"]);
    });

    it("is asked for with the executor that would be replaced", async () => {
      const [earlier] = earlierBatchExecutors as readonly [Address];
      await delegateTo(earlier);
      expect((await planned(false)).shown).to.contain(earlier);
      expect((await planned(true)).plan.delegation).to.include({ replaces: earlier });
    });
  });

  it("is the value auto:delegate of --batch, and no other mode takes it", () => {
    expect(parseBatch("auto:delegate")).to.deep.equal({ mode: "auto", allowDelegation: true });
    expect(parseBatch("auto")).to.deep.equal({ mode: "auto" });
    for (const raw of ["none:delegate", "7702:delegate", "delegate", "auto:", "auto:delegates"])
      expect(() => parseBatch(raw), raw).to.throw(InvalidArgumentError);
  });
});
