import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { checksumAddress, createTestClient, http, isHex, parseGwei, type TestClient } from "viem";
import { getBlock, getTransactionCount, sendTransaction } from "viem/actions";
import { sendBatch } from "../../../../src/batch/index.ts";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import type { NamedFees } from "../../../../src/chain/transactions/fees.ts";
import { type Ledger, openLedger } from "../../../../src/chain/transactions/ledger.ts";
import { cancelTransaction, replaceTransaction } from "../../../../src/chain/transactions/replace.ts";
import { type AppId, parseComposeHash } from "../../../../src/core/ids.ts";
import { addComposeHashCall } from "../../../../src/core/owner-calls.ts";
import { BatchStoppedError } from "../../../../src/errors/index.ts";
import { DatabaseSync } from "../../../../src/files/sqlite.ts";
import { devAccount } from "../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { type RpcRequest, rpcError } from "../../../support/chain/intercepted-client.ts";
import { projectOf, runTask } from "../../../support/hardhat/run-task.ts";
import { Crash, crashingOnceRecorded, hookedLedger } from "../../../support/ledger/crashing-ledger.ts";
import { putRecord, signRecord } from "../../../support/ledger/signed-record.ts";
import { rejection } from "../../../support/rejection.ts";
import { until } from "../../../support/until.ts";
import type { TestServer } from "../../../support/update/http-server.ts";
import { startRpcServer } from "../../../support/update/rpc-server.ts";

interface Shown {
  readonly id: number;
  readonly state: string;
  readonly nonce: number;
  readonly outcome?: string;
  readonly baseFeePerGas: string | null;
  readonly attempts: readonly { readonly kind: string; readonly maxFeePerGas: string }[];
}
interface Failed {
  readonly error: { readonly name: string; readonly message: string; readonly nextStep: string };
}

