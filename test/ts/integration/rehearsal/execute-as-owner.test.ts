import { expect } from "chai";
import { type Address, zeroAddress } from "viem";
import { sendBatch } from "../../../../src/batch/send-batch.ts";
import { deployApp } from "../../../../src/chain/deploy-app.ts";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import { readOwner } from "../../../../src/chain/read-owner.ts";
import { memoryLedger } from "../../../../src/chain/transactions/ledger.ts";
import { waitForReceipt } from "../../../../src/chain/transactions/receipt.ts";
import { batchExecutorAddress, deterministicDeployer } from "../../../../src/core/batch-executor.ts";
import { deployedApp } from "../../../../src/core/events.ts";
import { type AppId, type ComposeHash, parseComposeHash, parseDeviceId } from "../../../../src/core/ids.ts";
import { addComposeHashCall, type OwnerCall, removeComposeHashCall } from "../../../../src/core/owner-calls.ts";
import { buildSafeTx, hashSafeTx } from "../../../../src/core/safe.ts";
import { encodeExecTransaction } from "../../../../src/core/safe-calldata.ts";
import { encodeSafeSignatures } from "../../../../src/core/safe-signing.ts";
import { InvalidArgumentError } from "../../../../src/errors/index.ts";
import { type ChangePlan, ownerKindOf } from "../../../../src/plans/change-plan.ts";
import { createChangePlan } from "../../../../src/plans/create-change-plan.ts";
import {
  type ExecuteAsOwnerParameters,
  executeAsOwner,
  type RehearsedExecution,
} from "../../../../src/rehearsal/execute-as-owner.ts";
import { devAccount } from "../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { deployTimelock } from "../../../support/chain/deploy-owner-contracts.ts";
import { rejection } from "../../../support/rejection.ts";

const hash = (byte: string) => parseComposeHash(byte.repeat(32));
const [oldHash, firstHash, secondHash] = ["01", "0a", "0b"].map(hash) as [ComposeHash, ComposeHash, ComposeHash];
const twoDays = 172_800n;

