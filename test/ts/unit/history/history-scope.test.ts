import { expect } from "chai";
import { parseAppId, parseComposeHash } from "../../../../src/core/ids.ts";
import { type HistoryScope, type HistoryStore, openHistoryStore } from "../../../../src/history/store.ts";
import { policyLog } from "../../../support/history/policy-logs.ts";

const appId = parseAppId("a0".repeat(20));
const chain = { chainId: 8453, genesisHash: `0x${"01".repeat(32)}` } as const;
const hash = (number: number) => parseComposeHash(number.toString(16).padStart(64, "0"));
const blockHash = (number: number) => `0x${number.toString(16).padStart(64, "b")}` as const;
const added = (number: number, blockNumber: bigint, logIndex = 0) =>
  policyLog("ComposeHashAdded", [hash(number)], { blockNumber, logIndex });

describe("what a history store keeps of an app", () => {
  let store: HistoryStore;
  let scope: HistoryScope;
  beforeEach(() => {
    store = openHistoryStore(":memory:");
    scope = store.scope(chain, appId);
  });
  afterEach(() => store.close());

  const save = (from: number, to: number, ...logs: ReturnType<typeof added>[]) =>
    scope.save(scope.epoch(), { fromBlock: BigInt(from), toBlock: BigInt(to) }, logs);
  const covered = () => scope.covered().map(({ fromBlock, toBlock }) => [Number(fromBlock), Number(toBlock)]);
  const hashesUpTo = (block: bigint) =>
    scope.content(block).changes.flatMap((change) => ("composeHash" in change ? [Number(change.composeHash)] : []));

  it("joins ranges that touch or overlap, and never across a block that was not read", () => {
    save(10, 20);
    save(22, 30);
    expect(covered()).to.deep.equal([
      [10, 20],
      [22, 30],
    ]);
    save(8, 8);
    expect(covered()[0]).to.deep.equal([8, 8]);
    save(21, 21);
    save(9, 12);
    expect(covered()).to.deep.equal([[8, 30]]);
  });

  it("has each log of a range once, as it was read last", () => {
    save(10, 20, added(1, 10n), added(2, 15n), added(3, 20n));
    save(12, 18, added(4, 16n, 1), added(5, 16n));
    expect(hashesUpTo(20n)).to.deep.equal([1, 5, 4, 3]);
  });

  it("ends with the given block", () => {
    save(10, 20, added(1, 10n), added(2, 15n), added(3, 20n));
    expect(hashesUpTo(15n)).to.deep.equal([1, 2]);
    expect(hashesUpTo(14n)).to.deep.equal([1]);
    expect(scope.content(9n)).to.deep.include({ changes: [], firstBlockWithLogs: undefined });
    expect(scope.content(15n).firstBlockWithLogs).to.equal(10n);
  });

  it("finds the newest block at or below another, from a checkpoint or a log", () => {
    expect(scope.checkpointAtOrBelow(100n)).to.equal(undefined);
    save(10, 20, added(1, 11n), added(2, 15n));
    scope.saveCheckpoints(scope.epoch(), [
      { number: 12n, hash: blockHash(12) },
      { number: 20n, hash: blockHash(20) },
    ]);
    const below = (number: bigint) => scope.checkpointAtOrBelow(number)?.number;
    expect([100n, 20n, 19n, 14n, 12n, 11n, 10n].map(below)).to.deep.equal([20n, 20n, 15n, 12n, 12n, 11n, undefined]);
    expect(scope.checkpointAtOrBelow(15n)?.hash).to.equal(added(2, 15n).blockHash);
    expect(scope.checkpointAtOrBelow(12n)?.hash).to.equal(blockHash(12));
  });

  it("removes all above a block, and keeps that block and all below", () => {
    save(10, 20, added(1, 10n), added(2, 15n), added(3, 16n));
    save(30, 40, added(4, 30n));
    scope.saveCheckpoints(scope.epoch(), [
      { number: 15n, hash: blockHash(15) },
      { number: 16n, hash: blockHash(16) },
    ]);
    scope.saveRecord(scope.epoch(), { createdInBlock: "10" });
    scope.forgetAbove(15n);
    expect(covered()).to.deep.equal([[10, 15]]);
    expect(hashesUpTo(100n)).to.deep.equal([1, 2]);
    expect(scope.checkpointAtOrBelow(100n)?.number).to.equal(15n);
    expect(scope.record()).to.deep.equal({ createdInBlock: "10" });
    scope.forgetAbove(9n);
    expect(covered()).to.deep.equal([]);
    expect(scope.record(), "of a creation that is gone").to.deep.equal({});
  });

  it("keeps the creation that is in the last block it keeps", () => {
    scope.saveRecord(scope.epoch(), { createdInBlock: "10" });
    scope.forgetAbove(10n);
    expect(scope.record()).to.deep.equal({ createdInBlock: "10" });
    scope.forgetAbove(undefined);
    expect(scope.record()).to.deep.equal({});
  });

  it("rejects logs that were read before blocks were removed", () => {
    save(10, 20, added(1, 10n));
    const before = scope.epoch();
    scope.forgetAbove(15n);
    expect(scope.save(before, { fromBlock: 16n, toBlock: 20n }, [added(2, 17n)])).to.equal(false);
    expect(scope.saveCheckpoints(before, [{ number: 20n, hash: blockHash(20) }])).to.equal(false);
    expect(scope.saveRecord(before, { createdInBlock: "10" })).to.equal(false);
    scope.saveTimestamps(before, new Map([[10n, 5n]]));
    expect(covered()).to.deep.equal([[10, 15]]);
    expect(hashesUpTo(100n)).to.deep.equal([1]);
    expect(scope.record()).to.deep.equal({});
    expect(scope.content(100n).changes.map(({ timestamp }) => timestamp)).to.deep.equal([undefined]);
    scope.saveTimestamps(scope.epoch(), new Map([[10n, 5n]]));
    expect(scope.content(100n).changes.map(({ timestamp }) => timestamp)).to.deep.equal([5n]);
  });

  it("knows which blocks an index delivered, and takes those from it that the chain delivers", () => {
    const fromIndex = (from: number, to: number, ...logs: ReturnType<typeof added>[]) =>
      scope.save(
        scope.epoch(),
        { fromBlock: BigInt(from), toBlock: BigInt(to) },
        logs.map((log) => ({ ...log, blockHash: undefined })),
        { index: "index.example" },
      );
    const origins = () =>
      scope.covered().map(({ fromBlock, toBlock, index }) => [Number(fromBlock), Number(toBlock), index]);
    fromIndex(0, 40, added(1, 10n), added(2, 25n), added(3, 40n));
    fromIndex(41, 50);
    save(51, 60, added(4, 55n));
    expect(origins()).to.deep.equal([
      [0, 50, "index.example"],
      [51, 60, undefined],
    ]);
    expect(scope.content(100n).changes.map(({ blockHash }) => blockHash)).to.deep.equal([
      ...[undefined, undefined, undefined],
      added(4, 55n).blockHash,
    ]);
    expect(scope.checkpointAtOrBelow(54n), "an index's block hash proves nothing").to.equal(undefined);
    save(20, 30, added(5, 25n));
    expect(origins()).to.deep.equal([
      [0, 19, "index.example"],
      [20, 30, undefined],
      [31, 50, "index.example"],
      [51, 60, undefined],
    ]);
    scope.saveRecord(scope.epoch(), { indexed: { createdInBlock: "10" } });
    const before = scope.epoch();
    scope.forgetIndexed();
    expect(scope.epoch()).to.equal(before + 1);
    expect(origins()).to.deep.equal([
      [20, 30, undefined],
      [51, 60, undefined],
    ]);
    expect(hashesUpTo(100n)).to.deep.equal([5, 4]);
    expect(scope.record()).to.deep.equal({});
  });

  it("is separate for each chain and app", () => {
    save(10, 20, added(1, 10n));
    const others = [
      store.scope({ ...chain, chainId: 1 }, appId),
      store.scope({ ...chain, genesisHash: `0x${"02".repeat(32)}` }, appId),
      store.scope(chain, parseAppId("a1".repeat(20))),
    ];
    for (const other of others) {
      expect(other.covered()).to.deep.equal([]);
      other.forgetAbove(undefined);
    }
    expect(hashesUpTo(20n)).to.deep.equal([1]);
    expect(store.scope(chain, appId).covered()).to.have.lengthOf(1);
  });
});
