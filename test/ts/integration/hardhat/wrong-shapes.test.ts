import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { createHardhatRuntimeEnvironment } from "hardhat/hre";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import dstack from "../../../../src/hardhat/index.ts";
import { devAccount, devPrivateKey } from "../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { runTask, type TaskRun } from "../../../support/hardhat/run-task.ts";
import { type Lie as CloudLie, startLyingCloud } from "../../../support/hostile/lying-cloud.ts";
import { type Lie, type LyingRpc, startLyingRpc } from "../../../support/hostile/lying-rpc.ts";

const wrong: readonly unknown[] = [
  ...[null, {}, [], [null], [{}], "0x", "0x1zz", 17, "latest", "", true, `0x${"f".repeat(300)}`],
];
/** The methods that the tasks use, and results of a wrong shape that another answer of the method may have. */
const methods: Readonly<Record<string, readonly unknown[]>> = {
  eth_chainId: wrong,
  eth_getCode: [...wrong, "0x123"],
  eth_call: [...wrong, "0x123"],
  eth_getBlockByNumber: [...wrong, { number: null }, { hash: "0x1", number: "0x1", timestamp: "now" }],
  eth_blockNumber: wrong,
  eth_getTransactionCount: wrong,
  eth_getBalance: wrong,
  eth_estimateGas: wrong,
  eth_maxPriorityFeePerGas: wrong,
  eth_gasPrice: wrong,
  eth_sendRawTransaction: [...wrong, "0x1234"],
  eth_getTransactionReceipt: [...wrong.slice(1), { status: "0x1", logs: {} }],
  eth_getTransactionByHash: [...wrong.slice(1), { hash: 1, from: [] }],
  eth_getStorageAt: wrong,
  eth_getLogs: [
    ...wrong.filter((value) => !(Array.isArray(value) && value.length === 0)),
    [{ address: "0x", topics: 1 }],
  ],
};

