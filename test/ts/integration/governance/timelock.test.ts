import { expect } from "chai";
import { network } from "hardhat";
import { type Address, encodeFunctionData, type Hex, zeroAddress, zeroHash } from "viem";
import { getTransactionCount, readContract, sendTransaction, waitForTransactionReceipt } from "viem/actions";
import { base } from "viem/chains";
import { sendBatch } from "../../../../src/batch/send-batch.ts";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import { readOwner } from "../../../../src/chain/read-owner.ts";
import { memoryLedger } from "../../../../src/chain/transactions/ledger.ts";
import { type AppId, parseComposeHash } from "../../../../src/core/ids.ts";
import { addComposeHashCall, type OwnerCall, removeComposeHashCall } from "../../../../src/core/owner-calls.ts";
import { operationOf, scheduleCall } from "../../../../src/core/timelock.ts";
import { hashOperation, hashOperationBatch } from "../../../../src/core/timelock-calls.ts";
import {
  ContractRevertedError,
  InvalidArgumentError,
  NoEffectError,
  OperationsAlikeError,
  TimelockDependentsError,
  TimelockNotReadyError,
  TimelockOperationError,
  TimelockRoleError,
} from "../../../../src/errors/index.ts";
import { prepareCancel, prepareExecute, prepareSchedule } from "../../../../src/governance/timelock-execute.ts";
import { findOperation, plannedOperation } from "../../../../src/governance/timelock-find.ts";
import { readTimelockHistory } from "../../../../src/governance/timelock-history.ts";
import { readTimelock } from "../../../../src/governance/timelock-operation.ts";
import { waitUntilReady } from "../../../../src/governance/timelock-wait.ts";
import { makesExactly, readUnderWay } from "../../../../src/governance/under-way.ts";
import type { ChangePlan } from "../../../../src/plans/change-plan.ts";
import { createChangePlan } from "../../../../src/plans/create-change-plan.ts";
import { type Dstack, deployAppOf, deployDstack, type OpConnection } from "../../../support/chain/deploy-dstack.ts";
import { deployTimelock, timelockArtifactAbi } from "../../../support/chain/deploy-owner-contracts.ts";
import { crashingLedger } from "../../../support/ledger/crashing-ledger.ts";
import { rejection } from "../../../support/rejection.ts";

const twoDays = 172_800n;
const newHash = parseComposeHash("0c".repeat(32));

