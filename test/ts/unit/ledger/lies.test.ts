import { join } from "node:path";
import { expect } from "chai";
import { type Hex, keccak256, zeroAddress } from "viem";
import { openLedger } from "../../../../src/chain/transactions/ledger.ts";
import { lastAttempt } from "../../../../src/chain/transactions/ledger-records.ts";
import { batchExecutorDeployment, deterministicDeployer, encodeExecute } from "../../../../src/core/batch-executor.ts";
import { parseAppId } from "../../../../src/core/ids.ts";
import { addComposeHashCall, removeComposeHashCall, transferOwnershipCall } from "../../../../src/core/owner-calls.ts";
import { LedgerError } from "../../../../src/errors/index.ts";
import { DatabaseSync } from "../../../../src/files/sqlite.ts";
import {
  executor,
  putRecord,
  type SignRecordOptions,
  signer,
  signRecord,
  stranger,
} from "../../../support/ledger/signed-record.ts";
import { hashNumber } from "../../../support/prune/allowlist-use.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

const appId = parseAppId("a0".repeat(20));
const add = addComposeHashCall({ appId, composeHash: hashNumber(2) });
const remove = removeComposeHashCall({ appId, composeHash: hashNumber(1) });
const theft = transferOwnershipCall({ appId, newOwner: stranger.address });
const calls = [add, remove];
const single = { calls: [add], to: add.to, data: add.data };

/** Columns with other values than this package writes, by table. */
type Changes = Partial<Record<"transactions" | "attempts" | "calls", Readonly<Record<string, string | number | null>>>>;

/** Of a key that a node or a wallet holds. */
const node: Changes = { attempts: { raw: null, hash: null } };

