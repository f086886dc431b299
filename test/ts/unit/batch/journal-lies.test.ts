import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { keccak256, zeroAddress } from "viem";
import { type BatchEntry, openBatchJournal, toPreparedLine } from "../../../../src/chain/transactions/journal.ts";
import { batchExecutorDeployment, deterministicDeployer, encodeExecute } from "../../../../src/core/batch-executor.ts";
import { parseAppId, parseTransactionHash } from "../../../../src/core/ids.ts";
import { addComposeHashCall, removeComposeHashCall, transferOwnershipCall } from "../../../../src/core/owner-calls.ts";
import { JournalCorruptError } from "../../../../src/errors/index.ts";
import { executor, type SignEntryOptions, signEntry, signer, stranger } from "../../../support/journal/signed-entry.ts";
import { hashNumber } from "../../../support/prune/allowlist-use.ts";
import { rejection } from "../../../support/rejection.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

const appId = parseAppId("a0".repeat(20));
const add = addComposeHashCall({ appId, composeHash: hashNumber(2) });
const remove = removeComposeHashCall({ appId, composeHash: hashNumber(1) });
const theft = transferOwnershipCall({ appId, newOwner: stranger.address });
const calls = [add, remove];
const single = { calls: [add], to: add.to, data: add.data };

describe("a line of a batch journal that a repository brings", () => {
  const directory = useTemporaryDirectory();
  const path = () => join(directory.path, "batch.jsonl");

  async function open(changes: Record<string, unknown>, entry: BatchEntry, executors?: `0x${string}`[]) {
    const line = { v: 1, at: "2026-11-30T00:00:00.000Z", ...toPreparedLine(entry), ...changes };
    writeFileSync(path(), `${JSON.stringify(line)}\n`, { mode: 0o600 });
    await using journal = await openBatchJournal(path(), { executors });
    return journal.open;
  }

  async function expectCorrupt(problem: RegExp, changes: Record<string, unknown>, options: SignEntryOptions) {
    const entry = await signEntry(options);
    const error = await rejection(open(changes, entry));
    expect(error).to.be.instanceOf(JournalCorruptError);
    if (!(error instanceof JournalCorruptError)) throw error;
    expect(error.message)
      .to.include(path())
      .and.match(/^Line 1 /)
      .and.match(problem);
    expect(readFileSync(path(), "utf8"), "left as it is").to.include('"prepared"');
  }

  const node = { rawTransaction: null, transactionHash: null };

  it("is believed as this package writes it, whoever signs", async () => {
    for (const options of [single, { calls }, { calls, delegate: executor }]) {
      const entry = await signEntry(options);
      const [read] = await open({}, entry);
      expect(read?.transaction.rawTransaction).to.equal(entry.transaction.rawTransaction);
      expect(read?.calls.map(({ description }) => description)).to.deep.equal(
        options.calls.map(({ description }) => description),
      );
    }
    expect(await open(node, await signEntry({ calls }))).to.have.length(1);
    const undoing = { calls: [], data: "0x", delegate: zeroAddress } as const;
    expect(await open({}, await signEntry(undoing))).to.have.length(1);
    const deployment = { calls: [], to: deterministicDeployer, data: batchExecutorDeployment };
    expect(await open({}, await signEntry(deployment))).to.have.length(1);
    expect(await open(node, await signEntry(deployment))).to.have.length(1);
  });

  it("says what its calldata does, not what it is called", async () => {
    const [read] = await open({ ...node, functionName: "addDevice" }, await signEntry(single));
    expect(read?.transaction.functionName).to.equal("addComposeHash");
  });

  for (const [what, changes] of [
    ["no call and the calldata of one", { calls: [], to: theft.to, data: theft.data }],
    ["another call than its calldata", { to: theft.to, data: theft.data }],
    ["another target than its call", { to: stranger.address.toLowerCase() }],
    ["a call less than its calldata", { calls: [{ contract: "app", to: add.to, data: add.data }] }],
    ["a batch with a call nobody lists", { data: encodeExecute([...calls, theft]) }],
    ["a deployment of other code", { calls: [], to: deterministicDeployer, data: `${batchExecutorDeployment}00` }],
    ["a deployment through another contract", { calls: [], to: add.to, data: batchExecutorDeployment }],
    ["no call and no calldata", { calls: [], data: "0x" }],
    ["a batch sent to another account", { to: stranger.address.toLowerCase() }],
  ] as const)
    it(`is corrupt with ${what}, where a node signs`, () =>
      expectCorrupt(/calldata/, { ...node, ...changes }, { calls }));

  for (const [what, problem, options] of [
    ["of another chain", /another chain/, { ...single, signed: { chainId: 1 } }],
    ["of another nonce", /another nonce/, { ...single, signed: { nonce: 6 } }],
    ["that pay somebody", /pay/, { ...single, signed: { value: 1n } }],
    ["of another key", /another key/, { ...single, by: stranger }],
    ["that delegate the account elsewhere", /delegate the account to/, { calls, delegate: stranger.address }],
    ["with an authorisation of another key", /another key/, { calls, delegate: executor, delegatedBy: stranger }],
    ["that undo a delegation under a batch", /delegate the account to/, { calls, delegate: zeroAddress }],
    ["with a tip nobody pays", /tip/, { ...single, maxPriorityFeePerGas: 4n * 10n ** 9n }],
  ] as const)
    it(`is corrupt with signed bytes ${what}`, () => expectCorrupt(problem, {}, options));

  it("is corrupt where bytes, hash and authorisation do not belong together", async () => {
    const other = await signEntry({ ...single, nonce: 6 });
    const { rawTransaction } = other.transaction;
    const hash = parseTransactionHash("7a".repeat(32));
    await expectCorrupt(/hash is not that/, { transactionHash: hash }, single);
    await expectCorrupt(/hash is not that/, { rawTransaction }, single);
    await expectCorrupt(
      /another nonce/,
      { rawTransaction, transactionHash: other.transaction.transactionHash },
      single,
    );
    await expectCorrupt(/not both there/, { rawTransaction: null }, single);
    await expectCorrupt(/not both there/, { transactionHash: null }, single);
    await expectCorrupt(
      /no such transaction/,
      { rawTransaction: "0x02f8", transactionHash: keccak256("0x02f8") },
      single,
    );
    await expectCorrupt(/delegate an account/, { authorizes: false }, { calls, delegate: executor });
    await expectCorrupt(/do not delegate/, { authorizes: true }, { calls });
    await expectCorrupt(/signed bytes are missing/, { ...node, authorizes: true }, { calls });
    await expectCorrupt(/no call of this kind/, { authorizes: true }, single);
    await expectCorrupt(/tip is above/, { ...node, maxFeePerGas: "1" }, single);
    await expectCorrupt(
      /tip is above/,
      { ...node, maxPriorityFeePerGas: `${10n ** 18n}`, maxFeePerGas: `${10n ** 18n}` },
      single,
    );
  });

  it("may delegate to an executor that the caller names, and to no other", async () => {
    const named = stranger.address;
    const entry = await signEntry({ calls, delegate: named });
    expect(await open({}, entry, [named])).to.have.length(1);
    expect(await rejection(open({}, entry, [signer.address]))).to.be.instanceOf(JournalCorruptError);
  });

  it("does not get another hash for the bytes that were signed", async () => {
    const entry = await signEntry(single);
    const { chainId, from, nonce } = entry.transaction;
    const at = "2026-11-30T00:00:00.000Z";
    const sent = {
      v: 1,
      at,
      type: "sent",
      chainId,
      from,
      nonce,
      transactionHash: parseTransactionHash("7a".repeat(32)),
    };
    const lines = [{ v: 1, at, ...toPreparedLine(entry) }, sent];
    writeFileSync(path(), lines.map((line) => `${JSON.stringify(line)}\n`).join(""), { mode: 0o600 });
    const error = await rejection(openBatchJournal(path()));
    expect(error).to.be.instanceOf(JournalCorruptError).and.have.nested.property("context.line", 2);
  });
});
