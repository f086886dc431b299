import {
  type Address,
  concat,
  encodeAbiParameters,
  encodeFunctionData,
  getContractAddress,
  type Hex,
  zeroHash,
} from "viem";
import { getTransactionCount } from "viem/actions";
import { deterministicDeployer } from "../../core/batch-executor.ts";
import { type AppId, parseAppId, parseDeviceId, type TransactionHash } from "../../core/ids.ts";
import { addDeviceCall, upgradeCall } from "../../core/owner-calls.ts";
import { dstackAppAbi, dstackKmsAbi } from "../../generated/abi.ts";
import { cloneOf, creationOf, listApp, logger, loggingConstructor, shortLived, topics } from "./hostile-code.ts";
import { type ReceiptCase, verdicts } from "./receipt-case.ts";
import { adding, sendDelegated } from "./route-cases.ts";
import { create, type ReceiptWorld, receiptOf, send, sendCall } from "./world.ts";

const group = "forgeries";
const nothing = verdicts("transaction-not-verified", "not-proven", "missing-event");

/** Deploys a contract, which any account may register as an app of the KMS. */
export async function register(world: ReceiptWorld, runtime: Hex): Promise<AppId> {
  const appId = parseAppId(await create(world, creationOf(runtime)));
  const data = encodeFunctionData({ abi: dstackKmsAbi, functionName: "registerApp", args: [appId] });
  await send(world, { to: world.kms, data });
  return appId;
}

interface Log {
  readonly topics: readonly Hex[];
  readonly data: Hex;
}

/** A registered app whose only answer to every call is one log. The claim is about this app. */
function shape(id: string, story: string, why: string, log: (world: ReceiptWorld) => Log): ReceiptCase {
  return {
    ...{ group, id, story, why, moments: [nothing] },
    async *play(world) {
      const appId = await register(world, logger(log(world)));
      yield { appId, transactionHash: await send(world, { to: appId, data: "0x" }) };
    },
  };
}

const added = [topics.added] as const;

