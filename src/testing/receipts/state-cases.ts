import { zeroHash } from "viem";
import { generations } from "../../core/generation.ts";
import { parseComposeHash } from "../../core/ids.ts";
import {
  addDeviceCall,
  disableUpgradesCall,
  renounceOwnershipCall,
  setAllowAnyDeviceCall,
} from "../../core/owner-calls.ts";
import { register } from "./forgery-cases.ts";
import { listApp } from "./hostile-code.ts";
import { proven, type ReceiptCase, verdicts } from "./receipt-case.ts";
import { adding, removing, sendDelegated } from "./route-cases.ts";
import { deployTestApp, sendCall } from "./world.ts";

export const alreadyRegistered = "already-registered";

const group = "state";

export const stateCases: readonly ReceiptCase[] = [
  {
    ...{ group, id: "added-then-removed-at-once", moments: [verdicts("hash-not-allowed", "proven", "extra-event")] },
    story: "One batch adds the hash and removes it again.",
    why: "The event is there, and the state after the transaction decides.",
    async *play(world) {
      yield { transactionHash: await sendDelegated(world, [adding(world), removing(world)]) };
    },
  },
  {
    ...{ group, id: "removed-then-added-at-once", moments: [verdicts("accepted", "proven", "extra-event")] },
    story: "One batch removes the hash and adds it again.",
    why: "The same two events in the other order. The hash is allowed; the plan did not name the removal.",
    async *play(world) {
      yield { transactionHash: await sendDelegated(world, [removing(world), adding(world)]) };
    },
  },
  {
    ...{ group, id: "removed-since" },
    moments: [
      verdicts("accepted", "proven", "applied", "the hash is added"),
      verdicts("hash-not-allowed", "proven", "applied", "the hash is removed"),
      verdicts("accepted", "proven", "applied", "the hash is added again, by another transaction"),
    ],
    story: "The owner removes the hash in a later transaction, and later adds it again.",
    why: "The first transaction did what it says, so its plan stays applied. The backend asks what is allowed now.",
    async *play(world) {
      const transactionHash = await sendCall(world, adding(world));
      yield { transactionHash };
      await sendCall(world, removing(world));
      yield { transactionHash };
      await sendCall(world, adding(world));
      yield { transactionHash };
    },
  },
  {
    ...{ group, id: "removal-as-proof" },
    moments: [verdicts("transaction-not-verified", "not-proven", "missing-event")],
    story: "The claim names the transaction that removed the hash, and another one added it again.",
    why: "The hash is allowed, but this transaction did not add it.",
    async *play(world) {
      await sendCall(world, adding(world));
      const transactionHash = await sendCall(world, removing(world));
      await sendCall(world, adding(world));
      yield { transactionHash };
    },
  },
  {
    ...{ group, id: "old-transaction-for-new-hash" },
    moments: [verdicts("transaction-not-verified", "not-proven", "missing-event")],
    story: "A client confirms a new update with the transaction of an older one, and the new hash is allowed too.",
    why: "The old transaction added another hash. The client named a transaction, so that one must prove it.",
    async *play(world) {
      const transactionHash = await sendCall(world, adding(world, world.app, world.otherHash));
      await sendCall(world, adding(world));
      yield { transactionHash };
    },
  },
  {
    ...{ group, id: "added-twice", moments: [proven, proven] },
    story: "Two transactions add the same hash, and the claim names the first and then the second.",
    why: "The contract logs each addition, also of a hash that is allowed. Either transaction proves it.",
    async *play(world) {
      const first = await sendCall(world, adding(world));
      const second = await sendCall(world, adding(world));
      yield { transactionHash: first };
      yield { transactionHash: second };
    },
  },
  {
    ...{ group, id: "confirmed-twice", moments: [proven, proven] },
    story: "A client sends the same confirmation twice.",
    why: "A verdict changes nothing. A backend answers the second request with the operation of the first.",
    async *play(world) {
      const transactionHash = await sendCall(world, adding(world));
      yield { transactionHash };
      yield { transactionHash };
    },
  },
  {
    ...{ group, id: "already-registered-and-allowed", moments: [verdicts("accepted", null, null)] },
    story: "The client says already-registered, and the app allows the hash.",
    why: "No transaction is named, so only the state counts.",
    async *play(world) {
      await sendCall(world, adding(world));
      yield { transactionHash: alreadyRegistered };
    },
  },
  {
    ...{ group, id: "already-registered-and-never-added", moments: [verdicts("hash-not-allowed", null, null)] },
    story: "The client says already-registered, and the hash was never added.",
    why: "The word is a claim like any other. The state refutes it.",
    async *play() {
      yield { transactionHash: alreadyRegistered };
    },
  },
  {
    ...{ group, id: "already-registered-and-removed", moments: [verdicts("hash-not-allowed", null, null)] },
    story: "The client says already-registered, and the hash was added and removed.",
    why: "An addition in the past allows nothing.",
    async *play(world) {
      await sendCall(world, adding(world));
      await sendCall(world, removing(world));
      yield { transactionHash: alreadyRegistered };
    },
  },
  {
    ...{ group, id: "already-registered-elsewhere", moments: [verdicts("hash-not-allowed", null, null)] },
    story: "The client says already-registered, and another app of the same owner allows the hash.",
    why: "Each app has its own list.",
    async *play(world) {
      await sendCall(world, adding(world, world.secondApp));
      yield { transactionHash: alreadyRegistered };
    },
  },
  {
    ...{ group, id: "frozen-app", moments: [proven, verdicts("accepted", null, null)] },
    story: "The app's upgrades are disabled, it adds the hash, and then its owner renounces the ownership.",
    why: "A frozen app keeps its list. What it allows stays allowed for good.",
    async *play(world) {
      const { app: appId } = world;
      await sendCall(world, disableUpgradesCall({ appId }));
      const transactionHash = await sendCall(world, adding(world));
      await sendCall(world, renounceOwnershipCall({ appId }));
      yield { transactionHash };
      yield { transactionHash: alreadyRegistered };
    },
  },
  {
    ...{
      group,
      id: "added-after-renouncing",
      moments: [verdicts("transaction-not-verified", "not-proven", "reverted")],
    },
    story: "The owner renounced the ownership, and the same key tries to add the hash.",
    why: "No account can change the app any more. The transaction reverts.",
    async *play(world) {
      await sendCall(world, renounceOwnershipCall({ appId: world.app }));
      yield { transactionHash: await sendCall(world, adding(world)) };
    },
  },
  {
    ...{ group, id: "any-device", moments: [proven] },
    story: "The app allows any device and lists none of the CVM's, and adds the hash.",
    why: "A registration is about the hash. Which device may boot is decided at each boot.",
    async *play(world) {
      const app = await deployTestApp(world, { owner: world.owner.address, allowAnyDevice: true });
      yield { appId: app, transactionHash: await sendCall(world, adding(world, app)) };
    },
  },
  {
    ...{ group, id: "other-changes-beside", moments: [verdicts("accepted", "proven", "extra-event")] },
    story: "The batch that adds the hash also allows any device, which the plan does not say.",
    why: "The backend asks about the hash alone. A signer who approved the plan did not approve the rest.",
    async *play(world) {
      const { app: appId } = world;
      const calls = [adding(world), setAllowAnyDeviceCall({ appId, allowAny: true })];
      yield { transactionHash: await sendDelegated(world, calls) };
    },
  },
  {
    ...{ group, id: "device-with-the-hash", moments: [verdicts("accepted", "proven", "extra-event")] },
    story: "One batch adds the CVM's device and the hash, as an update to a new machine does.",
    why: "The device's event comes first. It neither proves nor disproves the hash.",
    async *play(world) {
      const { app: appId, deviceId } = world;
      yield { transactionHash: await sendDelegated(world, [addDeviceCall({ appId, deviceId }), adding(world)]) };
    },
  },
  {
    ...{ group, id: "older-release", moments: [proven] },
    story: "The app is of a release that logs no PolicyChanged.",
    why: "ComposeHashAdded is the same in every release of the first generation, and is all that is needed.",
    async *play(world) {
      const appId = await register(world, listApp());
      yield { appId, transactionHash: await sendCall(world, adding(world, appId)) };
    },
  },
  {
    ...{ group, id: "key-epochs" },
    moments: [verdicts("hash-not-allowed", "proven", "applied"), verdicts("hash-not-allowed", null, null)],
    story: "The app is of a generation with key epochs, logs the event and lists the hash.",
    why: "Its plain list is that of epoch 0, and other lists decide. A backend that knows none has no verdict.",
    async *play(world) {
      const { interfaceId } = generations["0.6.4"];
      const appId = await register(world, listApp({ interfaceId: interfaceId ?? undefined }));
      yield { appId, transactionHash: await sendCall(world, adding(world, appId)) };
      yield { appId, transactionHash: alreadyRegistered };
    },
  },
  {
    ...{ group, id: "zero-hash", moments: [verdicts("transaction-not-verified", "not-proven", "reverted")] },
    story: "The owner tries to add the hash of 32 zero bytes.",
    why: "The contract refuses it. No document has this hash.",
    async *play(world) {
      const composeHash = parseComposeHash(zeroHash);
      yield { composeHash, transactionHash: await sendCall(world, adding(world, world.app, composeHash)) };
    },
  },
];