describe("tasks at an endpoint whose answers have a wrong shape", () => {
  let world: World;
  let rpc: LyingRpc;
  let directory: string;
  let hre: HardhatRuntimeEnvironment;
  let snapshot: string;
  let tasks: Readonly<Record<string, object>>;

  before(async () => {
    world = await startWorld({ cloud: { rolloverMs: 0 } });
    rpc = await startLyingRpc(world.chain.rpcUrl);
    directory = await mkdtemp(join(tmpdir(), "dstack-shapes-"));
    await writeFile(join(directory, "package.json"), "{}");
    await writeFile(join(directory, "new.yml"), "services:\n  web:\n    image: nginx:1.29\n");
    hre = await project({ url: rpc.url, baseUrl: world.cloud.baseUrl });
    const app = world.cvms.onChain?.appId;
    tasks = {
      status: { app },
      "hash add": { app, hashes: ["1".repeat(64)], yes: true },
      update: { cvm: "onchain-app", compose: join(directory, "new.yml") },
    };
    snapshot = await world.snapshot();
  });
  after(async () => {
    await rpc?.close();
    await world?.close();
    if (directory) await rm(directory, { recursive: true, force: true });
  });

  function project({ url, baseUrl }: { readonly url: string; readonly baseUrl: string }) {
    return createHardhatRuntimeEnvironment(
      {
        plugins: [dstack],
        networks: { world: { type: "http", chainType: "op", url, chainId: world.chain.id } },
        dstack: { ownerKey: devPrivateKey(0), cloud: { baseUrl, apiKey: world.apiKey }, kms: world.contracts.kms },
      },
      { network: "world" },
      directory,
    );
  }

  /** @param patienceMs after which the task is stopped, as a user would stop it */
  async function run(
    task: string,
    lies: readonly Lie[],
    patienceMs = 2_000,
  ): Promise<TaskRun & { readonly paid: number }> {
    await world.restore(snapshot);
    await rm(join(directory, ".dstack"), { recursive: true, force: true });
    await rm(join(directory, "cache"), { recursive: true, force: true });
    rpc.tell(lies);
    const { address } = devAccount(0);
    const before = await world.chain.client.getTransactionCount({ address });
    const stop = setTimeout(() => process.listeners("SIGTERM").at(-1)?.("SIGTERM"), patienceMs);
    try {
      const outcome = await runTask(hre, task.split(" "), { ...tasks[task] });
      return { ...outcome, paid: (await world.chain.client.getTransactionCount({ address })) - before };
    } finally {
      clearTimeout(stop);
    }
  }

  /** A task that recovers is not stopped, however slow the machine is. */
  const untilDone = 30_000;

  /** Takes `count` of the values of each method, others for each task. */
  function lies(count: number, first: number): readonly Lie[] {
    return Object.entries(methods).flatMap(([method, values], row) =>
      Array.from({ length: count }, (_, index) => {
        const value = values[(first + row + index * 5) % values.length];
        return { method, answer: { value } };
      }),
    );
  }

  function expectSentence({ exitCode, stderr, paid }: TaskRun & { readonly paid: number }, lie: Lie): void {
    const what = `${JSON.stringify(lie).slice(0, 100)}\n${stderr}`;
    expect(stderr, what).to.not.match(/^\s+at /m);
    expect(exitCode, what).to.not.equal(1);
    if (![0, 6, 130].includes(Number(exitCode))) expect(stderr, what).to.match(/^DSTK-[2345]\d{3} .+\n.+\n$/m);
    expect(paid, what).to.be.at.most(1);
  }

  for (const [task, count] of [
    ["status", 1],
    ["hash add", 2],
    ["update", 1],
  ] as const)
    it(`dstack ${task} asks again after one such answer, and pays once`, async () => {
      for (const lie of lies(count, task.length)) {
        const outcome = await run(task, [{ ...lie, at: 0 }], untilDone);
        expectSentence(outcome, lie);
        expect(outcome.exitCode, `${JSON.stringify(lie).slice(0, 100)}\n${outcome.stderr}`).to.equal(0);
        expect(outcome.paid, JSON.stringify(lie)).to.equal(task === "status" ? 0 : 1);
      }
    }).timeout(120_000);

  for (const task of ["status", "hash add"])
    it(`dstack ${task} says which answer is wrong if all are`, async () => {
      for (const lie of lies(1, task.length + 3)) expectSentence(await run(task, [lie]), lie);
    }).timeout(120_000);

  it("E2: a receipt without fields three times costs no stack and no second payment", async () => {
    const empty = [0, 1, 2].map((at) => ({ method: "eth_getTransactionReceipt", at, answer: { value: {} } }));
    const outcome = await run("hash add", empty);
    expect(outcome.exitCode, outcome.stderr).to.equal(0);
    expect(outcome.paid).to.equal(1);
  });

  describe("of the cloud", () => {
    // An empty list of CVMs and an empty document have the right shape.
    const cvm = { id: {}, name: [], status: 7, app_id: "0x" };
    const paths: Readonly<
      Record<"status" | "update", readonly (readonly [path: RegExp, bodies: readonly unknown[]])[]>
    > = {
      status: [
        [/^\/apps\/\w+\/cvms$/, [null, {}, [cvm]]],
        [/\/compose_file$/, ["text"]],
      ],
      update: [
        [/^\/cvms\/[\w-]+$/, [[], cvm]],
        [/\/compose_file$/, [null]],
      ],
    };

    async function runAt(task: "status" | "update", lie: CloudLie, patienceMs?: number) {
      const cloud = await startLyingCloud(world.cloud.baseUrl, [lie]);
      const honest = hre;
      hre = await project({ url: rpc.url, baseUrl: cloud.baseUrl });
      try {
        return { ...(await run(task, [], patienceMs)), told: cloud.told[0] ?? 0 };
      } finally {
        hre = honest;
        await cloud.close();
      }
    }

    for (const task of ["status", "update"] as const)
      it(`dstack ${task} asks again, then says which request had it`, async () => {
        for (const [path, bodies] of paths[task])
          for (const body of bodies) {
            let isFirst = true;
            const once = (truth: unknown) => {
              const isTold = isFirst;
              isFirst = false;
              return isTold ? body : truth;
            };
            const what = `${path} ${JSON.stringify(body)}`;
            const recovered = await runAt(task, { path, tell: once }, untilDone);
            expect(recovered.exitCode, `${what}\n${recovered.stderr}`).to.equal(0);
            const told = await runAt(task, { path, tell: () => body });
            expect(told.told, what).to.be.at.least(2);
            expect(told.stderr, what).to.not.match(/^\s+at /m);
            expect(told.exitCode, what).to.not.equal(1);
            expect(`${told.stderr}${told.stdout}`.replace(/\s+/g, " "), what).to.match(
              /The answer to GET \S+ has an unknown form: /,
            );
            expect(told.paid, what).to.be.at.most(1);
          }
      }).timeout(120_000);
  });

  it("names the method and quotes the answer", async () => {
    const { exitCode, stderr } = await run("status", [
      { method: "eth_getStorageAt", answer: { value: { odd: true } } },
    ]);
    expect(exitCode).to.equal(3);
    expect(stderr).to.match(/HTTP 200, application\/json, no result of eth_getStorageAt: \{"jsonrpc".*"odd":true/);
  });
});
