import { setTimeout as wait } from "node:timers/promises";
import { expect } from "chai";
import { type BlockTag, createPublicClient, type Hex, numberToHex, parseAbi } from "viem";
import { sendTransaction } from "viem/actions";
import { addComposeHash } from "../../../../src/chain/add-compose-hash.ts";
import { getCvm } from "../../../../src/cloud/get-cvm.ts";
import { confirmCvmPatch, patchCvm } from "../../../../src/cloud/patch-cvm.ts";
import { InvalidArgumentError } from "../../../../src/errors/index.ts";
import { devAccount, type LocalChainClient } from "../../../../src/world/chain/client.ts";
import { type LocalChain, startChain } from "../../../../src/world/chain/start-chain.ts";
import { type StartWorldParameters, startWorld, type World } from "../../../../src/world/start-world.ts";
import { until } from "../../../support/until.ts";
import { catchError } from "../../../support/update/catch-error.ts";
import { postRpc } from "../../../support/world/post-rpc.ts";

const stranger = devAccount(5).address;
const lags = { safeLagSeconds: 73, finalizedLagSeconds: 1235 };
const admin = { key: "key of the admin endpoints" };

async function tagsOf({ client }: Pick<LocalChain, "client">) {
  const numberOf = async (blockTag: BlockTag) => Number((await client.getBlock({ blockTag })).number);
  return { safe: await numberOf("safe"), finalized: await numberOf("finalized"), latest: await numberOf("latest") };
}

function pay(client: LocalChainClient): Promise<Hex> {
  return sendTransaction(client, { account: devAccount(0), to: stranger, value: 1n });
}

