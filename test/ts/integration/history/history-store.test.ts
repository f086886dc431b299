import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { json } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { numberToHex } from "viem";
import { addComposeHash } from "../../../../src/chain/add-compose-hash.ts";
import { removeComposeHash } from "../../../../src/chain/remove-compose-hash.ts";
import { type ComposeHash, parseAppId, parseComposeHash } from "../../../../src/core/ids.ts";
import { HistoryStoreError, NoContractError, UnusableFileError } from "../../../../src/errors/index.ts";
import type { History } from "../../../../src/history/history.ts";
import { allowedAt } from "../../../../src/history/policy.ts";
import { type ReadHistoryParameters, readHistory } from "../../../../src/history/read-history.ts";
import { type HistoryStore, openHistoryStore } from "../../../../src/history/store.ts";
import { type Dstack, deployAppOf, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { mineBlocks } from "../../../support/history/mine.ts";
import {
  type Behaviour,
  blocksOf,
  limitBlocks,
  type RpcProvider,
  startProvider,
} from "../../../support/history/rpc-provider.ts";
import { rejection } from "../../../support/rejection.ts";
import { until } from "../../../support/until.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

const hash = (index: number) => parseComposeHash(numberToHex(index, { size: 32 }));
const limited = (most: number): Behaviour =>
  limitBlocks(most, () => ({ error: { code: -32614, message: `eth_getLogs is limited to a ${most} range` } }));
const allowed = ({ changes }: History) => [...allowedAt(changes).composeHashes.keys()];

/** Two minutes of this chain's blocks of one second: its node calls the newest block safe. */
const unsettled = 128;

describe("a history store", () => {
  const directory = useTemporaryDirectory();
  let connection: NetworkConnection;
  let dstack: Dstack;
  let provider: RpcProvider;
  let store: HistoryStore;

  before(async () => {
    connection = await network.create("local");
  });

  beforeEach(async () => {
    dstack = await connection.networkHelpers.loadFixture(deployDstack);
    provider = await startProvider(connection.provider);
    store = openHistoryStore(path());
  });

  afterEach(async () => {
    store.close();
    await provider.close();
  });

  const path = () => join(directory.path, "history.sqlite");
  const add = (composeHash: ComposeHash, of = dstack) =>
    addComposeHash(of.client, { appId: of.appId, composeHash, account: of.owner });
  const remove = (composeHash: ComposeHash) =>
    removeComposeHash(dstack.client, { appId: dstack.appId, composeHash, account: dstack.owner });
  const read = (parameters: Partial<ReadHistoryParameters> = {}) =>
    readHistory(provider.client, { appId: dstack.appId, store, retryDelayMs: 0.1, ...parameters });
  /** The result of a reader without a store. */
  const readFresh = () => readHistory(dstack.client, { appId: dstack.appId });
  const blocksAsked = () => provider.calls.map(blocksOf).reduce((sum, blocks) => sum + (blocks?.count ?? 0), 0);

  it("saves the next run the search for the creation and all but the newest blocks", async () => {
    await add(hash(1));
    await mineBlocks(connection, 300);
    const first = await read();
    expect(first.completeness.isComplete).to.equal(true);
    await add(hash(2));
    await mineBlocks(connection, 10);
    const [blocksBefore, codeBefore, callsBefore] = [
      blocksAsked(),
      provider.countOf("eth_getCode"),
      provider.calls.length,
    ];
    const second = await read();
    expect(second).to.deep.equal(await readFresh());
    expect(allowed(second)).to.deep.equal([dstack.composeHash, hash(1), hash(2)]);
    expect(blocksAsked() - blocksBefore).to.equal(unsettled + 11);
    expect(provider.countOf("eth_getCode")).to.equal(codeBefore);
    expect(provider.calls.length - callsBefore).to.be.lessThan(20);
  });

  it("has the same content after it was closed", async () => {
    await add(hash(1));
    await mineBlocks(connection, unsettled + 40);
    await read();
    store.close();
    store = openHistoryStore(path());
    const before = blocksAsked();
    expect(await read()).to.deep.equal(await readFresh());
    expect(blocksAsked() - before).to.equal(unsettled);
  });

  it("keeps apps apart", async () => {
    const other = await deployAppOf(dstack, dstack.owner.address);
    await add(hash(1));
    await add(hash(2), { ...dstack, appId: other });
    await read();
    const history = await read({ appId: other });
    expect(history.completeness.isComplete).to.equal(true);
    expect(allowed(history)).to.deep.equal([dstack.composeHash, hash(2)]);
    expect(allowed(await read())).to.deep.equal([dstack.composeHash, hash(1)]);
  });

  it("ends with a given older block, and finds nothing before the creation", async () => {
    await add(hash(1));
    await mineBlocks(connection, 5);
    const { pinned: older, createdInBlock } = await read();
    await add(hash(2));
    await remove(hash(1));
    await mineBlocks(connection, 5);
    expect(allowed(await read())).to.deep.equal([dstack.composeHash, hash(2)]);
    const toBlock = older.number;
    const history = await read({ toBlock });
    expect(history.completeness.isComplete).to.equal(true);
    expect(allowed(history)).to.deep.equal([dstack.composeHash, hash(1)]);
    expect(history).to.deep.equal(await readHistory(dstack.client, { appId: dstack.appId, toBlock }));
    expect(await rejection(read({ toBlock: createdInBlock - 1n }))).to.be.instanceOf(NoContractError);
    expect(allowed(await read())).to.deep.equal([dstack.composeHash, hash(2)]);
  });

  it("continues where a run was stopped", async () => {
    await mineBlocks(connection, 400);
    await add(hash(1));
    provider.behave(limited(10));
    const stop = new AbortController();
    let pieces = 0;
    const reason = new Error("Enough.");
    const onProgress = () => {
      pieces += 1;
      if (pieces === 25) stop.abort(reason);
    };
    expect(await rejection(read({ signal: stop.signal, onProgress }))).to.equal(reason);
    const before = blocksAsked();
    const history = await read({ firstRange: 10 });
    expect(history).to.deep.equal(await readFresh());
    const left = history.pinned.number - history.createdInBlock + 1n - BigInt(20 * 10 - unsettled);
    expect(blocksAsked() - before).to.be.lessThan(Number(left) + 100);
  });

  for (const depth of [1, 5, 40, 150]) {
    it(`reads again what a reorganisation of ${depth + 2} blocks replaced`, async () => {
      const { provider: chain } = connection;
      await add(hash(1));
      await mineBlocks(connection, 100);
      const beforeFork = await chain.request({ method: "evm_snapshot", params: [] });
      await add(hash(2));
      await remove(hash(1));
      await mineBlocks(connection, depth);
      expect(allowed(await read())).to.deep.equal([dstack.composeHash, hash(2)]);

      await chain.request({ method: "evm_revert", params: [beforeFork] });
      await mineBlocks(connection, 2);
      await add(hash(3));
      await mineBlocks(connection, depth + 5);
      const history = await read();
      expect(history.completeness.isComplete).to.equal(true);
      expect(allowed(history)).to.deep.equal([dstack.composeHash, hash(1), hash(3)]);
      expect(history).to.deep.equal(await readFresh());
    });
  }

  it("reads again what a reorganisation replaced in a range without events", async () => {
    const { provider: chain } = connection;
    await add(hash(1));
    const beforeFork = await chain.request({ method: "evm_snapshot", params: [] });
    await mineBlocks(connection, 600);
    await read();
    await chain.request({ method: "evm_revert", params: [beforeFork] });
    await mineBlocks(connection, 1);
    await add(hash(3));
    await mineBlocks(connection, 610);
    const history = await read();
    expect(allowed(history)).to.deep.equal([dstack.composeHash, hash(1), hash(3)]);
    expect(history).to.deep.equal(await readFresh());
  });

  for (const [former, latter] of [
    [30, 0],
    [200, 100],
  ] as const)
    it(`forgets ${former} blocks that a chain of ${latter} new ones no longer has`, async () => {
      const { provider: chain } = connection;
      await mineBlocks(connection, 50);
      const beforeFork = await chain.request({ method: "evm_snapshot", params: [] });
      await add(hash(1));
      await mineBlocks(connection, former);
      await read();
      await chain.request({ method: "evm_revert", params: [beforeFork] });
      await add(hash(2));
      await mineBlocks(connection, latter);
      const history = await read();
      expect(history.completeness.isComplete).to.equal(true);
      expect(allowed(history)).to.deep.equal([dstack.composeHash, hash(2)]);
    });

  it("starts again when the chain replaces blocks while they are read", async () => {
    const { provider: chain } = connection;
    await mineBlocks(connection, 80);
    const beforeFork = await chain.request({ method: "evm_snapshot", params: [] });
    await add(hash(1));
    let isForked = false;
    provider.behave(async (call) => {
      if (call.method !== "eth_getLogs" || isForked) return undefined;
      isForked = true;
      await chain.request({ method: "evm_revert", params: [beforeFork] });
      await mineBlocks(connection, 1);
      await add(hash(2));
      return undefined;
    });
    const history = await read();
    expect(isForked).to.equal(true);
    expect(history.completeness.isComplete).to.equal(true);
    expect(allowed(history)).to.deep.equal([dstack.composeHash, hash(2)]);
    expect(allowed(await read())).to.deep.equal([dstack.composeHash, hash(2)]);
  });

  it("reports a chain that keeps changing", async () => {
    const { provider: chain } = connection;
    let point = await chain.request({ method: "evm_snapshot", params: [] });
    await mineBlocks(connection, 3);
    let round = 0;
    provider.behave(async (call) => {
      if (call.method !== "eth_getLogs") return undefined;
      await chain.request({ method: "evm_revert", params: [point] });
      point = await chain.request({ method: "evm_snapshot", params: [] });
      round += 1;
      await connection.networkHelpers.setBalance(dstack.stranger.address, BigInt(round)); // another state, another hash
      await mineBlocks(connection, 3);
      return undefined;
    });
    const { completeness } = await read();
    const reasons = completeness.isComplete ? [] : completeness.reasons;
    expect(reasons.map(({ kind }) => kind)).to.include("chainKeepsChanging");
  });

  it("keeps local chains with the same id apart", async () => {
    await add(hash(1));
    await read();
    const restarted = await network.create("local");
    try {
      const other = await deployDstack(restarted);
      await add(hash(2), other);
      const history = await readHistory(other.client, { appId: other.appId, store });
      expect(history.completeness.isComplete).to.equal(true);
      expect(allowed(history)).to.deep.equal([other.composeHash, hash(2)]);
      expect(allowed(await read())).to.deep.equal([dstack.composeHash, hash(1)]);
    } finally {
      await restarted.close();
    }
  });

  it("allows two runs to write at the same time", async () => {
    for (let index = 1; index <= 10; index += 1) {
      await add(hash(index));
      await mineBlocks(connection, 20);
    }
    provider.behave(limited(7));
    const second = openHistoryStore(path());
    try {
      const histories = await Promise.all([read(), read({ store: second }), read({ store: second, concurrency: 2 })]);
      const expected = await readFresh();
      for (const history of histories) expect(history).to.deep.equal(expected);
    } finally {
      second.close();
    }
    expect(await read()).to.deep.equal(await readFresh());
  });

  it("can be created and filled by several processes at the same time", async function () {
    this.timeout(120_000);
    for (let index = 1; index <= 5; index += 1) {
      await add(hash(index));
      await mineBlocks(connection, 20);
    }
    provider.behave(limited(7));
    const shared = join(directory.path, "shared.sqlite");
    const readers = Array.from({ length: 4 }, () => startReader(provider.url, dstack.appId, shared));
    const found = await Promise.all(readers.map((reader) => json(reader.stdout)));
    const { changes } = await readFresh();
    expect(found).to.deep.equal(readers.map(() => ({ changes: changes.length, isComplete: true })));
  });

  it("rejects what a run has read of replaced blocks, after another run has noticed", async () => {
    const { provider: chain } = connection;
    await mineBlocks(connection, 80);
    const beforeFork = await chain.request({ method: "evm_snapshot", params: [] });
    await add(hash(1));
    await mineBlocks(connection, 100); // so deep that no later run reads it again
    const second = openHistoryStore(path());
    let isForked = false;
    provider.behave(async (call, pass) => {
      if (call.method !== "eth_getLogs" || isForked) return undefined;
      isForked = true;
      const stale = await pass();
      await chain.request({ method: "evm_revert", params: [beforeFork] });
      await add(hash(2));
      await mineBlocks(connection, 110);
      await readHistory(dstack.client, { appId: dstack.appId, store: second });
      return { result: stale };
    });
    try {
      expect(allowed(await read())).to.deep.equal([dstack.composeHash, hash(2)]);
      expect(allowed(await read({ store: second }))).to.deep.equal([dstack.composeHash, hash(2)]);
    } finally {
      second.close();
    }
  });

  it("survives being killed at any moment", async function () {
    this.timeout(120_000);
    for (let index = 1; index <= 12; index += 1) {
      await add(hash(index));
      await mineBlocks(connection, 25);
    }
    store.close();
    const expected = await readFresh();
    const inner = limited(4);
    provider.behave(async (call, pass) => {
      await new Promise((resolve) => setTimeout(resolve, 2));
      return inner(call, pass);
    });
    let running: ChildProcess | undefined;
    // Killed when this many more requests for logs have arrived.
    for (const requests of [1, 9, 25, 50]) {
      const from = provider.countOf("eth_getLogs");
      running = startReader(provider.url, dstack.appId, path());
      await until(() => provider.countOf("eth_getLogs") >= from + requests);
      running.kill("SIGKILL");
      await new Promise((resolve) => running?.once("close", resolve));
      openHistoryStore(path()).close();
    }
    const last = startReader(provider.url, dstack.appId, path());
    expect(await json(last.stdout)).to.deep.equal({ changes: expected.changes.length, isComplete: true });
    store = openHistoryStore(path());
    expect(await read()).to.deep.equal(expected);
  });

  describe("whose file", () => {
    beforeEach(async () => {
      await add(hash(1));
      await read();
      store.close();
    });

    afterEach(() => {
      store = openHistoryStore(":memory:");
    });

    const problemOf = async () => {
      const fault = await rejection(
        (async () => {
          const opened = openHistoryStore(path());
          try {
            await readHistory(dstack.client, { appId: dstack.appId, store: opened });
          } finally {
            opened.close();
          }
        })(),
      );
      expect(fault).to.be.instanceOf(HistoryStoreError);
      return (fault as HistoryStoreError).problem; // checked above
    };

    it("is no database at all is refused", async () => {
      writeFileSync(path(), "Notes of last Tuesday, and nothing a database would write. ".repeat(100));
      expect(await problemOf()).to.equal("foreign");
    });

    it("is the database of another program is refused and left unchanged", async () => {
      const other = join(directory.path, "other.sqlite");
      const database = new DatabaseSync(other);
      database.exec("CREATE TABLE scope (id INTEGER)");
      database.close();
      const content = readFileSync(other);
      expect(() => openHistoryStore(other))
        .to.throw(HistoryStoreError)
        .with.property("problem", "foreign");
      expect(readFileSync(other).equals(content)).to.equal(true);
    });

    it("was written by a newer version is refused", async () => {
      const database = new DatabaseSync(path());
      database.exec("PRAGMA user_version = 99");
      database.close();
      expect(await problemOf()).to.equal("newer");
    });

    it("was written by the first version is used on, without a new request for its blocks", async () => {
      const database = new DatabaseSync(path());
      database.exec("ALTER TABLE covered DROP COLUMN index_host; PRAGMA user_version = 1");
      database.close();
      await mineBlocks(connection, unsettled + 5);
      const before = blocksAsked();
      store = openHistoryStore(path());
      expect(await read()).to.deep.equal(await readFresh());
      expect(blocksAsked() - before).to.be.lessThan(2 * unsettled + 6);
      store.close();
      store = openHistoryStore(path());
      expect(allowed(await read())).to.deep.equal([dstack.composeHash, hash(1)]);
      store.close();
    });

    it("has lost its end is refused", async () => {
      truncateSync(path(), 3 * 4096);
      expect(await problemOf()).to.equal("damaged");
    });

    it("has garbage in its pages is refused", async () => {
      const content = readFileSync(path());
      content.fill(0xaa, 4096);
      writeFileSync(path(), content);
      expect(await problemOf()).to.equal("damaged");
    });

    for (const [what, sql] of [
      ["facts that are no JSON", "UPDATE scope SET facts = '{'"],
      ["facts of another shape", `UPDATE scope SET facts = '{"createdInBlock":"-1"}'`],
      ["a transaction hash that is too short", "UPDATE log SET transaction_hash = x'0102'"],
      ["a block hash that is too long", "UPDATE log SET block_hash = zeroblob(33)"],
      ["topics that are no words", "UPDATE log SET topics = x'010203'"],
    ] as const)
      it(`has ${what} is refused`, async () => {
        await mineBlocks(connection, unsettled + 5); // beyond the blocks that are read again
        store = openHistoryStore(path());
        await read();
        store.close();
        const database = new DatabaseSync(path());
        database.exec(sql);
        database.close();
        expect(await problemOf()).to.equal("damaged");
      });

    it("is in a directory that does not exist is refused", () => {
      const nowhere = join(directory.path, "none", "history.sqlite");
      expect(() => openHistoryStore(nowhere))
        .to.throw(UnusableFileError)
        .with.nested.property("context.problem", "there is no such file or folder");
    });
  });

  it("remembers the times of changes", async () => {
    await add(hash(1));
    await mineBlocks(connection, unsettled + 5); // beyond the blocks that are read again
    const withoutTimes: Behaviour = async (call, pass) => {
      if (call.method !== "eth_getLogs") return undefined;
      const logs = (await pass()) as object[];
      return { result: logs.map((log) => ({ ...log, blockTimestamp: undefined })) };
    };
    provider.behave(withoutTimes);
    expect((await read()).changes.map(({ timestamp }) => timestamp)).to.deep.equal(Array(6).fill(undefined));
    const { changes } = await read({ timestamps: true });
    const times = await Promise.all(
      changes.map(async ({ blockNumber }) => {
        const block = await connection.provider.request({
          method: "eth_getBlockByNumber",
          params: [numberToHex(blockNumber), false],
        });
        return BigInt(Object(block).timestamp);
      }),
    );
    expect(changes.map(({ timestamp }) => timestamp)).to.deep.equal(times);
    const again = await read();
    expect(again.changes.map(({ timestamp }) => timestamp)).to.deep.equal(times);
  });

  it("is asked for an app that does not exist", async () => {
    const absent = parseAppId("ab".repeat(20));
    await rejection(read({ appId: absent }));
    expect(allowed(await read())).to.deep.equal([dstack.composeHash]);
  });
});

function startReader(rpcUrl: string, appId: string, path: string) {
  const program = fileURLToPath(new URL("../../../support/history/history-process.ts", import.meta.url));
  return spawn(process.execPath, ["--import", "tsx", "--no-warnings", program, rpcUrl, appId, path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}