describe("a plan that is executed as its real owner, without a key", () => {
  let world: World;
  let safe: Address;

  before(async () => {
    world = await startWorld({ safe: { threshold: 2, owners: 3 }, cvms: false });
    safe = world.safe?.address ?? zeroAddress;
  });
  after(() => world.close());

  async function deployFor(owner: Address): Promise<AppId> {
    const { ownerClient: client, contracts } = world;
    const { kms } = contracts;
    const deviceId = parseDeviceId("de".repeat(32));
    const transactionHash = await deployApp(client, { kms, owner, composeHash: oldHash, deviceId });
    return deployedApp(await waitForReceipt(client, { transactionHash, functionName: "deployAndRegisterApp" }), {
      kms,
    });
  }

  const callsFor = (appId: AppId): readonly OwnerCall[] => [
    addComposeHashCall({ appId, composeHash: firstHash }),
    addComposeHashCall({ appId, composeHash: secondHash }),
    removeComposeHashCall({ appId, composeHash: oldHash }),
  ];

  async function planOf(appId: AppId, owner: Address, calls = callsFor(appId)): Promise<ChangePlan> {
    const { client } = world.chain;
    const { number, hash, timestamp } = await client.getBlock();
    const kind = ownerKindOf((await readOwner(client, { address: owner })).kind);
    if (kind === undefined) throw new Error("The app has an owner.");
    return createChangePlan({
      ...{ task: "hash add", createdBy: "test", createdAt: "2026-12-01T00:00:00.000Z", chainId: 8453, appId },
      ...{ kms: undefined, owner: { address: owner, kind }, pinned: { number, hash, timestamp } },
      contracts: [{ contract: "app", address: appId, generation: "first" }],
      changes: calls.map((call) => ({ call, reason: { rule: "requested" } })),
      ...{ accepted: [], price: null },
    });
  }

  const rehearse = (plan: ChangePlan, changes: Partial<ExecuteAsOwnerParameters> = {}) =>
    executeAsOwner(world.chain.client, {
      plan,
      fees: { baseFeePerGas: 5_000_000n, priorityFeePerGas: 1_000_000n },
      advance: (seconds) => world.advance(seconds),
      ...changes,
    });

  function transactionsOf({ steps }: RehearsedExecution) {
    return steps.flatMap((step) => (step.kind === "transaction" ? step : []));
  }

  async function expectExecuted(appId: AppId, { failure, proofs }: RehearsedExecution): Promise<void> {
    expect(failure).to.equal(undefined);
    expect(proofs).to.not.deep.equal([]);
    for (const proof of proofs) expect(proof).to.have.property("kind", "applied");
    const allowed = await Promise.all(
      [oldHash, firstHash, secondHash].map((composeHash) => readAllowlist(world.ownerClient, { appId, composeHash })),
    );
    expect(allowed.map(({ composeHashAllowed }) => composeHashAllowed)).to.deep.equal([false, true, true]);
  }

  /** A new account without a balance, and without a key in this process. */
  const stranger: Address = "0x00000000000000000000000000000000000a11ce";

  it("is sent as a key by one transaction for each call, with its gas, its price and its event", async () => {
    const appId = await deployFor(stranger);
    const execution = await rehearse(await planOf(appId, stranger));
    await expectExecuted(appId, execution);
    const steps = transactionsOf(execution);
    expect(steps.map(({ from, calls }) => [from, calls.length])).to.deep.equal(Array(3).fill([stranger, 1]));
    expect(steps.map(({ events }) => events.map(({ eventName }) => eventName))).to.deep.equal([
      ["ComposeHashAdded"],
      ["ComposeHashAdded"],
      ["ComposeHashRemoved"],
    ]);
    for (const { gasUsed, price } of steps) {
      expect(price).to.include({ gas: gasUsed, feePerGas: 6_000_000n, executionFee: gasUsed * 6_000_000n });
      expect(price.l1Fee > 0n && price.total === price.executionFee + price.l1Fee + price.operatorFee).to.equal(true);
    }
    expect(execution.funded).to.deep.equal([{ address: stranger, balance: 0n }]);
  });

  it("costs as much gas as the same transactions of the key itself", async () => {
    const { ownerClient, owner } = world;
    const [rehearsed, live] = [await deployFor(owner.address), await deployFor(owner.address)];
    const execution = await rehearse(await planOf(rehearsed, owner.address));
    const { transactions } = await sendBatch(ownerClient, { calls: callsFor(live), mode: "none" });
    const gas = transactionsOf(execution).map(({ gasUsed }) => Number(gasUsed));
    // Two apps' addresses differ in their zero bytes.
    for (const [index, { gasUsed }] of transactions.entries())
      expect(gas[index]).to.be.closeTo(Number(gasUsed), 0.002 * Number(gasUsed));
  });

  it("is sent as a key in one transaction where the live task would, and says how the delegation came about", async () => {
    const account = devAccount(9);
    const [rehearsed, live] = [await deployFor(account.address), await deployFor(account.address)];
    const before = await world.snapshot();
    const execution = await rehearse(await planOf(rehearsed, account.address), {
      batch: { mode: "auto", allowDelegation: true },
    });
    await expectExecuted(rehearsed, execution);
    const [step, ...more] = transactionsOf(execution);
    expect(more).to.deep.equal([]);
    expect(step?.calls).to.have.length(3);
    expect(execution.deviations.join(" ")).to.include("put in place on the fork");
    await world.restore(before);
    const { gasUsed, mode } = await sendBatch(world.ownerClient, {
      ...{ calls: callsFor(live), account, mode: "7702", ledger: memoryLedger() },
    });
    expect(mode).to.equal("7702");
    expect(Number(step?.liveGas)).to.be.closeTo(Number(gasUsed), 0.02 * Number(gasUsed));
    await world.restore(before);
  });

  it("offers one transaction where the live task may only ask for it", async () => {
    const appId = await deployFor(stranger);
    const execution = await rehearse(await planOf(appId, stranger), { batch: { mode: "auto" } });
    await expectExecuted(appId, execution);
    expect(transactionsOf(execution)).to.have.length(3);
    expect(execution.deviations.join(" ")).to.include("`allowDelegation`");
  });

  it("is executed by a Safe whose owners approve on the chain, at the gas of their signatures", async () => {
    const [rehearsed, live] = [await deployFor(safe), await deployFor(safe)];
    const before = await world.snapshot();
    const execution = await rehearse(await planOf(rehearsed, safe));
    await expectExecuted(rehearsed, execution);
    expect(execution.proofs[0]).to.include({ by: "safe" });
    expect(transactionsOf(execution).map(({ isLive, what }) => [isLive, what])).to.deep.equal([
      [false, "approve the Safe transaction"],
      [false, "approve the Safe transaction"],
      [true, "execute the Safe's transaction 0"],
    ]);
    await world.restore(before);
    const gasUsed = await executeWithSignatures(callsFor(live));
    const step = transactionsOf(execution).at(-1);
    expect(Number(step?.liveGas)).to.be.closeTo(gasUsed, 0.02 * gasUsed);
    await world.restore(before);
  });

  async function executeWithSignatures(calls: readonly OwnerCall[]): Promise<number> {
    const { chain, ownerClient } = world;
    const safeTx = buildSafeTx({ calls, multiSend: world.safe?.multiSend ?? zeroAddress, nonce: 0n });
    const safeTxHash = hashSafeTx(safeTx, { chainId: 8453, safe, version: "1.5.0" });
    const signers = [devAccount(0), devAccount(1)] as const;
    const signatures = await Promise.all(
      signers.map(async (signer) => {
        const signature = await signer.sign({ hash: safeTxHash });
        return { kind: "ecdsa", signer: signer.address, signature } as const;
      }),
    );
    const data = encodeExecTransaction(safeTx, encodeSafeSignatures(signatures));
    const transactionHash = await ownerClient.request({
      method: "eth_sendTransaction",
      params: [{ from: world.owner.address, to: safe, data }],
    });
    const { gasUsed, status } = await chain.client.waitForTransactionReceipt({ hash: transactionHash });
    expect(status).to.equal("success");
    return Number(gasUsed);
  }

  it("goes through a timelock: a proposer schedules, the delay passes, an executor executes", async () => {
    const timelock = await deployTimelock(world.ownerClient, world.owner, twoDays, {
      ...{ proposers: [stranger], executors: [zeroAddress] },
    });
    const appId = await deployFor(timelock);
    const before = await world.chain.client.getBlock();
    const execution = await rehearse(await planOf(appId, timelock));
    await expectExecuted(appId, execution);
    expect(execution.proofs).to.have.length(1);
    expect(execution.proofs[0]).to.include({ by: "timelock" });
    const [schedule, wait, execute] = execution.steps;
    expect(schedule).to.include({ kind: "transaction", from: stranger, isLive: true });
    expect(wait).to.include({ kind: "wait" });
    expect(wait?.kind === "wait" && wait.seconds > 0n && wait.seconds <= twoDays).to.equal(true);
    expect(execute).to.include({ kind: "transaction", from: stranger });
    const after = await world.chain.client.getBlock();
    expect(after.timestamp - before.timestamp >= twoDays).to.equal(true);
  });

  it("goes through a Safe that proposes in a timelock", async () => {
    const timelock = await deployTimelock(world.ownerClient, world.owner, 60n, {
      ...{ proposers: [stranger, safe], executors: [safe] },
    });
    const appId = await deployFor(timelock);
    const execution = await rehearse(await planOf(appId, timelock));
    await expectExecuted(appId, execution);
    expect(execution.steps.map((step) => (step.kind === "wait" ? "wait" : step.isLive))).to.deep.equal([
      ...[false, false, true],
      "wait",
      ...[false, false, true],
    ]);
    expect(execution.proofs[0]).to.have.property("safeTxHash").that.is.a("string");
  });

  it("tells that no account may execute in the timelock, before anything waits", async () => {
    const timelock = await deployTimelock(world.ownerClient, world.owner, 60n, {
      ...{ proposers: [stranger], executors: [] },
    });
    const appId = await deployFor(timelock);
    const { failure, steps } = await rehearse(await planOf(appId, timelock));
    expect(failure).to.deep.include({ code: "DSTK-2403" });
    expect(steps).to.deep.equal([]);
  });

  it("impersonates any other contract itself, and says that", async () => {
    const contract = batchExecutorAddress;
    const appId = await deployFor(contract);
    const execution = await rehearse(await planOf(appId, contract));
    await expectExecuted(appId, execution);
    expect(execution.deviations.join(" ")).to.include(`The owner ${contract} is a contract`);
  });

  it("tells that an owner can make no call, which an impersonated account could", async () => {
    for (const contract of [world.contracts.kms, deterministicDeployer]) {
      const appId = await deployFor(contract);
      const { failure, steps } = await rehearse(await planOf(appId, contract));
      expect(failure?.message).to.match(new RegExp(`^The owner ${contract} is a `, "i"));
      expect(failure?.nextStep).to.include("No account can make calls of");
      expect(steps).to.deep.equal([]);
    }
  });

  it("has a call that reverts as its result, with the calls that went before it", async () => {
    const appId = await deployFor(stranger);
    const plan = await planOf(appId, stranger);
    const [added] = plan.changes;
    if (added === undefined) throw new Error("The plan has changes.");
    const other = await deployFor(world.owner.address);
    const foreign = addComposeHashCall({ appId: other, composeHash: firstHash });
    const changes = [added, { call: foreign, reason: { rule: "requested" } as const }];
    const { failure, steps, proofs } = await rehearse({ ...plan, changes });
    expect(failure).to.deep.include({ code: "DSTK-2004" });
    expect([steps.length, proofs.length]).to.deep.equal([1, 1]);
  });

  it("refuses an endpoint that is no development chain, and gives no balance there", async () => {
    const { client } = world.chain;
    const far = { ...client, transport: { ...client.transport, url: "https://base.example" } };
    const plan = await planOf(await deployFor(stranger), stranger);
    const error = await rejection(executeAsOwner(far, { plan, fees: noFees, advance: async () => {} }));
    expect(error).to.be.instanceOf(InvalidArgumentError);
  });

  const noFees = { baseFeePerGas: 0n, priorityFeePerGas: 0n };
});