describe("the blocks and tags of a world", () => {
  describe("mined by hand", () => {
    let world: World;
    /** The newest block after the start. */
    let start: number;
    beforeEach(async () => {
      world = await startWorld({ blockTimeMs: 0, ...lags, cvms: false, cloud: { admin } });
      start = Number(await world.chain.client.getBlockNumber());
    });
    afterEach(() => world.close());

    async function cloudTime(): Promise<number> {
      const answer = await fetch(`${world.cloud.url}/admin/clock`, { headers: { "x-admin-key": admin.key } });
      return Date.parse(((await answer.json()) as { now: string }).now) / 1000;
    }

    it("share a timestamp, and become safe and final together", async () => {
      const { client } = world.chain;
      await client.mine({ blocks: 20 });
      const blocks = await Promise.all(
        Array.from({ length: 20 }, (_, index) => client.getBlock({ blockNumber: BigInt(start + 1 + index) })),
      );
      expect(new Set(blocks.map(({ timestamp }) => timestamp)).size).to.equal(1);
      expect(await tagsOf(world.chain)).to.deep.equal({ safe: 0, finalized: 0, latest: start + 20 });

      await world.advance(73);
      expect(await tagsOf(world.chain)).to.deep.equal({ safe: start + 20, finalized: 0, latest: start + 21 });
      await world.advance(1235 - 73);
      expect(await tagsOf(world.chain)).to.deep.include({ safe: start + 21, finalized: start + 20 });
    });

    it("contain no transaction until a client mines", async () => {
      const { client } = world.chain;
      const hash = await pay(client);
      expect((await client.getTransaction({ hash })).blockNumber).to.equal(null);
      await client.mine({ blocks: 1 });
      expect((await client.getTransactionReceipt({ hash })).blockNumber).to.equal(BigInt(start + 1));
    });

    it("move with the admin endpoint's clock, and with a client's own calls", async () => {
      await world.chain.client.mine({ blocks: 5 });
      await fetch(`${world.cloud.url}/admin/clock/advance`, {
        method: "POST",
        headers: { "x-admin-key": admin.key, "content-type": "application/json" },
        body: JSON.stringify({ ms: 73_000 }),
      });
      expect(await tagsOf(world.chain)).to.deep.equal({ safe: start + 5, finalized: 0, latest: start + 6 });
      // The clock alone: no block is mined.
      await world.chain.client.increaseTime({ seconds: 1235 });
      expect(await tagsOf(world.chain)).to.deep.equal({ safe: start + 6, finalized: start + 6, latest: start + 6 });
    });

    it("count parts of a second that the clock was moved by", async () => {
      await world.chain.client.mine({ blocks: 5 });
      for (let moved = 0; moved < 73; moved += 36.5) await world.advance(36.5);
      expect((await tagsOf(world.chain)).safe).to.equal(start + 5);
    });

    it("return with a snapshot, and the clock returns to the snapshot's time", async () => {
      const { client } = world.chain;
      await client.mine({ blocks: 5 });
      await world.advance(73);
      const before = await tagsOf(world.chain);
      const cloudBefore = await cloudTime();
      const { timestamp } = await client.getBlock({ blockTag: "pending" });
      const name = await world.snapshot();
      await wait(1000);
      await world.advance(5000);
      expect((await tagsOf(world.chain)).finalized).to.equal(before.latest);

      await world.restore(name);
      expect(await tagsOf(world.chain)).to.deep.equal(before);
      await client.mine({ blocks: 1 });
      const chainMoved = Number((await client.getBlock()).timestamp - timestamp);
      // On a busy machine, time passes between two calls.
      expect(chainMoved - ((await cloudTime()) - cloudBefore)).to.be.within(-10, 1.5);
      // Moving the clock counts from there.
      await world.restore(name);
      await client.increaseTime({ seconds: 100 });
      await client.mine({ blocks: 1 });
      expect(Number((await client.getBlock()).timestamp - timestamp)).to.be.within(100, 110);
    });

    it("are the same for the cloud, over HTTP, in batches and in a block's state", async () => {
      const { client, rpcUrl, transport } = world.chain;
      await client.setBalance({ address: stranger, value: 5n });
      await client.mine({ blocks: 5 });
      await world.advance(73);
      await client.setBalance({ address: stranger, value: 6n });
      await client.mine({ blocks: 1 });
      const { safe, latest } = await tagsOf(world.chain);

      const calls = [
        ["eth_getBalance", [stranger, "safe"], "0x5"],
        ["eth_getBalance", [stranger, "latest"], "0x6"],
        ["eth_getBalance", [stranger, { blockNumber: numberToHex(latest) }], "0x6"],
        [
          "eth_getBalance",
          [stranger, "finalized"],
          numberToHex(await client.getBalance({ address: devAccount(6).address })),
        ],
      ] as const;
      const answers = await postRpc<{ result: Hex }[]>(
        rpcUrl,
        calls.map(([method, params], id) => ({ jsonrpc: "2.0", id, method, params })),
      );
      expect(answers.map(({ result }) => result)).to.deep.equal(calls.map(([, , result]) => result));
      const inProcess = createPublicClient({ transport });
      expect(await inProcess.getBalance({ address: stranger, blockTag: "safe" })).to.equal(5n);
      // Multicall3's own number of the block that the call runs in.
      const ran = await inProcess.readContract({
        address: "0xcA11bde05977b3631167028862bE2a173976CA11",
        abi: parseAbi(["function getBlockNumber() view returns (uint256)"]),
        functionName: "getBlockNumber",
        blockTag: "safe",
      });
      expect(ran).to.equal(BigInt(safe));
    });
  });

  describe("mined by a timer", () => {
    let world: World;
    before(async () => {
      world = await startWorld({ blockTimeMs: 50, cvms: false, ...lags });
    });
    after(() => world.close());

    it("come at that pace, with equal timestamps, and take a transaction each time", async () => {
      const { client } = world.chain;
      const first = await client.getBlock();
      await until(async () => (await client.getBlockNumber()) >= first.number + 8n);
      const last = await client.getBlock({ blockNumber: first.number + 8n });
      expect(Number(last.timestamp - first.timestamp)).to.be.below(8);
      const hash = await pay(client);
      expect((await client.waitForTransactionReceipt({ hash })).status).to.equal("success");
    });

    it("are exactly those of a snapshot each time it is restored", async () => {
      const { client, rpcUrl } = world.chain;
      const setTimer = (params: readonly number[]) =>
        postRpc(rpcUrl, { id: 1, method: "evm_setIntervalMining", params });
      const name = await world.snapshot();
      await setTimer([0]);
      await world.restore(name);
      const restored = await client.getBlock();
      await client.mine({ blocks: 3 });
      await world.restore(name);
      expect(await client.getBlock()).to.deep.equal(restored);
      // The client stopped the timer, so a restore does not start it.
      await wait(200);
      expect(await client.getBlock()).to.deep.equal(restored);
      await setTimer([20]);
      await world.restore(name);
      await until(async () => (await client.getBlockNumber()) > restored.number);
    });
  });

  it("are those that a cloud waits for which requires finality", async () => {
    const world = await startWorld({ ...lags, cloud: { rolloverMs: 0, finality: "finalized" } });
    try {
      const cvm = "onchain-app";
      const proposed = await patchCvm(world.cloudClient, { cvm, dockerCompose: "services:\n  web:\n    image: a:2\n" });
      if (proposed.kind !== "registrationRequired") throw new Error("expected a 465");
      const { appId, composeHash } = proposed;
      const transactionHash = await addComposeHash(world.ownerClient, { appId, composeHash });
      await confirmCvmPatch(world.cloudClient, { cvm, composeHash, transactionHash });
      const read = () => getCvm(world.cloudClient, { cvm });
      await world.advance(73);
      expect(await read())
        .to.include({ status: "awaiting_finality", busy: true })
        .and.not.include({ composeHash });
      await world.advance(1235 - 73);
      await until(async () => (await read()).composeHash === composeHash);
      expect(await read()).to.include({ status: "running" });
    } finally {
      await world.close();
    }
  });

  it("are unchanged by default: a block for each transaction, and tags at the head", async () => {
    const chain = await startChain();
    try {
      await pay(chain.client);
      expect(await tagsOf(chain)).to.deep.equal({ safe: 1, finalized: 1, latest: 1 });
    } finally {
      await chain.close();
    }
  });

  const refused: readonly [string, StartWorldParameters][] = [
    ["a block time that is no whole number", { blockTimeMs: 0.2 }],
    ["a negative age", { safeLagSeconds: -1 }],
    ["final blocks that are not safe", { safeLagSeconds: 10, finalizedLagSeconds: 9 }],
    ["a timer with a state file", { blockTimeMs: 200, stateFile: "unused.db" }],
    ["the chain id 0", { chainId: 0 }],
  ];
  for (const [what, parameters] of refused) {
    it(`refuses ${what}`, async () => {
      await catchError(startWorld(parameters), InvalidArgumentError);
    });
  }
});