describe("a record of a ledger that another program has changed", () => {
  const directory = useTemporaryDirectory();
  const path = () => join(directory.path, "ledger.sqlite");

  async function put(options: SignRecordOptions, executors: Hex[] = []) {
    using ledger = openLedger(path(), { executors });
    const { calls, delegate } = options;
    return putRecord(ledger, await signRecord(options), { calls, authorizes: delegate !== undefined });
  }

  function change(changes: Changes) {
    const database = new DatabaseSync(path());
    for (const [table, columns] of Object.entries(changes))
      for (const [column, value] of Object.entries(columns))
        database.prepare(`UPDATE ${table} SET ${column} = ?`).run(value);
    database.close();
  }

  function read(executors: Hex[] = []) {
    using ledger = openLedger(path(), { executors });
    return ledger.transactions();
  }

  async function expectLie(problem: RegExp, changes: Changes, options: SignRecordOptions) {
    await put(options);
    change(changes);
    expect(read)
      .to.throw(LedgerError)
      .with.property("message")
      .that.includes(path())
      .and.includes("record 1")
      .and.matches(problem);
  }

  /** The signed bytes of another transaction under an honest record. */
  async function bytesOf(options: SignRecordOptions): Promise<Changes> {
    const { rawTransaction = "0x", transactionHash = "0x" } = await signRecord(options);
    return { attempts: { raw: rawTransaction, hash: transactionHash } };
  }

  for (const [what, options, changes] of [
    ["one call", single, {}],
    ["a batch", { calls }, {}],
    ["a batch that delegates", { calls, delegate: executor }, {}],
    ["a batch that a node signs", { calls }, node],
    ["the end of a delegation", { calls: [], data: "0x", delegate: zeroAddress }, {}],
    ["a deployment", { calls: [], to: deterministicDeployer, data: batchExecutorDeployment }, {}],
    ["a deployment that a node signs", { calls: [], to: deterministicDeployer, data: batchExecutorDeployment }, node],
  ] as const)
    it(`is accepted as this package writes it: ${what}`, async () => {
      const written = await put(options);
      change(changes);
      const [found] = read();
      expect(found?.calls.map(({ description }) => description)).to.deep.equal(
        options.calls.map(({ description }) => description),
      );
      expect(found?.functionName).to.equal(written.functionName);
      const raw = "attempts" in changes ? undefined : lastAttempt(written).rawTransaction;
      expect(found && lastAttempt(found).rawTransaction).to.equal(raw);
    });

  for (const [what, columns] of [
    ["another call than its calldata", { target: theft.to, data: theft.data }],
    ["another target than its call", { target: stranger.address.toLowerCase() }],
    ["a batch with a call that it does not list", { data: encodeExecute([...calls, theft]) }],
    ["a deployment of other code", { target: deterministicDeployer, data: `${batchExecutorDeployment}00` }],
    ["a deployment through another contract", { target: add.to, data: batchExecutorDeployment }],
    ["no calldata", { data: "0x" }],
    ["another sender than its batch", { signer: stranger.address.toLowerCase() }],
  ] as const)
    it(`is refused with ${what}, when a node signs`, async () => {
      await put({ calls });
      change({ ...node, transactions: columns });
      expect(read)
        .to.throw(LedgerError)
        .with.property("message")
        .that.matches("signer" in columns ? /its batch is of another signer/ : /calldata/);
    });

  it("is refused with no call and the calldata of one", async () => {
    await put({ calls });
    change({ ...node, transactions: { target: theft.to, data: theft.data } });
    const database = new DatabaseSync(path());
    database.exec("DELETE FROM calls");
    database.close();
    expect(read)
      .to.throw(LedgerError)
      .with.property("message")
      .that.matches(/calldata/);
  });

  for (const [what, problem, honest, lie] of [
    ["of another chain", /another chain/, single, { signed: { chainId: 1 } }],
    ["of another nonce", /another nonce/, single, { signed: { nonce: 6 } }],
    ["that also send ether", /send ether/, single, { signed: { value: 1n } }],
    ["that delegate an account", /delegate an account/, { calls }, { delegate: executor }],
    [
      "that delegate the account elsewhere",
      /delegate the account to/,
      { calls, delegate: executor },
      { delegate: stranger.address },
    ],
    ["that do not delegate", /do not delegate/, { calls, delegate: executor }, { delegate: undefined }],
    [
      "that undo a delegation under a batch",
      /delegate the account to/,
      { calls, delegate: executor },
      { delegate: zeroAddress },
    ],
  ] as const)
    it(`is refused with signed bytes ${what}`, async () => {
      await expectLie(problem, await bytesOf({ ...honest, ...lie } as SignRecordOptions), honest);
    });

  it("is refused when bytes, hash and authorisation do not match", async () => {
    for (const [index, [problem, changes, options]] of (
      [
        [/hash is not that/, { attempts: { hash: `0x${"7a".repeat(32)}` } }, single],
        [/not both there/, { attempts: { hash: null } }, single],
        [/no such transaction/, { attempts: { raw: "0x02f8", hash: keccak256("0x02f8") } }, single],
        [/signed bytes are missing/, { ...node, transactions: { authorizes: 1 } }, { calls }],
        [/no call of this kind/, { transactions: { authorizes: 1 } }, single],
        [/tip is above/, { attempts: { raw: null, hash: null, max_fee: "1" } }, single],
        [
          /tip is above/,
          { attempts: { raw: null, hash: null, max_fee: `${10n ** 19n}`, tip: `${10n ** 18n}` } },
          single,
        ],
        [/gas limit is above/, { attempts: { raw: null, hash: null, gas: "99000000" } }, single],
        [/cannot be read/, { attempts: { gas: "many" } }, single],
        [/cannot be read/, { transactions: { owner: "{}" } }, single],
      ] as const
    ).entries()) {
      await put({ ...options, nonce: 100 + index });
      change(changes);
      expect(read, `${problem}`).to.throw(LedgerError).with.property("message").that.matches(problem);
      const database = new DatabaseSync(path());
      database.exec("DELETE FROM calls; DELETE FROM attempts; DELETE FROM transactions; DELETE FROM batches");
      database.close();
    }
  });

  it("may delegate to an executor that the caller names, and to no other", async () => {
    const named = stranger.address;
    await put({ calls, delegate: named }, [named]);
    expect(read([named])).to.have.length(1);
    expect(() => read([signer.address])).to.throw(LedgerError);
    expect(() => read()).to.throw(LedgerError);
  });

  it("is named and left out where the caller looks at the others", async () => {
    const honest = await put({ ...single, nonce: 4 });
    const damaged = await put({ ...single, nonce: 5 });
    const database = new DatabaseSync(path());
    database.prepare("UPDATE attempts SET gas = 'many' WHERE sent_in = ?").run(damaged.id);
    database.close();
    using ledger = openLedger(path());
    const told: [number, string][] = [];
    const onDamaged = (id: number, { message }: LedgerError) => void told.push([id, message]);
    const hash = lastAttempt(honest).transactionHash;
    for (const query of [{}, { states: ["open"] as const }]) {
      const found = ledger.transactions({ ...query, onDamaged });
      expect(found.map(({ id }) => id)).to.deep.equal([honest.id]);
    }
    expect(told.map(([id]) => id)).to.deep.equal([damaged.id, damaged.id]);
    expect(told[0]?.[1]).to.contain(`record ${damaged.id}`);
    expect(ledger.transactions({ transactionHash: hash }).map(({ id }) => id)).to.deep.equal([honest.id]);
    expect(() => ledger.transactions()).to.throw(LedgerError);
  });

  it("has its own error for a damaged file, another program's file and a newer version", async () => {
    await put(single);
    change({});
    const database = new DatabaseSync(path());
    database.exec("PRAGMA user_version = 99");
    database.close();
    expect(() => read())
      .to.throw(LedgerError)
      .with.property("problem", "newer");
    const other = new DatabaseSync(join(directory.path, "other.sqlite"));
    other.exec("CREATE TABLE a (b)");
    other.close();
    expect(() => openLedger(join(directory.path, "other.sqlite")))
      .to.throw(LedgerError)
      .with.property("problem", "foreign");
  });
});
