import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import {
  type Address,
  concat,
  encodeAbiParameters,
  type Hex,
  type LocalAccount,
  toEventSelector,
  zeroAddress,
} from "viem";
import { getBlock, sendTransaction, waitForTransactionReceipt } from "viem/actions";
import { sendBatch } from "../../../../src/batch/send-batch.ts";
import { readOwner } from "../../../../src/chain/read-owner.ts";
import { sendOwnerCall } from "../../../../src/chain/transactions/send-call.ts";
import { type AppId, parseComposeHash, parseDeviceId, parseTransactionHash } from "../../../../src/core/ids.ts";
import { addOsImageHashCall, removeOsImageHashCall } from "../../../../src/core/kms-owner-calls.ts";
import {
  acceptOwnershipCall,
  addComposeHashCall,
  addDeviceCall,
  type OwnerCall,
  removeComposeHashCall,
  setAllowAnyDeviceCall,
  transferOwnershipCall,
} from "../../../../src/core/owner-calls.ts";
import { buildSafeTx, hashSafeTx, type SafeTx } from "../../../../src/core/safe.ts";
import { encodeExecTransaction } from "../../../../src/core/safe-calldata.ts";
import { safeDeployments } from "../../../../src/core/safe-deployments.ts";
import { encodeSafeSignatures, type SafeSignature } from "../../../../src/core/safe-signing.ts";
import { executeCall, operationOf, scheduleCall } from "../../../../src/core/timelock.ts";
import { hashOperationBatch, noPredecessor } from "../../../../src/core/timelock-calls.ts";
import { ExecutionNotProvenError, WrongChainError } from "../../../../src/errors/index.ts";
import { findProvenExecution } from "../../../../src/governance/find-execution.ts";
import {
  type ExecutablePlan,
  type ProveExecutionParameters,
  proveExecution,
  requireExecution,
} from "../../../../src/governance/prove-execution.ts";
import type { ChangePlan, OwnerKind } from "../../../../src/plans/change-plan.ts";
import { type Dstack, deployAppOf, deployDstack, fundedAccount } from "../../../support/chain/deploy-dstack.ts";
import { deploySafe, deployTimelock } from "../../../support/chain/deploy-owner-contracts.ts";
import { installDeterministicDeployer } from "../../../support/chain/deterministic-deployer.ts";
import { installMultiSend } from "../../../support/chain/safe.ts";
import { rejection } from "../../../support/rejection.ts";

const hashes = ["0a", "0b", "0c"].map((byte) => parseComposeHash(byte.repeat(32)));
const [first = hash("0a"), second = hash("0b")] = hashes;
const device = parseDeviceId("0d".repeat(32));
const multiSend = safeDeployments["1.5.0"].multiSendCallOnly;
const releases = ["1.4.1", "1.5.0"] as const;

function hash(byte: string) {
  return parseComposeHash(byte.repeat(32));
}

interface Owned extends Dstack {
  readonly signers: readonly [LocalAccount, LocalAccount];
  readonly safes: Readonly<Record<(typeof releases)[number], { readonly address: Address; readonly app: AppId }>>;
  /** Of the Safe 1.5.0 too. */
  readonly secondApp: AppId;
  readonly timelock: Address;
  readonly timelockApp: AppId;
}

async function deployOwned(connection: NetworkConnection): Promise<Owned> {
  await installDeterministicDeployer(connection);
  const dstack = await deployDstack(connection);
  await installMultiSend(connection);
  const { client, stranger: payer } = dstack;
  const signers = [await fundedAccount(connection), await fundedAccount(connection)] as const;
  const owners = signers.map(({ address }) => address);
  const deploy = async (version: (typeof releases)[number]) => {
    const address = await deploySafe(client, { payer, owners, threshold: 2, version });
    return { address, app: await deployAppOf(dstack, address) };
  };
  const safes = { "1.4.1": await deploy("1.4.1"), "1.5.0": await deploy("1.5.0") };
  const secondApp = await deployAppOf(dstack, safes["1.5.0"].address);
  const roles = { proposers: [payer.address, safes["1.5.0"].address], executors: [zeroAddress] } as const;
  const timelock = await deployTimelock(client, payer, 0n, roles);
  return { ...dstack, signers, safes, secondApp, timelock, timelockApp: await deployAppOf(dstack, timelock) };
}