describe("a plan of an app that a timelock owns", () => {
  let connection: OpConnection;
  let dstack: Dstack;
  let timelock: Address;
  let appId: AppId;
  let plan: ChangePlan;

  before(async () => {
    connection = await network.create("local");
  });
  after(() => connection.close());
  beforeEach(async () => {
    ({ dstack, timelock, appId, plan } = await connection.networkHelpers.loadFixture(deployed));
  });

  /** The owner proposes and cancels; anyone executes. */
  async function deployed(on: OpConnection) {
    const dstack = await deployDstack(on);
    const { client, owner } = dstack;
    const roles = { proposers: [owner.address], executors: [zeroAddress] };
    const timelock = await deployTimelock(client, owner, twoDays, roles);
    const appId = await deployAppOf(dstack, timelock);
    const { number, hash, timestamp } = await client
      .request({
        method: "eth_getBlockByNumber",
        params: ["latest", false],
      })
      .then((block) => ({ number: BigInt(block?.number ?? 0), hash: block?.hash ?? zeroHash, timestamp: 0n }));
    const planOf = (calls: readonly OwnerCall[]) =>
      createChangePlan({
        ...{ task: "hash add", createdBy: "test", createdAt: "2026-12-01T00:00:00.000Z", chainId: base.id, appId },
        ...{ kms: undefined, owner: { address: timelock, kind: "timelock" }, pinned: { number, hash, timestamp } },
        contracts: [{ contract: "app", address: appId, generation: "first" }],
        changes: calls.map((call) => ({ call, reason: { rule: "requested" } })),
        ...{ accepted: [], price: null },
      });
    const plan = planOf([
      addComposeHashCall({ appId, composeHash: newHash }),
      removeComposeHashCall({ appId, composeHash: dstack.composeHash }),
    ]);
    return { dstack, timelock, appId, plan };
  }

  const find = (choices: Partial<Parameters<typeof findOperation>[1]> = {}) =>
    findOperation(dstack.client, { plan, ...choices });
  const send = (call: OwnerCall, account = dstack.owner) =>
    sendBatch(dstack.client, { calls: [call], account, mode: "none", purpose: { kind: "timelock" }, until: "latest" });
  async function schedule(choices: Partial<Parameters<typeof findOperation>[1]> = {}) {
    const prepared = await prepareSchedule(dstack.client, await find(choices), { account: dstack.owner.address });
    if (prepared === undefined) throw new Error("It is scheduled already.");
    await send(prepared.call);
  }
  /** A transaction to the timelock that this package does not send. */
  async function sendOther(functionName: string, args: readonly unknown[], to = timelock): Promise<void> {
    const data = encodeFunctionData({ abi: timelockArtifactAbi, functionName, args });
    const hash = await sendTransaction(dstack.client, { account: dstack.owner, chain: base, to, data });
    await waitForTransactionReceipt(dstack.client, { hash });
  }
  const read = <Result>(functionName: string, args: readonly unknown[]) =>
    readContract(dstack.client, {
      abi: timelockArtifactAbi,
      address: timelock,
      functionName,
      args,
    }) as Promise<Result>;

  it("has the id that the contract computes, for a batch and for a single call", async () => {
    const { operation, id } = plannedOperation(plan);
    const { calls, predecessor, salt } = operation;
    expect(salt).to.equal(plan.digest);
    const lists = [calls.map(({ to }) => to), calls.map(({ value }) => value), calls.map(({ data }) => data)];
    expect(await read<Hex>("hashOperationBatch", [...lists, predecessor, salt])).to.equal(id);
    const single = { ...operation, calls: calls.slice(0, 1) };
    const { to, value, data } = calls[0] ?? { to: zeroAddress, value: 0n, data: "0x" };
    expect(await read<Hex>("hashOperation", [to, value, data, predecessor, salt])).to.equal(hashOperation(single));
    expect(hashOperationBatch(single)).to.not.equal(hashOperation(single));
  });

  it("is scheduled, waits, and is executed by anyone, and each state is told", async () => {
    const { client, stranger, owner } = dstack;
    expect(await find()).to.include({ state: "unset", logged: undefined });
    await schedule();
    const waiting = await find();
    expect(waiting).to.include({ state: "waiting" });
    expect(await prepareSchedule(client, waiting)).to.equal(undefined);
    const early = await rejection(prepareExecute(client, waiting));
    expect(early).to.be.instanceOf(TimelockNotReadyError);
    const readyAt = new Date(Number(await read<bigint>("getTimestamp", [waiting.id])) * 1000).toISOString();
    expect(early).to.have.property("message").that.includes(readyAt.replace(".000Z", "Z"));

    await connection.networkHelpers.time.increase(Number(twoDays));
    const ready = await find();
    expect(ready.state).to.equal("ready");
    await send(await prepareExecute(client, ready, { account: stranger.address }), stranger);
    expect(await readAllowlist(client, { appId, composeHash: newHash })).to.include({ composeHashAllowed: true });
    const done = await find();
    expect(done.state).to.equal("done");
    expect(done.logged?.ended?.kind).to.equal("executed");
    for (const prepare of [prepareExecute, prepareSchedule, prepareCancel]) {
      const error = await rejection(prepare(client, done, { account: owner.address }));
      expect(error).to.be.instanceOf(TimelockOperationError).and.include({ problem: "alreadyExecuted" });
    }
  });

  it("is not paid twice for: the ledger knows the call, and the contract its effect", async () => {
    const { client, owner: account } = dstack;
    const prepared = await prepareSchedule(client, await find());
    if (prepared === undefined) throw new Error("It is scheduled already.");
    using ledger = memoryLedger();
    const parameters = { calls: [prepared.call], account, ledger, mode: "none", until: "latest" } as const;
    const purpose = { kind: "timelock" } as const;
    await sendBatch(client, { ...parameters, purpose });
    expect(ledger.transactions({}).map((one) => [one.purpose.kind, one.functionName])).to.deep.equal([
      ["timelock", "scheduleBatch"],
    ]);
    expect(await rejection(sendBatch(client, { ...parameters, purpose }))).to.be.instanceOf(NoEffectError);
    expect(ledger.transactions({})).to.have.lengthOf(1);
  });

  it("is scheduled once, wherever a run dies", async () => {
    const { client, owner: account } = dstack;
    const prepared = await prepareSchedule(client, await find());
    if (prepared === undefined) throw new Error("It is scheduled already.");
    const snapshot = await connection.networkHelpers.takeSnapshot();
    const nonce = await getTransactionCount(client, { address: account.address });
    const parameters = { calls: [prepared.call], account, mode: "none", until: "latest" } as const;
    const purpose = { kind: "timelock" } as const;
    let write = 1;
    for (let isDone = false; !isDone; write += 1)
      for (const when of ["before", "after"] as const) {
        await snapshot.restore();
        using ledger = memoryLedger();
        const dying = crashingLedger(ledger, { write, when });
        const first = await sendBatch(client, { ...parameters, purpose, ledger: dying }).catch(
          (error: unknown) => error,
        );
        isDone = !(first instanceof Error);
        if (isDone) continue;
        // A run begins by reading the operation, as the command does.
        if ((await find()).state === "unset") await sendBatch(client, { ...parameters, purpose, ledger });
        expect((await find()).state, `write ${write}, ${when}`).to.equal("waiting");
        const paid = (await getTransactionCount(client, { address: account.address })) - nonce;
        expect(paid, `write ${write}, ${when}`).to.equal(1);
      }
    expect(write).to.be.greaterThan(3);
  });

  it("is waited for by the time of the chain, and a cancellation ends the wait", async () => {
    const { client } = dstack;
    await schedule();
    const pauses: number[] = [];
    const clock = {
      sleep: async (milliseconds: number) => {
        pauses.push(milliseconds);
        await connection.networkHelpers.time.increase(Number(twoDays) / 4);
      },
    };
    expect(await waitUntilReady(client, await find(), { clock })).to.include({ state: "ready" });
    expect(pauses).to.deep.equal([60_000, 60_000, 60_000, 60_000]);
    const other = { salt: zeroHash };
    await schedule(other);
    const cancelling = { sleep: async () => void (await send(await prepareCancel(client, await find(other)))) };
    const ended = await waitUntilReady(client, await find(other), { clock: cancelling });
    expect(ended).to.include({ state: "unset", readyAt: undefined });
  });

  it("has the same id again only for the same plan", async () => {
    await schedule();
    await connection.networkHelpers.time.increase(Number(twoDays));
    await send(await prepareExecute(dstack.client, await find()));
    const other = createChangePlan({ ...plan, createdAt: "2026-12-09T00:00:00.000Z" });
    expect(plannedOperation(other).id).to.not.equal(plannedOperation(plan).id);
    expect(plannedOperation(createChangePlan(plan)).id).to.equal(plannedOperation(plan).id);
  });

  it("waits for its predecessor", async () => {
    const { client } = dstack;
    const first = { salt: `0x${"01".repeat(32)}` } as const;
    await schedule(first);
    const predecessor = (await find(first)).id;
    await schedule({ predecessor });
    await connection.networkHelpers.time.increase(Number(twoDays));
    const second = await find({ predecessor });
    const error = await rejection(prepareExecute(client, second));
    expect(error).to.be.instanceOf(TimelockNotReadyError);
    expect(error).to.have.property("message").that.includes(`${predecessor}, which can be executed now`);
    await send(await prepareExecute(client, await find(first)));
    expect(await prepareExecute(client, await find({ predecessor })).catch(String)).to.not.be.a("string");
  });

  it("tells a predecessor that waits from one that was cancelled and one that never was", async () => {
    const { client } = dstack;
    const first = { salt: `0x${"01".repeat(32)}` } as const;
    await schedule(first);
    const { id: predecessor } = await find(first);
    await schedule({ predecessor });
    const unknown = { predecessor: `0x${"77".repeat(32)}`, salt: `0x${"02".repeat(32)}` } as const;
    await schedule(unknown);
    const readyAt = (await find(first)).readyAt ?? 0n;
    await connection.networkHelpers.time.increase(Number(twoDays));
    await schedule({ salt: `0x${"03".repeat(32)}`, predecessor: `0x${"04".repeat(32)}` });
    expect((await find({ predecessor })).predecessor).to.include({ state: "ready", readyAt });
    await send(await prepareCancel(client, await find(first), { acceptDependents: true }));

    const orphan = await find({ predecessor });
    expect(orphan.predecessor).to.include({ state: "cancelled" });
    const never = await rejection(prepareExecute(client, orphan));
    expect(never)
      .to.be.instanceOf(TimelockNotReadyError)
      .and.include({ predecessorState: "cancelled", retryable: false });
    expect(never).to.have.property("message").that.includes(`${orphan.predecessor.cancelledBy}`);
    expect(never).to.have.property("nextStep").that.includes("anew, without this predecessor");
    expect((await find(unknown)).predecessor).to.deep.include({ state: "unknown" });
    const strange = await rejection(prepareExecute(client, await find(unknown)));
    expect(strange)
      .to.be.instanceOf(TimelockNotReadyError)
      .and.include({ predecessorState: "unknown", retryable: true });
    expect(strange).to.have.property("nextStep").that.does.not.include("Execute the predecessor");
  });

  it("is one of several with the same calls: the caller must choose", async () => {
    const { client } = dstack;
    const salt = `0x${"5a".repeat(32)}` as const;
    await schedule();
    await schedule({ salt });
    const error = await rejection(find());
    if (!(error instanceof OperationsAlikeError)) throw error;
    const [own, other] = error.operations;
    expect(own).to.include({ operationId: plannedOperation(plan).id, salt: plan.digest, predecessor: null });
    expect(other).to.include({ operationId: plannedOperation(plan, { salt }).id, salt, state: "waiting" });
    expect(other?.readyAt).to.match(/^\d{4}-\d\d-\d\dT/);
    const { id } = await find({ salt });
    expect(id).to.equal(other?.operationId);
    expect((await find({ id })).operation.salt).to.equal(salt);
    expect((await find({ salt })).alike.map((one) => one.id)).to.deep.equal([own?.operationId]);
    expect(await rejection(find({ id: `0x${"99".repeat(32)}` }))).to.be.instanceOf(InvalidArgumentError);

    // The same salt may have several predecessors.
    await schedule({ salt, predecessor: plannedOperation(plan).id });
    expect(await rejection(find({ salt }))).to.be.instanceOf(OperationsAlikeError);
    expect((await find({ salt, predecessor: zeroHash })).id).to.equal(id);

    await connection.networkHelpers.time.increase(Number(twoDays));
    await send(await prepareExecute(client, await find({ id })));
    expect(await find({ id })).to.include({ state: "done" });
    expect(await find({ salt, predecessor: plannedOperation(plan).id })).to.include({ state: "ready" });
  });

  it("is not cancelled unnoticed if another pending operation waits for it", async () => {
    const { client } = dstack;
    await schedule();
    const { id } = await find();
    const next = { salt: `0x${"06".repeat(32)}`, predecessor: id } as const;
    await schedule(next);
    const first = await find({ id });
    expect(first.dependents?.map((one) => one.id)).to.deep.equal([(await find(next)).id]);
    const error = await rejection(prepareCancel(client, first));
    expect(error).to.be.instanceOf(TimelockDependentsError);
    expect(error)
      .to.have.property("message")
      .that.includes((await find(next)).id);
    await send(await prepareCancel(client, await find(next)));
    await send(await prepareCancel(client, await find({ id })));
  });

  it("is found without being told its salt and predecessor", async () => {
    const salt: Hex = `0x${"5a".repeat(32)}`;
    await schedule({ salt });
    const found = await find();
    expect(found).to.include({ state: "waiting" });
    expect(found.operation.salt).to.equal(salt);
    expect(found.id).to.not.equal(plannedOperation(plan).id);
  });

  it("is refused a delay below the minimum, also if that was raised meanwhile", async () => {
    const { client, owner } = dstack;
    const found = await find();
    const short = await rejection(prepareSchedule(client, found, { delaySeconds: 3_600n }));
    expect(short).to.be.instanceOf(InvalidArgumentError);
    expect(short).to.have.property("message").that.includes("1 hour").and.includes("2 days");
    const prepared = await prepareSchedule(client, found, { account: owner.address });
    await connection.networkHelpers.impersonateAccount(timelock);
    await connection.networkHelpers.setBalance(timelock, 10n ** 18n);
    const data = encodeFunctionData({ abi: timelockArtifactAbi, functionName: "updateDelay", args: [twoDays * 2n] });
    await sendTransaction(client, { account: timelock, chain: base, to: timelock, data });
    const error = await rejection(send(prepared?.call ?? expect.fail("nothing to schedule")));
    expect(error).to.be.instanceOf(ContractRevertedError);
    expect(error).to.have.property("message").that.includes("TimelockInsufficientDelay");
    expect((await find()).state).to.equal("unset");
  });

  it("is refused to accounts without the role, and those with it are named", async () => {
    const { client, owner, stranger } = dstack;
    const closed = await deployTimelock(client, owner, twoDays);
    const ownersOnly = { ...plan, owner: { address: closed, kind: "timelock" } as const };
    const found = await find({ plan: ownersOnly });
    for (const attempt of [
      prepareSchedule(client, await find(), { account: stranger.address }),
      prepareSchedule(client, found, { account: stranger.address }),
    ]) {
      const error = await rejection(attempt);
      expect(error).to.be.instanceOf(TimelockRoleError);
      expect(error).to.have.property("nextStep").that.includes(owner.address);
    }
    await schedule();
    const cancel = await rejection(prepareCancel(client, await find(), { account: stranger.address }));
    expect(cancel).to.be.instanceOf(TimelockRoleError);
    const { roles, isExecutorOpen } = await readTimelock(client, {
      timelock: closed,
      accounts: [owner.address, stranger.address],
    });
    expect(isExecutorOpen).to.equal(false);
    expect(roles.map(({ canPropose, canExecute, canCancel }) => [canPropose, canExecute, canCancel])).to.deep.equal([
      [true, true, true],
      [false, false, false],
    ]);
  });

  it("is cancelled, and then neither executed nor scheduled again by itself", async () => {
    const { client, owner } = dstack;
    await schedule();
    await send(await prepareCancel(client, await find(), { account: owner.address }));
    const found = await find();
    expect(found.state).to.equal("unset");
    for (const prepare of [prepareExecute, prepareSchedule, prepareCancel]) {
      const error = await rejection(prepare(client, found, {}));
      expect(error).to.be.instanceOf(TimelockOperationError).and.include({ problem: "cancelled" });
    }
  });

  it("names the call that would revert, and executes nothing", async () => {
    const { client } = dstack;
    await schedule();
    await connection.networkHelpers.time.increase(Number(twoDays));
    // The app gets another owner, so the timelock may not change it any more.
    await connection.networkHelpers.impersonateAccount(timelock);
    await connection.networkHelpers.setBalance(timelock, 10n ** 18n);
    const renounce = encodeFunctionData({
      abi: [{ type: "function", name: "renounceOwnership", inputs: [], outputs: [], stateMutability: "nonpayable" }],
    });
    await sendTransaction(client, { account: timelock, chain: base, to: appId, data: renounce });
    const error = await rejection(prepareExecute(client, await find()));
    expect(error).to.have.property("code", "DSTK-2004");
    expect((await find()).state).to.equal("ready");
  });

  it("shows among the operations under way, also one of other calls, and one that was scheduled again", async () => {
    const { client } = dstack;
    await schedule();
    const owner = await readOwner(client, { address: timelock });
    const single = { to: timelock, value: 0n, data: "0x12345678" } as const;
    await sendOther("schedule", [single.to, single.value, single.data, zeroHash, zeroHash, twoDays]);
    const { operations, problems } = await readUnderWay(client, { appId, owner });
    expect(problems).to.deep.equal([]);
    expect(operations).to.have.lengthOf(2);
    const [own, other] = operations;
    expect(own).to.deep.include({ kind: "timelock", state: "waiting", isProven: true, unknownCalls: 0 });
    expect(own?.calls).to.deep.equal(plan.changes.map(({ call }) => call));
    expect(
      own &&
        makesExactly(
          own,
          plan.changes.map(({ call }) => call),
        ),
    ).to.equal(true);
    expect(other).to.deep.include({ unknownCalls: 1, isProven: true, calls: [] });

    const { id } = await find();
    await sendOther("cancel", [id]);
    expect((await readUnderWay(client, { appId, owner })).operations).to.have.lengthOf(1);
    await send(scheduleCall({ timelock, operation: operationOf(await plannedWithCalls()), delaySeconds: twoDays }));
    const again = await readTimelockHistory(client, { timelock });
    expect(again.operations.at(-1)).to.deep.include({ id, ended: undefined });
    expect(again.operations.at(-1)?.calls).to.have.lengthOf(2);
    expect((await readUnderWay(client, { appId, owner })).operations).to.have.lengthOf(2);
  });

  async function plannedWithCalls() {
    const { operation, calls } = plannedOperation(plan);
    return { ...operation, calls };
  }

  it("belongs to a timelock: for any other owner there is no operation", () => {
    const ofKey = { ...plan, owner: { address: timelock, kind: "key" } as const };
    expect(() => plannedOperation(ofKey)).to.throw(InvalidArgumentError);
  });

  it("asks a contract that is no timelock nothing else", async () => {
    const error = await rejection(readTimelock(dstack.client, { timelock: appId }));
    expect(error).to.be.instanceOf(InvalidArgumentError);
  });
});