export const forgeryCases: readonly ReceiptCase[] = [
  {
    ...{ group, id: "other-contract", moments: [nothing] },
    story: "A contract without any role logs ComposeHashAdded with the claimed hash.",
    why: "Any contract can log any topics and data. Only the emitter's address proves who logged.",
    async *play(world) {
      const forger = await create(world, creationOf(logger({ topics: added, data: world.composeHash })));
      yield { transactionHash: await send(world, { to: forger, data: "0x" }) };
    },
  },
  {
    ...{ group, id: "other-contract-in-constructor", moments: [nothing] },
    story: "A contract logs the event while it is created.",
    why: "The emitter is the new contract, and not the app.",
    async *play(world) {
      yield { transactionHash: await send(world, { data: loggingConstructor(world.composeHash) }) };
    },
  },
  {
    ...{ group, id: "hostile-app", moments: [nothing] },
    story: "A registered app of an attacker logs the event, allows every hash, and the claim is about another app.",
    why: "Registration with the KMS is open to all. It gives an app no say about another app.",
    async *play(world) {
      const hostile = await register(world, listApp());
      yield { transactionHash: await sendCall(world, adding(world, hostile)) };
    },
  },
  {
    ...{ group, id: "other-app", moments: [nothing] },
    story: "The owner adds the hash to the wrong one of two apps.",
    why: "The event is genuine, but of another app. Each app has its own list.",
    async *play(world) {
      yield { transactionHash: await sendCall(world, adding(world, world.secondApp)) };
    },
  },
  {
    ...{ group, id: "other-kms", moments: [verdicts("hash-not-allowed", "proven", "applied")] },
    story: "The app is registered with another KMS than the CVM's, and adds the hash.",
    why: "The app allows the hash, but the CVM's KMS does not know the app and gives it no keys.",
    async *play(world) {
      const { otherKmsApp: appId } = world;
      yield { appId, transactionHash: await sendCall(world, adding(world, appId)) };
    },
  },
  {
    ...{ group, id: "other-hash", moments: [nothing] },
    story: "The app adds another hash.",
    why: "The event must name exactly the claimed hash.",
    async *play(world) {
      yield { transactionHash: await sendCall(world, adding(world, world.app, world.otherHash)) };
    },
  },
  {
    ...{ group, id: "split-truth", moments: [nothing] },
    story: "One batch adds the hash to another app, and another hash to the app.",
    why: "Emitter and hash must be right in the same event.",
    async *play(world) {
      const { app, otherHash, secondApp } = world;
      yield { transactionHash: await sendDelegated(world, [adding(world, secondApp), adding(world, app, otherHash)]) };
    },
  },
  {
    ...{ group, id: "device-added", moments: [nothing] },
    story: "The app adds a device whose id is the claimed hash.",
    why: "The value is right, and the event is DeviceAdded.",
    async *play(world) {
      const { app: appId, composeHash } = world;
      yield { transactionHash: await sendCall(world, addDeviceCall({ appId, deviceId: parseDeviceId(composeHash) })) };
    },
  },
  {
    ...{ group, id: "delegatecall", moments: [nothing] },
    story: "A clone runs the app's code by delegatecall on a storage of its own, and logs the event.",
    why: "Code that runs by delegatecall logs as the calling contract.",
    async *play(world) {
      const { appImplementation, app, composeHash, deviceId, owner } = world;
      const clone = await create(world, creationOf(cloneOf(appImplementation)));
      const args = [owner.address, false, false, false, deviceId, composeHash] as const;
      const data = encodeFunctionData({ abi: dstackAppAbi, functionName: "initialize", args });
      const transactionHash = await send(world, { to: clone, data });
      yield { appId: app, transactionHash };
    },
  },
  {
    ...{ group, id: "implementation-itself", moments: [nothing] },
    story: "The claim is about the implementation's address behind the app's proxy.",
    why: "The proxy is the app. Nothing can be registered on the implementation, and its event never comes.",
    async *play(world) {
      const { appImplementation } = world;
      yield { appId: parseAppId(appImplementation), transactionHash: await sendCall(world, adding(world)) };
    },
  },
  {
    ...{ group, id: "no-contract", moments: [nothing] },
    story: "The claim is about an address without code, to which the call was sent.",
    why: "A call to an address without code succeeds and does nothing.",
    async *play(world) {
      const appId = parseAppId("ee".repeat(20));
      yield { appId, transactionHash: await sendCall(world, adding(world, appId)) };
    },
  },
  shape(
    "anonymous-event",
    "The app logs the hash without any topic.",
    "An anonymous log has no signature that says what it means.",
    ({ composeHash }) => ({ topics: [], data: composeHash }),
  ),
  shape(
    "indexed-hash",
    "The app logs the event's topic with the hash as a second topic, and no data.",
    "ComposeHashAdded has no indexed argument. This is another event with the same signature.",
    ({ composeHash }) => ({ topics: [...added, composeHash], data: "0x" }),
  ),
  shape(
    "indexed-and-data",
    "The app logs the hash both as a second topic and as data.",
    "The number of topics is part of the event's form.",
    ({ composeHash }) => ({ topics: [...added, composeHash], data: composeHash }),
  ),
  shape("data-too-short", "The data have 31 bytes.", "A hash has 32 bytes. Nothing is padded.", ({ composeHash }) => ({
    topics: added,
    data: composeHash.slice(0, -2) as Hex,
  })),
  shape(
    "data-too-long",
    "The data have 33 bytes, of which the first 32 are the hash.",
    "A decoder that ignores the rest would accept it. The event has exactly one word.",
    ({ composeHash }) => ({ topics: added, data: concat([composeHash, "0x00"]) }),
  ),
  shape(
    "dynamic-bytes",
    "The app logs the hash as dynamic bytes.",
    "The first word is an offset, and not the hash.",
    ({ composeHash }) => ({ topics: added, data: encodeAbiParameters([{ type: "bytes" }], [composeHash]) }),
  ),
  shape(
    "removal-event",
    "The app logs ComposeHashRemoved with the hash.",
    "A removal has the same form and another topic.",
    ({ composeHash }) => ({ topics: [topics.removed], data: composeHash }),
  ),
  {
    ...{ group, id: "forged-state", moments: [verdicts("hash-not-allowed", "proven", "not-by-owner")] },
    story: "A registered app logs a perfect event and stores nothing.",
    why: "The event of the claimed app is there, and the app does not allow the hash. Both are needed.",
    async *play(world) {
      const appId = await register(world, logger({ topics: added, data: world.composeHash }));
      // Not from the planned owner.
      yield { appId, transactionHash: await send(world, { to: appId, data: "0x", from: world.stranger }) };
    },
  },
  {
    ...{ group, id: "upgraded-to-liar", moments: [verdicts("hash-not-allowed", "proven", "applied")] },
    story: "The app was upgraded to code that logs the event and stores nothing.",
    why: "The address is right and so is the event. Only the state shows that the hash is not allowed.",
    async *play(world) {
      await upgrade(world, listApp({ isForgetful: true }));
      yield { transactionHash: await sendCall(world, adding(world)) };
    },
  },
  {
    ...{ group, id: "upgraded-since" },
    moments: [
      verdicts("accepted", "proven", "applied", "the app has the code that added the hash"),
      verdicts("hash-not-allowed", "proven", "applied", "the app is upgraded to code that reads another list"),
    ],
    story: "The app adds the hash, and is upgraded to code with another storage layout.",
    why: "The transaction is as good as before. What boots is decided by the code of now.",
    async *play(world) {
      const transactionHash = await sendCall(world, adding(world));
      yield { transactionHash };
      await upgrade(world, listApp());
      yield { transactionHash };
    },
  },
  {
    ...{ group, id: "destroyed-and-created-again" },
    moments: [
      verdicts("hash-not-allowed", "proven", "not-by-owner", "the app's address has no code"),
      verdicts("hash-not-allowed", "proven", "not-by-owner", "another contract has the address"),
    ],
    story: "A contract logs the event and destroys itself; later another contract is created at its address.",
    why: "The event comes from the right address, and from a contract that is gone. Its list is gone too.",
    async *play(world) {
      const { transactionHash, appId, revive } = await destroyAndRevive(world);
      yield { appId, transactionHash };
      await revive();
      yield { appId, transactionHash };
    },
  },
];

async function upgrade(world: ReceiptWorld, runtime: Hex): Promise<void> {
  const implementation = await create(world, creationOf(runtime));
  await sendCall(world, upgradeCall({ appId: world.app, implementation }));
}

async function destroyAndRevive(world: ReceiptWorld) {
  const { client, composeHash, stranger } = world;
  // The template's address is known before it has code.
  const nonce = await getTransactionCount(client, { address: stranger.address });
  const template: Address = getContractAddress({ from: stranger.address, nonce: BigInt(nonce) });
  const bytecode = shortLived({ template, hash: composeHash });
  const address = getContractAddress({ opcode: "CREATE2", from: deterministicDeployer, salt: zeroHash, bytecode });
  const deploy = (): Promise<TransactionHash> =>
    send(world, { to: deterministicDeployer, data: concat([zeroHash, bytecode]) });
  const transactionHash = await deploy();
  const revive = async () => {
    await receiptOf(world, await send(world, { data: creationOf(listApp()), from: stranger }));
    await deploy();
  };
  return { transactionHash, appId: parseAppId(address), revive };
}
