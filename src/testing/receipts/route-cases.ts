import { encodeFunctionData } from "viem";
import { getTransactionCount } from "viem/actions";
import { batchExecutorAddress, encodeExecute } from "../../core/batch-executor.ts";
import { deployedApp } from "../../core/events.ts";
import type { AppId, TransactionHash } from "../../core/ids.ts";
import { addComposeHashCall, type OwnerCall, removeComposeHashCall } from "../../core/owner-calls.ts";
import { executeCall, operationOf, scheduleCall } from "../../core/timelock.ts";
import { noPredecessor } from "../../core/timelock-calls.ts";
import { dstackKmsAbi } from "../../generated/abi.ts";
import { relayed } from "./hostile-code.ts";
import { type PlannedOwner, proven, type ReceiptCase, verdicts } from "./receipt-case.ts";
import { executeInSafe, type ReceiptWorld, receiptOf, send, sendCall, sendDeployment } from "./world.ts";

export const adding = ({ app, composeHash }: ReceiptWorld, appId: AppId = app, hash = composeHash): OwnerCall =>
  addComposeHashCall({ appId, composeHash: hash });

export const removing = ({ app, composeHash }: ReceiptWorld, appId: AppId = app): OwnerCall =>
  removeComposeHashCall({ appId, composeHash });

/** Makes the calls in one transaction of an account that delegates to the batch executor. */
export async function sendDelegated(world: ReceiptWorld, calls: readonly OwnerCall[]): Promise<TransactionHash> {
  const { client, owner } = world;
  const nonce = await getTransactionCount(client, { address: owner.address });
  if (owner.signAuthorization === undefined) throw new TypeError("A development account signs authorizations.");
  const authorization = await owner.signAuthorization({
    chainId: client.chain.id,
    address: batchExecutorAddress,
    nonce: nonce + 1, // the transaction itself has the one before
  });
  return send(world, { to: owner.address, data: encodeExecute(calls), authorizationList: [authorization] });
}

export const ofSafe = ({ safe }: ReceiptWorld): PlannedOwner => ({ kind: "safe", address: safe.address });
const ofTimelock = ({ timelock }: ReceiptWorld): PlannedOwner => ({ kind: "timelock", address: timelock });
export const ofRelay = ({ relay }: ReceiptWorld): PlannedOwner => ({ kind: "contract", address: relay });

const timelockCalls = (world: ReceiptWorld) => {
  const { timelock, timelockApp } = world;
  const operation = operationOf({
    calls: [adding(world, timelockApp)],
    predecessor: noPredecessor,
    salt: noPredecessor,
  });
  return {
    schedule: scheduleCall({ timelock, operation, delaySeconds: 0n }),
    execute: executeCall({ timelock, operation }),
  };
};

const group = "routes";