describe("the proof that a transaction executed a plan", () => {
  let connection: NetworkConnection;
  let world: Owned;

  before(async () => {
    // The simulated OP stack chain cannot read transactions of type 4; this one has Base's id and reads them.
    connection = await network.create({
      network: "default",
      override: { chainId: 8453, throwOnTransactionFailures: false },
    });
  });
  beforeEach(async () => {
    world = await connection.networkHelpers.loadFixture(deployOwned);
  });

  /** What the proof reads of a plan, pinned to the newest block. */
  async function planOf(
    kind: OwnerKind,
    address: Address,
    calls: readonly OwnerCall[],
  ): Promise<ExecutablePlan & Pick<ChangePlan, "pinned">> {
    const { number, hash, timestamp } = await getBlock(world.client);
    return {
      chainId: 8453,
      contracts: [...new Set(calls.map(({ to }) => to))].map((to) => ({
        contract: calls.find((call) => call.to === to)?.contract ?? "app",
        address: to,
        generation: "test",
      })),
      owner: { kind, address },
      changes: calls.map((call) => ({ call, reason: { rule: "requested" } })),
      pinned: { number, hash, timestamp },
    };
  }

  async function send(account: LocalAccount, to: Address, data: Hex, gas?: bigint) {
    const { client } = world;
    const sent = await sendTransaction(client, { account, chain: client.chain, to, data, gas });
    await waitForTransactionReceipt(client, { hash: sent });
    return parseTransactionHash(sent);
  }

  const sendCall = (account: LocalAccount, { to, data }: OwnerCall) => send(account, to, data);

  /** Signs and executes with both owners' keys. */
  async function executeInSafe(
    version: (typeof releases)[number],
    calls: readonly OwnerCall[],
    more: Partial<SafeTx> = {},
  ) {
    const { client, safes, signers, stranger } = world;
    const { address: safe } = safes[version];
    const found = await readOwner(client, { address: safe });
    if (found.kind !== "safe") throw new Error("it is a Safe");
    const safeTx = { ...buildSafeTx({ calls, multiSend, nonce: found.nonce }), ...more };
    const safeTxHash = hashSafeTx(safeTx, { chainId: 8453, safe, version });
    const signatures = await Promise.all(
      signers.map(async (signer): Promise<SafeSignature> => {
        if (signer.sign === undefined) throw new Error("an owner with a key");
        return { kind: "ecdsa", signer: signer.address, signature: await signer.sign({ hash: safeTxHash }) };
      }),
    );
    const data = encodeExecTransaction(safeTx, encodeSafeSignatures(signatures));
    return { safeTxHash, data, transactionHash: await send(stranger, safe, data, 2_000_000n) };
  }

  const additions = (appId: AppId) => [
    addComposeHashCall({ appId, composeHash: first }),
    addDeviceCall({ appId, deviceId: device }),
  ];
  const reasonOf = async (plan: ExecutablePlan, parameters: ProveExecutionParameters) => {
    const verdict = await proveExecution(world.client, plan, parameters);
    return verdict.kind === "refused" ? verdict.reason : verdict.kind;
  };

  describe("by a key", () => {
    it("accepts a direct call and a batch of EIP-7702", async () => {
      const { client, owner, appId } = world;
      const call = addComposeHashCall({ appId, composeHash: first });
      const direct = await planOf("key", owner.address, [call]);
      const transactionHash = await sendCall(owner, call);
      expect(await proveExecution(client, direct, { transactionHash })).to.deep.include({
        ...{ kind: "applied", by: "key", transactionHash },
        blockNumber: direct.pinned.number + 1n,
      });

      // In the order of a batch: additions first.
      const calls = [addDeviceCall({ appId, deviceId: device }), removeComposeHashCall({ appId, composeHash: first })];
      const plan = await planOf("key", owner.address, calls);
      const mode = "7702";
      const { transactions } = await sendBatch(client, { calls, account: owner, mode, allowDelegation: true });
      const sent = transactions.at(-1)?.transactionHash;
      if (sent === undefined) throw new Error("it was sent");
      expect(await proveExecution(client, plan, { transactionHash: sent })).to.deep.include({
        ...{ kind: "applied", by: "key" },
      });
    });

    it("refuses a transaction without the event, with another value, of another owner, and one that is not mined", async () => {
      const { client, owner, appId, stranger, safes } = world;
      const calls = [addComposeHashCall({ appId, composeHash: first })];
      const plan = await planOf("key", owner.address, calls);
      const other = await sendCall(owner, addComposeHashCall({ appId, composeHash: second }));
      expect(await reasonOf(plan, { transactionHash: other })).to.equal("missing-event");
      const failed = await send(stranger, appId, calls[0]?.data ?? "0x", 200_000n);
      expect(await reasonOf(plan, { transactionHash: failed })).to.equal("reverted");
      const unknown = parseTransactionHash("77".repeat(32));
      expect(await reasonOf(plan, { transactionHash: unknown })).to.equal("not-mined");
      const right = await sendCall(owner, additions(appId)[0] as OwnerCall);
      const byStranger = await planOf("key", stranger.address, calls);
      expect(await reasonOf(byStranger, { transactionHash: right })).to.equal("not-by-owner");
      const bySafe = await planOf("safe", safes["1.5.0"].address, calls);
      expect(await reasonOf(bySafe, { transactionHash: right })).to.equal("not-by-owner");
      const error = await rejection(requireExecution(client, plan, { transactionHash: other }));
      expect(error).to.be.instanceOf(ExecutionNotProvenError);
      expect((error as ExecutionNotProvenError).context).to.include({ reason: "missing-event" });
      const elsewhere = proveExecution(client, { ...plan, chainId: 1 }, { transactionHash: right });
      expect(await rejection(elsewhere)).to.be.instanceOf(WrongChainError);
    });

    it("is not deceived by a contract that logs the same event", async () => {
      const { appId, owner } = world;
      const forger: Address = `0x${"f0".repeat(20)}`;
      const topic = toEventSelector("ComposeHashAdded(bytes32)");
      // MSTORE the hash, LOG1 with the event's topic.
      await connection.networkHelpers.setCode(forger, concat(["0x7f", first, "0x5f527f", topic, "0x60205fa100"]));
      const plan = await planOf("key", owner.address, [addComposeHashCall({ appId, composeHash: first })]);
      const transactionHash = await send(owner, forger, "0x");
      expect(await topicOf(transactionHash)).to.equal(topic);
      expect(await reasonOf(plan, { transactionHash })).to.equal("missing-event");
      expect(await findProvenExecution(world.client, plan)).to.deep.equal({ kind: "not-applied" });
      const own = await sendCall(owner, addComposeHashCall({ appId, composeHash: first }));
      expect(await topicOf(own)).to.equal(topic);
    });

    async function topicOf(sent: Hex): Promise<Hex | undefined> {
      const { logs } = await waitForTransactionReceipt(world.client, { hash: sent });
      return logs[0]?.topics[0];
    }

    it("proves the calls of a KMS and a change of ownership", async () => {
      const { client, kms, owner, appId, stranger } = world;
      const call = addOsImageHashCall({ kms, osImageHash: `0x${"06".repeat(32)}` });
      const plan = await planOf("key", owner.address, [call]);
      expect(await reasonOf(plan, { transactionHash: await sendCall(owner, call) })).to.equal("applied");
      const offer = transferOwnershipCall({ appId, newOwner: stranger.address });
      const offered = await planOf("key", owner.address, [offer]);
      expect(await reasonOf(offered, { transactionHash: await sendCall(owner, offer) })).to.equal("applied");
      const accept = acceptOwnershipCall({ appId });
      const accepted = await planOf("key", stranger.address, [accept]);
      const transactionHash = await sendCall(stranger, accept);
      expect(await reasonOf(accepted, { transactionHash })).to.equal("applied");
      const wrong = await planOf("key", owner.address, [accept]);
      expect(await reasonOf(wrong, { transactionHash })).to.equal("missing-event");
      const other = await sendOwnerCall(client, removeOsImageHashCall({ kms, osImageHash: `0x${"06".repeat(32)}` }), {
        account: owner,
      });
      expect(await reasonOf(plan, { transactionHash: other })).to.equal("missing-event");
    });
  });

  for (const version of releases) {
    describe(`by a Safe ${version}`, () => {
      it("names the Safe transaction around the events, and refuses another one", async () => {
        const { client, safes } = world;
        const { address, app } = safes[version];
        const calls = additions(app);
        const plan = await planOf("safe", address, calls);
        const { transactionHash, safeTxHash } = await executeInSafe(version, calls);
        expect(await proveExecution(client, plan, { transactionHash, safeTxHash })).to.deep.include({
          ...{ kind: "applied", by: "safe", safeTxHash, transactionHash },
        });
        const other: Hex = `0x${"ab".repeat(32)}`;
        expect(await reasonOf(plan, { transactionHash, safeTxHash: other })).to.equal("other-safe-transaction");
        expect(await findProvenExecution(client, plan, { safeTxHash })).to.deep.include({
          kind: "applied",
          safeTxHash,
        });
      });

      it("tells that the Safe mined it, but the call inside failed", async () => {
        const { client, safes } = world;
        const { address, app } = safes[version];
        // The second call is of an app that the Safe does not own, so the first one is undone with it.
        const calls = [additions(app)[0] as OwnerCall, addComposeHashCall({ appId: world.appId, composeHash: second })];
        const plan = await planOf("safe", address, calls);
        const { transactionHash, safeTxHash } = await executeInSafe(version, calls, { safeTxGas: 200_000n });
        const verdict = await proveExecution(client, plan, { transactionHash, safeTxHash });
        expect(verdict).to.deep.include({ kind: "refused", reason: "safe-failed" });
        expect(verdict.kind === "refused" && verdict.message).to.contain("the call inside failed");
        expect(await reasonOf(plan, { transactionHash })).to.equal("safe-failed");
        expect(await findProvenExecution(client, plan)).to.deep.equal({ kind: "not-applied" });
        const alone = await planOf("safe", address, calls.slice(0, 1));
        expect(await reasonOf(alone, { transactionHash })).to.equal("safe-failed");
      });
    });
  }

  it("refuses other policy events of the same app, another order, and a change that the transaction took back", async () => {
    const { safes } = world;
    const { address, app: appId } = safes["1.5.0"];
    const [add, allowDevice] = additions(appId) as [OwnerCall, OwnerCall];
    const plan = await planOf("safe", address, [add]);
    const extra = await executeInSafe("1.5.0", [add, allowDevice]);
    expect(await reasonOf(plan, extra)).to.equal("extra-event");
    expect(await reasonOf(await planOf("safe", address, [allowDevice, add]), extra)).to.equal("wrong-order");
    expect(await reasonOf(await planOf("safe", address, [add, allowDevice]), extra)).to.equal("applied");

    const other = addComposeHashCall({ appId, composeHash: second });
    const undone = await executeInSafe("1.5.0", [other, removeComposeHashCall({ appId, composeHash: second })]);
    expect(await reasonOf(await planOf("safe", address, [other]), undone)).to.equal("extra-event");
  });

  it("judges a plan by its own app when a Safe transaction changes several", async () => {
    const { safes, secondApp } = world;
    const { address, app } = safes["1.5.0"];
    const [one, other] = [app, secondApp].map((appId) => addComposeHashCall({ appId, composeHash: first })) as [
      OwnerCall,
      OwnerCall,
    ];
    const both = await executeInSafe("1.5.0", [one, other]);
    expect(await reasonOf(await planOf("safe", address, [one]), both)).to.equal("applied");
    expect(await reasonOf(await planOf("safe", address, [one, other]), both)).to.equal("applied");
    expect(await reasonOf(await planOf("safe", address, [other, one]), both)).to.equal("wrong-order");
  });

  it("finds the Safe transaction when one transaction executes two of that Safe", async () => {
    const { client, safes, stranger, secondApp } = world;
    const { address, app } = safes["1.5.0"];
    const plan = await planOf("safe", address, [addComposeHashCall({ appId: app, composeHash: first })]);
    const snapshot = await connection.networkHelpers.takeSnapshot();
    const one = await executeInSafe("1.5.0", [addComposeHashCall({ appId: secondApp, composeHash: first })]);
    const two = await executeInSafe("1.5.0", [addComposeHashCall({ appId: app, composeHash: first })]);
    await snapshot.restore();
    const aggregate = encodeAggregate([one, two].map(({ data }) => ({ to: address, data })));
    const transactionHash = await send(stranger, "0xcA11bde05977b3631167028862bE2a173976CA11", aggregate, 2_000_000n);
    expect(await proveExecution(client, plan, { transactionHash })).to.deep.include({
      ...{ kind: "applied", safeTxHash: two.safeTxHash },
    });
    const { safeTxHash } = one;
    expect(await reasonOf(plan, { transactionHash, safeTxHash })).to.equal("other-safe-transaction");
  });

  function encodeAggregate(calls: readonly { readonly to: Address; readonly data: Hex }[]): Hex {
    const tuple = { type: "tuple[]", components: [{ type: "address" }, { type: "bytes" }] } as const;
    return concat(["0x252dba42", encodeAbiParameters([tuple], [calls.map(({ to, data }) => [to, data] as const)])]);
  }

  it("proves an operation of a timelock by its id and its calls, and its scheduling by a Safe", async () => {
    const { client, timelock, timelockApp: appId, safes, stranger } = world;
    const { address: safe } = safes["1.5.0"];
    const calls = additions(appId);
    const operation = operationOf({ calls, predecessor: noPredecessor, salt: `0x${"5a".repeat(32)}` });
    const operationId = hashOperationBatch(operation);
    const plan = await planOf("timelock", timelock, calls);

    const schedule = scheduleCall({ timelock, operation, delaySeconds: 0n });
    const scheduled = await planOf("safe", safe, [schedule]);
    const proposal = await executeInSafe("1.5.0", [schedule]);
    expect(await proveExecution(client, scheduled, proposal)).to.deep.include({ kind: "applied", by: "safe" });
    expect(await reasonOf(plan, { transactionHash: proposal.transactionHash })).to.equal("missing-event");

    const execute = executeCall({ timelock, operation });
    const executed = await planOf("key", stranger.address, [execute]);
    const transactionHash = await sendCall(stranger, execute);
    expect(await proveExecution(client, plan, { transactionHash, operationId })).to.deep.include({
      ...{ kind: "applied", by: "timelock", operationId },
    });
    // The call of the executor is a plan too.
    expect(await reasonOf(executed, { transactionHash })).to.equal("applied");
    const other: Hex = `0x${"ab".repeat(32)}`;
    expect(await reasonOf(plan, { transactionHash, operationId: other })).to.equal("other-operation");
    const bySafe = await planOf("safe", safe, calls);
    expect(await reasonOf(bySafe, { transactionHash })).to.equal("not-by-owner");
    expect(await findProvenExecution(client, plan)).to.deep.include({ kind: "applied", operationId, transactionHash });
  });

  it("names the Safe transaction that executed an operation of a timelock", async () => {
    const { client, timelock, timelockApp: appId, stranger } = world;
    const calls = additions(appId);
    const operation = operationOf({ calls, predecessor: noPredecessor, salt: `0x${"5b".repeat(32)}` });
    await sendCall(stranger, scheduleCall({ timelock, operation, delaySeconds: 0n }));
    const { transactionHash, safeTxHash } = await executeInSafe("1.5.0", [executeCall({ timelock, operation })]);
    const plan = await planOf("timelock", timelock, calls);
    expect(await proveExecution(client, plan, { transactionHash, safeTxHash })).to.deep.include({
      ...{ kind: "applied", by: "timelock", operationId: hashOperationBatch(operation), safeTxHash },
    });
    const other: Hex = `0x${"ab".repeat(32)}`;
    expect(await reasonOf(plan, { transactionHash, safeTxHash: other })).to.equal("other-safe-transaction");
  });

  describe("in the logs", () => {
    it("finds calls that a key sent one by one, and what is open or was taken back", async () => {
      const { client, owner, appId } = world;
      const calls = [...additions(appId), setAllowAnyDeviceCall({ appId, allowAny: true })];
      const plan = await planOf("key", owner.address, calls);
      expect(await findProvenExecution(client, plan)).to.deep.equal({ kind: "not-applied" });
      const sent: Hex[] = [];
      for (const call of calls) {
        sent.push(await sendCall(owner, call));
        const found = await findProvenExecution(client, plan);
        if (sent.length === calls.length) break;
        expect(found).to.deep.include({
          ...{ kind: "partly-applied", undone: [], transactions: sent },
          ...{ done: plan.changes.slice(0, sent.length), open: plan.changes.slice(sent.length) },
        });
      }
      expect(await findProvenExecution(client, plan)).to.deep.include({
        ...{ kind: "applied", by: "key", transactions: sent, transactionHash: sent.at(-1), undone: [] },
      });

      await sendCall(owner, removeComposeHashCall({ appId, composeHash: first }));
      await sendCall(owner, setAllowAnyDeviceCall({ appId, allowAny: false }));
      expect(await findProvenExecution(client, plan)).to.deep.include({
        ...{ kind: "partly-applied", done: [plan.changes[1]], open: [], undone: [plan.changes[0], plan.changes[2]] },
      });
      // Events before the pinned block belong to another execution.
      expect(await findProvenExecution(client, await planOf("key", owner.address, calls))).to.deep.equal({
        kind: "not-applied",
      });
    });

    it("finds an execution that was taken back later, and one with other changes", async () => {
      const { client, safes } = world;
      const { address, app: appId } = safes["1.5.0"];
      const calls = additions(appId);
      const plan = await planOf("safe", address, calls);
      const more = addComposeHashCall({ appId, composeHash: second });
      const larger = await executeInSafe("1.5.0", [...calls, more]);
      expect(await findProvenExecution(client, plan)).to.deep.include({ kind: "refused", reason: "extra-event" });
      await executeInSafe("1.5.0", [removeComposeHashCall({ appId, composeHash: first })]);
      const whole = await planOf("safe", address, [...calls, more]);
      expect(await findProvenExecution(client, { ...whole, pinned: plan.pinned })).to.deep.include({
        ...{ kind: "applied", safeTxHash: larger.safeTxHash, undone: whole.changes.slice(0, 1) },
      });
    });
  });
});