describe("pending transactions", () => {
  let world: World;
  let directory: string;
  let path: string;
  let hre: HardhatRuntimeEnvironment;
  let node: TestClient;
  let appId: AppId;
  let untouched: string;
  let ledger: Ledger;
  let files = 0;
  const composeHash = parseComposeHash("a1".repeat(32));

  before(async () => {
    world = await startWorld();
    if (world.cvms.onChain?.appId === undefined) throw new Error("the world has an app");
    appId = world.cvms.onChain.appId;
    directory = await mkdtemp(join(tmpdir(), "dstack-tx-"));
    hre = await projectOf(world);
    node = createTestClient({ mode: "hardhat", transport: http(world.chain.rpcUrl) });
    untouched = await world.snapshot();
  });

  beforeEach(async () => {
    await world.restore(untouched);
    path = join(directory, `${++files}.sqlite`);
    ledger = openLedger(path);
  });

  afterEach(async () => {
    ledger.close();
    await node.setAutomine(true);
  });

  after(async () => {
    await world?.close();
    if (directory) await rm(directory, { recursive: true, force: true });
  });

  const run = (task: readonly string[], args: Record<string, unknown> = {}) =>
    runTask(hre, task, { ledger: path, json: true, ...args });
  const readAllowed = () => readAllowlist(world.ownerClient, { appId, composeHash });
  const readBaseFee = async () => (await getBlock(world.ownerClient)).baseFeePerGas ?? 0n;

  /** Sends a call whose price the base fee then exceeds, as a process that ended before it was mined. */
  async function getStuck(baseFee = parseGwei("50"), fees: NamedFees = {}) {
    await node.setAutomine(false);
    const calls = [addComposeHashCall({ appId, composeHash })];
    const error = await rejection(
      sendBatch(world.ownerClient, { calls, ledger, timeoutMs: 200, pollIntervalMs: 50, ...fees }),
    );
    expect(error).to.be.instanceOf(BatchStoppedError);
    await raiseBaseFee(baseFee);
    const [open] = ledger.transactions({ states: ["open"] });
    if (open === undefined) throw new Error("it waits");
    return open;
  }

  /** Mines a block when the task has sent one more attempt. A node that mines every transaction takes no replacement. */
  async function runAndMine(task: readonly string[], args: Record<string, unknown> & { readonly transaction: string }) {
    const { attempts } = ledger.transaction(Number(args.transaction));
    let isOver = false;
    const running = run(task, args).finally(() => {
      isOver = true;
    });
    await until(() => {
      const sent = ledger.transaction(Number(args.transaction)).attempts;
      return isOver || (sent.length > attempts.length && sent.at(-1)?.isSent);
    });
    await node.mine({ blocks: 1 });
    return running;
  }

  async function raiseBaseFee(baseFeePerGas: bigint) {
    await node.setNextBlockBaseFeePerGas({ baseFeePerGas });
    await node.mine({ blocks: 1 });
  }

  it("are listed and shown with their price against the base fee, and replaced by one command", async () => {
    const { id, nonce } = await getStuck();
    const listed = await runTask(hre, ["tx", "list"], { ledger: path });
    expect(listed.exitCode, listed.stderr).to.equal(0);
    expect(listed.stdout)
      .to.match(/base fee of world, chain 8453, is \d/)
      .and.contain("open, below the base fee")
      .and.contain(world.owner.address);
    const shown = await runTask(hre, ["tx", "show"], { ledger: path, transaction: `${id}` });
    expect(shown.stdout).to.contain("addComposeHash").and.contain(`nonce        ${nonce}`);
    expect(shown.stdout, "with checksums").to.contain(`signer       ${world.owner.address}`);
    expect(shown.stdout).to.contain(`on ${checksumAddress(appId)}`);

    const planned = (await run(["tx", "replace"], { transaction: `${id}`, dryRun: true })).json<Shown>();
    expect(planned).to.include({ outcome: "planned", state: "open" });
    expect(ledger.transaction(id).attempts).to.have.length(1);
    expect((await run(["tx", "replace"], { transaction: `${id}` })).exitCode).to.equal(2); // it cannot ask

    const replaced = await runAndMine(["tx", "replace"], { transaction: `${id}`, yes: true, json: false });
    expect(replaced.exitCode, replaced.stderr).to.equal(0);
    expect(replaced.stdout).to.contain("The replacement pays at most").and.contain("L1 data fee");
    expect((await readAllowed()).composeHashAllowed).to.equal(true);
    expect(ledger.transaction(id)).to.include({ state: "mined", nonce });
    expect(await getTransactionCount(world.ownerClient, { address: world.owner.address })).to.equal(nonce + 1);
  });

  it("are found by the hash of any attempt", async () => {
    const open = await getStuck();
    await replaceTransaction(world.ownerClient, { ledger, nonce: open.nonce });
    await node.mine({ blocks: 1 });
    for (const { transactionHash } of ledger.transaction(open.id).attempts) {
      const { id, state } = (await run(["tx", "show"], { transaction: transactionHash })).json<Shown>();
      expect({ id, state }).to.deep.equal({ id: open.id, state: "mined" });
    }
  });

  it("are replaced with the named fees, and not with fees that the node would refuse", async () => {
    const { id } = await getStuck();
    const [transaction, yes] = [`${id}`, true];
    const low = await run(["tx", "replace"], { transaction, yes, maxFee: "10" });
    expect(low.json<Failed>().error.message).to.match(
      /highest fee per gas of a replacement must be at least .* 10 gwei/,
    );
    const { attempts, state } = (
      await runAndMine(["tx", "replace"], { transaction, yes, maxFee: "80", priorityFee: "20" })
    ).json<Shown>();
    expect(state).to.equal("mined");
    expect(attempts.at(-1)).to.include({ maxFeePerGas: "80000000000", maxPriorityFeePerGas: "20000000000" });
  });

  it("need a named priority fee above 12 gwei, and the error names the flag", async () => {
    const { id } = await getStuck(parseGwei("50"), {
      maxFeePerGas: parseGwei("20"),
      maxPriorityFeePerGas: parseGwei("16"),
    });
    const transaction = `${id}`;
    for (const task of ["replace", "cancel"]) {
      const unnamed = await run(["tx", task], { transaction, yes: true });
      expect(unnamed.exitCode).to.equal(2);
      const { message, nextStep } = unnamed.json<Failed>().error;
      expect(message).to.contain("at least 18 gwei").and.contain("no more than 12 gwei");
      expect(nextStep).to.contain("18 gwei or more with --priority-fee");
    }
    const low = await run(["tx", "replace"], { transaction, yes: true, priorityFee: "17" });
    expect(low.json<Failed>().error.nextStep).to.contain("--priority-fee");
    const replaced = await runAndMine(["tx", "replace"], { transaction, yes: true, priorityFee: "18" });
    expect(replaced.exitCode, replaced.stderr).to.equal(0);
    expect(ledger.transaction(id).attempts.at(-1)?.maxPriorityFeePerGas).to.equal(parseGwei("18"));
  });

  it("are cancelled: the nonce is used and the call is not made", async () => {
    const { id, nonce } = await getStuck();
    const cancelled = await runAndMine(["tx", "cancel"], { transaction: `${id}`, yes: true });
    expect(cancelled.exitCode, cancelled.stderr).to.equal(0);
    expect(cancelled.json<Shown>()).to.include({ outcome: "cancelled", state: "cancelled" });
    expect((await readAllowed()).composeHashAllowed).to.equal(false);
    expect(await getTransactionCount(world.ownerClient, { address: world.owner.address })).to.equal(nonce + 1);
  });

  it("are replaced after a pending cancellation, with the gas of the call", async () => {
    const { id, nonce, attempts } = await getStuck();
    await cancelTransaction(world.ownerClient, { ledger, nonce });
    const replaced = await replaceTransaction(world.ownerClient, { ledger, nonce });
    expect(replaced.attempts.map(({ kind, gas }) => [kind, gas === attempts[0]?.gas])).to.deep.equal([
      ["call", true],
      ["cancel", false],
      ["call", true],
    ]);
    await node.mine({ blocks: 1 });
    expect((await run(["tx", "show"], { transaction: `${id}` })).json<Shown>().state).to.equal("mined");
    expect((await readAllowed()).composeHashAllowed).to.equal(true);
  });

  it("are not replaced once they are mined, and the error says so", async () => {
    const { id, nonce } = await getStuck();
    await raiseBaseFee(1n);
    await node.mine({ blocks: 1 });
    for (const task of ["replace", "cancel"]) {
      const refused = await run(["tx", task], { transaction: `${id}`, yes: true });
      expect(refused.exitCode).to.equal(2);
      expect(refused.json<Failed>().error.message).to.match(
        new RegExp(`^Transaction ${id}, nonce ${nonce}, is mined: 0x[0-9a-f]{64}, block \\d+\\.$`),
      );
    }
  });

  it("are listed for every chain, with the base fee of the connected chain only", async () => {
    const open = await getStuck();
    const calls = [addComposeHashCall({ appId, composeHash })];
    const prepared = await signRecord({ calls, nonce: 7 });
    const live = putRecord(ledger, prepared, { calls });
    const bare = { ...prepared, chainId: 84532, rawTransaction: undefined, transactionHash: undefined };
    const other = putRecord(ledger, bare, { calls, chain: "84532" });
    const { transactions, baseFeePerGas } = (await run(["tx", "list"])).json<{
      readonly transactions: readonly Shown[];
      readonly baseFeePerGas: string;
    }>();
    expect(baseFeePerGas).to.equal(`${await readBaseFee()}`);
    expect(transactions.map(({ id, baseFeePerGas }) => [id, baseFeePerGas])).to.deep.equal([
      [open.id, baseFeePerGas],
      [live.id, null],
      [other.id, null],
    ]);
    for (const [{ id }, problem] of [
      [live, /another chain with the id 8453/],
      [other, /is of chain 84532, and world is chain 8453/],
    ] as const) {
      const { error } = (await run(["tx", "replace"], { transaction: `${id}`, yes: true })).json<Failed>();
      expect(error.message).to.match(problem);
    }
    const elsewhere = await projectOf(world, {}, {}, {});
    const unconnected = await runTask(elsewhere, ["tx", "list"], { ledger: path });
    expect(unconnected.exitCode, unconnected.stderr).to.equal(0);
    expect(unconnected.stdout).to.contain("84532").and.not.contain("below the base fee");
  });

  it("are listed beside a damaged one, which is named and never sent", async () => {
    const { id, attempts, chain, nonce } = await getStuck();
    const call = addComposeHashCall({ appId, composeHash: parseComposeHash("a2".repeat(32)) });
    const calls = [call];
    const signed = await signRecord({ calls, to: call.to, data: call.data, nonce: nonce + 1 });
    const unsigned = { ...signed, from: world.owner.address, rawTransaction: undefined, transactionHash: undefined };
    const { id: damagedId } = putRecord(ledger, unsigned, { calls, chain });
    const database = new DatabaseSync(path);
    database.prepare("UPDATE attempts SET max_fee = '1' WHERE sent_in = ?").run(damagedId);
    database.close();

    const listed = await runTask(hre, ["tx", "list"], { ledger: path });
    expect(listed.exitCode).to.equal(3);
    expect(listed.stdout)
      .to.contain(attempts[0]?.transactionHash)
      .and.match(new RegExp(`CAUTION: The ledger .* is not valid: of record ${damagedId}, `));
    const json = (await run(["tx", "list"])).json<{
      transactions: readonly Shown[];
      damaged: readonly { id: number }[];
    }>();
    expect(json.transactions.map((one) => one.id)).to.deep.equal([id]);
    expect(json.damaged.map((one) => one.id)).to.deep.equal([damagedId]);
    expect((await run(["tx", "show"], { transaction: attempts[0]?.transactionHash })).exitCode).to.equal(0);
    for (const [task, args] of [
      [["tx", "show"], { transaction: `${damagedId}` }],
      [["tx", "replace"], { transaction: `${damagedId}`, yes: true }],
      [["hash", "add"], { hashes: [`0x${"a3".repeat(32)}`], app: appId, yes: true }],
    ] as const) {
      const refused = await run(task, args);
      expect(refused.exitCode).to.equal(3);
      expect(refused.json<Failed>().error).to.include({ name: "LedgerError" });
    }
    // The other one can be replaced, and the wait for it sends nothing of the damaged one.
    const replaced = await runAndMine(["tx", "replace"], { transaction: `${id}`, yes: true });
    expect(replaced.exitCode, replaced.stderr).to.equal(0);
    expect(ledger.transaction(id).state).to.equal("mined");
    const count = await getTransactionCount(world.ownerClient, { address: world.owner.address, blockTag: "pending" });
    expect(count).to.equal(nonce + 1);
  });

  it("that the ledger does not hold are named, and no file is created for them", async () => {
    const { error } = (await run(["tx", "show"], { transaction: "12" })).json<Failed>();
    expect(error.message).to.contain("holds no transaction 12");
    expect((await run(["tx", "show"], { transaction: "12th" })).json<Failed>().error.name).to.equal("InvalidHexError");
  });

  describe("whose nonce another transaction used, on a node without the states that show which one", () => {
    let pruned: TestServer;
    let project: HardhatRuntimeEnvironment;
    before(async () => {
      const request = (call: RpcRequest) => world.ownerClient.request(call as never); // any method of the client's
      // Nodes keep 128 states, which are 26 s of Base. This one keeps the newest.
      pruned = await startRpcServer({ request }, async ({ method, params }, forward) => {
        const isOld =
          method === "eth_getTransactionCount" &&
          isHex(params?.[1]) &&
          Number(params[1]) < Number(await request({ method: "eth_blockNumber" }));
        if (isOld) throw rpcError(-32000, "missing trie node 5f0c (path ) state 0x5f0c is not available");
        return forward();
      });
      project = await projectOf({ ...world, chain: { id: world.chain.id, rpcUrl: pruned.url } });
    });
    after(() => pruned.close());

    it("are settled by a task with --transaction-hash, which then makes the call with the next nonce", async () => {
      const calls = [addComposeHashCall({ appId, composeHash })];
      await rejection(sendBatch(world.ownerClient, { calls, ledger: crashingOnceRecorded(ledger) }));
      const [{ nonce } = { nonce: -1 }] = ledger.transactions();
      const to = world.owner.address;
      const other = await sendTransaction(world.ownerClient, { to, value: 1n });
      const add = (args: Record<string, unknown> = {}) =>
        runTask(project, ["hash", "add"], {
          ...{ hashes: [composeHash], app: appId, yes: true, json: true, ledger: path },
          ...args,
        });
      const stopped = await add();
      expect(stopped.exitCode).to.equal(3);
      const { error } = stopped.json<Failed>();
      expect(error.name).to.equal("NonceTakenError");
      expect(error.message).to.contain(`used nonce ${nonce} of`).and.contain("does not show which one");
      expect(error.nextStep).to.contain("--transaction-hash");
      const wrong = (await add({ transactionHash: `0x${"7a".repeat(32)}` })).json<Failed>();
      expect(wrong.error.message).to.contain(`is not the one that used nonce ${nonce}`);
      expect(ledger.transactions().map(({ state }) => state)).to.deep.equal(["open"]);

      const done = await add({ transactionHash: other });
      expect(done.exitCode, done.stderr).to.equal(0);
      expect(
        ledger.transactions().map(({ state, nonce, proof }) => [state, nonce, proof?.transactionHash]),
      ).to.deep.equal([
        ["taken", nonce, other],
        ["mined", nonce + 1, ledger.transactions()[1]?.attempts[0]?.transactionHash],
      ]);
      expect((await readAllowed()).composeHashAllowed).to.equal(true);
    });

    it("are settled by dstack tx show with --transaction-hash, which accepts the recorded call itself", async () => {
      const calls = [addComposeHashCall({ appId, composeHash })];
      const account = devAccount(0).address; // the node holds the key, and its answer with the hash was lost
      const losing = hookedLedger(ledger, {
        before: (method) => {
          if (method === "markSent") throw new Crash();
        },
      });
      await rejection(sendBatch(world.ownerClient, { calls, account, ledger: losing }));
      const [{ id } = { id: 0 }] = ledger.transactions();
      const { transactions } = await getBlock(world.ownerClient);
      const show = (args: Record<string, unknown> = {}) =>
        runTask(project, ["tx", "show"], { transaction: `${id}`, ledger: path, json: true, ...args });
      expect((await show()).json()).to.include({ state: "open", isNonceUsed: true });
      expect((await show({ transactionHash: transactions[0] })).json()).to.include({
        state: "mined",
        isNonceUsed: false,
      });
    });
  });

  describe("during the wait of a task", () => {
    /** Runs a task, and raises the base fee when it has sent its transaction. */
    async function addWhileBaseFeeRises(args: Record<string, unknown>, baseFee: bigint) {
      await node.setAutomine(false);
      const running = run(["hash", "add"], { hashes: [composeHash], app: appId, yes: true, ...args });
      await until(() => ledger.transactions({ states: ["open"] }).some(({ attempts }) => attempts[0]?.isSent));
      await raiseBaseFee(baseFee);
      return running;
    }

    it("are replaced without a question up to the named price", async () => {
      const running = addWhileBaseFeeRises({ replace: "100" }, parseGwei("20"));
      await until(() => ledger.transactions().some(({ attempts }) => attempts.length === 2));
      await node.mine({ blocks: 1 });
      const done = await running;
      expect(done.exitCode, done.stderr).to.equal(0);
      expect(done.stderr).to.match(/pays at most [\d.]+ gwei per gas, and the base fee is 20 gwei: it waits/);
      expect(done.stderr).to.match(/replaced .* now pays at most [\d.]+ gwei per gas/);
    });

    it("are not replaced above it: the task says what a replacement needs, and waits", async () => {
      const running = addWhileBaseFeeRises({ replace: "30" }, parseGwei("40"));
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      expect(ledger.transactions()[0]?.attempts).to.have.length(1);
      await raiseBaseFee(1n);
      await node.mine({ blocks: 1 });
      const done = await running;
      expect(done.exitCode, done.stderr).to.equal(0);
      expect(done.stderr).to.match(/a replacement needs at least 4\d\.?\d* gwei per gas, and --replace allows 30 gwei/);
      expect(ledger.transactions()[0]).to.deep.include({ state: "mined" });
      expect(ledger.transactions()[0]?.attempts).to.have.length(1);
    });
  });

  it("have the fees that a task was given, also a tip above the endpoint's limit", async () => {
    const args = { hashes: [composeHash], app: appId, yes: true, maxFee: "40", priorityFee: "5.5" };
    const done = await run(["hash", "add"], args);
    expect(done.exitCode, done.stderr).to.equal(0);
    expect(done.stderr).to.contain("priority fee at most 5.5 gwei").and.contain("40 gwei");
    expect(ledger.transactions()[0]?.attempts[0]).to.include({
      maxFeePerGas: parseGwei("40"),
      maxPriorityFeePerGas: parseGwei("5.5"),
    });
  });

  it("wait for the stage that the task or the configuration names", async () => {
    for (const [config, args] of [
      [{}, { until: "finalized" }],
      [{ finality: "finalized" }, {}],
    ] as const) {
      await world.restore(untouched);
      const project = await projectOf(world, config);
      const fresh = join(directory, `${++files}.sqlite`);
      const hashes = [composeHash];
      const running = runTask(project, ["hash", "add"], { hashes, app: appId, yes: true, ledger: fresh, ...args });
      using own = openLedger(fresh);
      await until(() => own.transactions().some(({ state }) => state === "mined"));
      await node.mine({ blocks: 200, interval: 1 });
      const done = await running;
      expect(done.exitCode, done.stderr).to.equal(0);
      expect(done.stdout)
        .to.match(/waiting until block \d+ is finalized, usually 20 min/)
        .and.match(/block \d+ is finalized/);
      expect(own.transactions()[0]?.finality).to.equal("finalized");
    }
  });
});