export const routeCases: readonly ReceiptCase[] = [
  {
    ...{ group, id: "direct", moments: [proven] },
    story: "The owner's key adds the hash.",
    why: "The app's own event names the hash, and the app allows it.",
    async *play(world) {
      yield { transactionHash: await sendCall(world, adding(world)) };
    },
  },
  {
    ...{ group, id: "safe", moments: [proven] },
    story: "A Safe owns the app and makes the call; another account pays.",
    why: "The transaction goes to the Safe, but the event comes from the app. Only the event counts.",
    async *play(world) {
      const transactionHash = await executeInSafe(world, [adding(world, world.safeApp)]);
      yield { appId: world.safeApp, owner: ofSafe(world), transactionHash };
    },
  },
  {
    ...{ group, id: "safe-multisend", moments: [verdicts("accepted", "proven", "extra-event")] },
    story: "A Safe adds the hash and another one in one MultiSend.",
    why: "The backend looks for one event. The plan names one change, and the transaction made two.",
    async *play(world) {
      const { otherHash, safeApp: appId } = world;
      const transactionHash = await executeInSafe(world, [adding(world, appId, otherHash), adding(world, appId)]);
      yield { appId, owner: ofSafe(world), transactionHash };
    },
  },
  {
    ...{
      group,
      id: "safe-inner-failure",
      moments: [verdicts("transaction-not-verified", "not-proven", "safe-failed")],
    },
    story: "The Safe mines its transaction, and the MultiSend inside adds the hash and then fails.",
    why: "The transaction succeeded, but the inner revert removed the event with the change.",
    async *play(world) {
      const { app, safeApp: appId } = world;
      const calls = [adding(world, appId), adding(world, app)]; // the Safe does not own the second app
      const transactionHash = await executeInSafe(world, calls, { safeTxGas: 1_000_000n });
      yield { appId, owner: ofSafe(world), transactionHash };
    },
  },
  {
    ...{ group, id: "timelock", moments: [proven] },
    story: "A timelock owns the app, and executes a scheduled operation that adds the hash.",
    why: "The event comes from the app, and the timelock's own events name exactly the planned call.",
    async *play(world) {
      const { schedule, execute } = timelockCalls(world);
      await sendCall(world, schedule);
      const transactionHash = await sendCall(world, execute, { from: world.stranger });
      yield { appId: world.timelockApp, owner: ofTimelock(world), transactionHash };
    },
  },
  {
    ...{ group, id: "timelock-scheduled" },
    moments: [verdicts("transaction-not-verified", "not-proven", "missing-event")],
    story: "The claim names the transaction that scheduled the operation, before its execution.",
    why: "Scheduling changes nothing in the app. The timelock's event contains the calldata, and no app event.",
    async *play(world) {
      const transactionHash = await sendCall(world, timelockCalls(world).schedule);
      yield { appId: world.timelockApp, owner: ofTimelock(world), transactionHash };
    },
  },
  {
    ...{ group, id: "safe-to-timelock", moments: [proven] },
    story: "A Safe schedules and executes the operation of the timelock that owns the app.",
    why: "Two contracts lie between the sender and the app. The event is still the app's own.",
    async *play(world) {
      const { schedule, execute } = timelockCalls(world);
      await executeInSafe(world, [schedule]);
      const transactionHash = await executeInSafe(world, [execute]);
      yield { appId: world.timelockApp, owner: ofTimelock(world), transactionHash };
    },
  },
  {
    ...{ group, id: "contract-owner", moments: [proven] },
    story: "A contract that logs nothing owns the app and passes the call on.",
    why: "Only the owner can make the app log the event, whatever the transaction's target is.",
    async *play(world) {
      const { relay: to, relayApp: appId } = world;
      const transactionHash = await send(world, { to, data: relayed("strict", appId, adding(world, appId).data) });
      yield { appId, owner: ofRelay(world), transactionHash };
    },
  },
  {
    ...{ group, id: "caught-failure", moments: [verdicts("transaction-not-verified", "not-proven", "missing-event")] },
    story: "A contract calls the app and catches its revert, so the transaction succeeds.",
    why: "A receipt with status 1 says nothing about a call inside. The app logged nothing.",
    async *play(world) {
      const { relay: to, app } = world; // the relay does not own this app
      yield { transactionHash: await send(world, { to, data: relayed("tolerant", app, adding(world).data) }) };
    },
  },
  {
    ...{ group, id: "rolled-back-inner-call" },
    moments: [verdicts("transaction-not-verified", "not-proven", "missing-event")],
    story: "The owner's contract adds the hash and reverts that inner call; the outer call goes on.",
    why: "The event was logged during execution and dropped with the inner call. Traces show it, receipts do not.",
    async *play(world) {
      const { relay, relayApp: appId } = world;
      const inner = relayed("reverting", appId, adding(world, appId).data);
      const transactionHash = await send(world, { to: relay, data: relayed("tolerant", relay, inner) });
      yield { appId, owner: ofRelay(world), transactionHash };
    },
  },
  {
    ...{ group, id: "eip-7702-batch", moments: [proven] },
    story: "The owner's account delegates to an ERC-7821 executor and calls itself.",
    why: "The target is the owner's own account, and the event comes from the app.",
    async *play(world) {
      yield { transactionHash: await sendDelegated(world, [adding(world)]) };
    },
  },
  {
    ...{ group, id: "several-apps", moments: [proven] },
    story: "One batch adds the hash to the app and to another app of the same owner.",
    why: "Both apps log the same event. Each proves the addition to its own emitter, in any order.",
    async *play(world) {
      const { secondApp } = world;
      yield { transactionHash: await sendDelegated(world, [adding(world, secondApp), adding(world)]) };
    },
  },
  {
    ...{ group, id: "several-hashes", moments: [verdicts("accepted", "proven", "extra-event")] },
    story: "One batch adds another hash first, and then the claimed one.",
    why: "The right event may be any of several. The plan names one change, and the transaction made two.",
    async *play(world) {
      const { app, otherHash } = world;
      yield { transactionHash: await sendDelegated(world, [adding(world, app, otherHash), adding(world)]) };
    },
  },
  {
    ...{ group, id: "factory", moments: [verdicts("accepted", "proven", "extra-event")] },
    story: "The KMS's factory deploys the app with the hash on its list.",
    why: "A new app logs its first hash from its initialiser. It logs its first device too, which no plan names.",
    async *play(world) {
      const { composeHash, owner } = world;
      const transactionHash = await sendDeployment(world, { owner: owner.address, composeHash });
      yield { appId: deployedApp(await receiptOf(world, transactionHash), world), transactionHash };
    },
  },
  {
    ...{ group, id: "by-another-account", moments: [verdicts("accepted", "proven", "not-by-owner")] },
    story: "The plan names the stranger's key as the owner, and another account made the call.",
    why: "The app decides who its owner is, so the backend accepts. The plan was about another owner.",
    async *play(world) {
      const transactionHash = await sendCall(world, adding(world));
      yield { owner: { kind: "key", address: world.stranger.address }, transactionHash };
    },
  },
  {
    ...{ group, id: "registration-of-app" },
    moments: [verdicts("transaction-not-verified", "not-proven", "missing-event")],
    story: "The transaction registers the app with the other KMS.",
    why: "A registration of an app allows no hash.",
    async *play(world) {
      const args = [world.app] as const;
      const data = encodeFunctionData({ abi: dstackKmsAbi, functionName: "registerApp", args });
      yield { transactionHash: await send(world, { to: world.otherKms, data }) };
    },
  },
];
