import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import {
  type Abi,
  type AbiEvent,
  encodeAbiParameters,
  getAbiItem,
  getAddress,
  getContractAddress,
  type Hex,
  keccak256,
  numberToHex,
  toEventSelector,
} from "viem";
import { getBlockNumber, getTransactionCount, writeContract } from "viem/actions";
import { base } from "viem/chains";
import { addComposeHash } from "../../../../src/chain/add-compose-hash.ts";
import { addDevice } from "../../../../src/chain/add-device.ts";
import { deployApp } from "../../../../src/chain/deploy-app.ts";
import { removeComposeHash } from "../../../../src/chain/remove-compose-hash.ts";
import { setAllowAnyDevice } from "../../../../src/chain/set-allow-any-device.ts";
import { waitForReceipt } from "../../../../src/chain/transactions/receipt.ts";
import { deployedApp } from "../../../../src/core/events.ts";
import { parseAppId, parseComposeHash, parseDeviceId, parseTransactionHash } from "../../../../src/core/ids.ts";
import { NoContractError } from "../../../../src/errors/index.ts";
import { dstackAppAbi, dstackKmsAbi } from "../../../../src/generated/abi.ts";
import { allowedAt } from "../../../../src/history/policy.ts";
import { readHistory } from "../../../../src/history/read-history.ts";
import { type Dstack, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { interceptedClient, rpcError } from "../../../support/chain/intercepted-client.ts";
import { mineBlocks } from "../../../support/history/mine.ts";
import { rejection } from "../../../support/rejection.ts";

const hashes = [1, 2, 3].map((index) => parseComposeHash(numberToHex(index, { size: 32 })));
const [one, two, three] = hashes as [(typeof hashes)[0], (typeof hashes)[0], (typeof hashes)[0]];
const otherDevice = parseDeviceId("ed".repeat(32));

describe("readHistory", () => {
  let connection: NetworkConnection;
  let dstack: Dstack;

  before(async () => {
    connection = await network.create("local");
  });

  beforeEach(async () => {
    dstack = await connection.networkHelpers.loadFixture(deployDstack);
  });

  it("lists every change since the creation with its actor, and says that nothing is missing", async () => {
    const { client, appId, owner, kms, composeHash, deviceId, appImplementation } = dstack;
    await mineBlocks(connection, 10);
    const createdInBlock = await creationOf(dstack);
    await addComposeHash(client, { appId, composeHash: one, account: owner });
    await mineBlocks(connection, 30);
    await addComposeHash(client, { appId, composeHash: two, account: owner });
    await addDevice(client, { appId, deviceId: otherDevice, account: owner });
    await removeComposeHash(client, { appId, composeHash: one, account: owner });
    await setAllowAnyDevice(client, { appId, allowAnyDevice: true, account: owner });

    const history = await readHistory(client, { appId });
    expect(history.completeness).to.deep.equal({ isComplete: true });
    expect(history).to.include({ chainId: 8453, appId, createdInBlock, unknownLogs: 0 });
    expect(history.pinned.number).to.equal(await getBlockNumber(client, { cacheTime: 0 }));
    expect(history.initialFlags).to.deep.equal({
      allowAnyDevice: false,
      requireTcbUpToDate: false,
      upgradesDisabled: false,
    });
    const by = owner.address;
    expect(history.changes.map(({ kind, actor, ...change }) => [kind, actor, contentOf(change)])).to.deep.equal([
      ["upgraded", undefined, appImplementation],
      ["deviceAdded", kms, deviceId],
      ["composeHashAdded", kms, composeHash],
      ["ownershipTransferred", undefined, by],
      ["initialized", undefined, 1n],
      ["composeHashAdded", by, one],
      ["composeHashAdded", by, two],
      ["deviceAdded", by, otherDevice],
      ["composeHashRemoved", by, one],
      ["allowAnyDeviceSet", by, true],
    ]);
    expect([...allowedAt(history.changes).composeHashes.keys()]).to.deep.equal([composeHash, two]);
  });

  it("ends at the given block, and compares with the state of that block", async () => {
    const { client, appId, owner, composeHash } = dstack;
    await addComposeHash(client, { appId, composeHash: one, account: owner });
    const toBlock = await getBlockNumber(client, { cacheTime: 0 });
    await removeComposeHash(client, { appId, composeHash: one, account: owner });
    await addDevice(client, { appId, deviceId: otherDevice, account: owner });
    await setAllowAnyDevice(client, { appId, allowAnyDevice: true, account: owner });
    await invite(dstack);
    const { changes, pinned, completeness } = await readHistory(client, { appId, toBlock });
    expect(pinned.number).to.equal(toBlock);
    expect(completeness.isComplete).to.equal(true);
    expect([...allowedAt(changes).composeHashes.keys()]).to.deep.equal([composeHash, one]);
  });

  it("finds the flags of the creation, which no event shows", async () => {
    const { client, kms, owner, stranger } = dstack;
    const transactionHash = await writeContract(client, {
      account: stranger,
      chain: base,
      address: kms,
      abi: dstackKmsAbi,
      functionName: "deployAndRegisterApp",
      args: [owner.address, true, true, true, otherDevice, three],
    });
    const receipt = await waitForReceipt(client, {
      transactionHash: parseTransactionHash(transactionHash),
      functionName: "deployAndRegisterApp",
    });
    const appId = deployedApp(receipt, { kms });
    await setAllowAnyDevice(client, { appId, allowAnyDevice: false, account: owner });
    const { initialFlags, changes, completeness } = await readHistory(client, { appId });
    const flags = { allowAnyDevice: true, requireTcbUpToDate: true, upgradesDisabled: true };
    expect(initialFlags).to.deep.equal(flags);
    expect(allowedAt(changes, undefined, initialFlags)).to.include({ ...flags, allowAnyDevice: false });
    expect(completeness.isComplete).to.equal(true);
  });

  it("follows an ownership from offer to acceptance", async () => {
    const { client, appId, owner, stranger } = dstack;
    const write = { address: appId, abi: dstackAppAbi, chain: base } as const;
    await writeContract(client, {
      ...write,
      account: owner,
      functionName: "transferOwnership",
      args: [stranger.address],
    });
    const invited = await readHistory(client, { appId });
    expect(allowedAt(invited.changes)).to.include({ owner: owner.address, pendingOwner: stranger.address });
    expect(invited.completeness.isComplete).to.equal(true);
    await writeContract(client, { ...write, account: stranger, functionName: "acceptOwnership" });
    const accepted = await readHistory(client, { appId });
    expect(allowedAt(accepted.changes)).to.include({ owner: stranger.address, pendingOwner: undefined });
    expect(accepted.completeness.isComplete).to.equal(true);
  });

  it("names a hash that the contract allows without an event", async () => {
    const { client, appId, owner } = dstack;
    await addComposeHash(client, { appId, composeHash: one, account: owner });
    await removeComposeHash(client, { appId, composeHash: one, account: owner });
    const slot = keccak256(encodeAbiParameters([{ type: "bytes32" }, { type: "uint256" }], [one, 0n]));
    await connection.networkHelpers.setStorageAt(appId, slot, 1n);
    const { completeness } = await readHistory(client, { appId });
    expect(completeness).to.deep.include({ isComplete: false });
    const [reason] = completeness.isComplete ? [] : completeness.reasons;
    expect(reason).to.include({ kind: "composeHashDiffers", composeHash: one, byEvents: false, onChain: true });
  });

  describe("says where the contract differs from its events", () => {
    const flags = ["allowAnyDevice", "requireTcbUpToDate", "upgradesDisabled"] as const;

    /** Reads through an endpoint that omits these events after the creation. */
    async function readWithout(...names: readonly EventName[]): Promise<object[]> {
      const { appId } = dstack;
      const createdInBlock = numberToHex(await creationOf(dstack));
      const hidden = names.map((name) => toEventSelector(getAbiItem({ abi: dstackAppAbi, name }) as AbiEvent)); // of this ABI
      const { client } = interceptedClient(connection, {
        intercept: async ({ method }, pass) => {
          const answer = await pass();
          if (method !== "eth_getLogs") return answer;
          const logs = answer as { blockNumber: string; topics: [Hex] }[];
          return logs.filter(
            ({ blockNumber, topics }) => blockNumber === createdInBlock || !hidden.includes(topics[0]),
          );
        },
      });
      const { completeness } = await readHistory(client, { appId, retryDelayMs: 1 });
      return completeness.isComplete ? [] : completeness.reasons.map(({ message: _, ...reason }) => reason);
    }
    const write = (functionName: string, ...args: unknown[]) =>
      writeContract(dstack.client, {
        account: dstack.owner,
        chain: base,
        address: dstack.appId,
        abi: dstackAppAbi as Abi,
        functionName,
        args,
      });

    it("for a hash whose removal, or whose last addition, is missing", async () => {
      await write("removeComposeHash", dstack.composeHash);
      const differs = { kind: "composeHashDiffers", composeHash: dstack.composeHash };
      expect(await readWithout("ComposeHashRemoved")).to.deep.equal([{ ...differs, byEvents: true, onChain: false }]);
      await write("addComposeHash", dstack.composeHash);
      expect(await readWithout("ComposeHashAdded")).to.deep.equal([{ ...differs, byEvents: false, onChain: true }]);
    });

    it("for a device whose removal, or whose last addition, is missing", async () => {
      await write("removeDevice", dstack.deviceId);
      const differs = { kind: "deviceDiffers", deviceId: dstack.deviceId };
      expect(await readWithout("DeviceRemoved")).to.deep.equal([{ ...differs, byEvents: true, onChain: false }]);
      await write("addDevice", dstack.deviceId);
      expect(await readWithout("DeviceAdded")).to.deep.equal([{ ...differs, byEvents: false, onChain: true }]);
    });

    it("for each flag", async () => {
      await write("setAllowAnyDevice", true);
      await write("setRequireTcbUpToDate", true);
      await write("disableUpgrades");
      const events = ["AllowAnyDeviceSet", "RequireTcbUpToDateSet", "UpgradesDisabled"] as const;
      for (const [index, name] of events.entries()) {
        expect(await readWithout(name), name).to.deep.equal([
          { kind: "flagDiffers", flag: flags[index], byEvents: false, onChain: true },
        ]);
      }
    });

    it("for owner, pending owner and implementation", async () => {
      const { client, appId, owner, stranger, appImplementation } = dstack;
      await invite(dstack);
      expect(await readWithout("OwnershipTransferStarted")).to.deep.equal([
        { kind: "addressDiffers", what: "pendingOwner", byEvents: undefined, onChain: stranger.address },
      ]);
      await writeContract(client, {
        account: stranger,
        chain: base,
        address: appId,
        abi: dstackAppAbi,
        functionName: "acceptOwnership",
      });
      expect(await readWithout("OwnershipTransferred")).to.deep.equal([
        { kind: "addressDiffers", what: "owner", byEvents: owner.address, onChain: stranger.address },
        { kind: "addressDiffers", what: "pendingOwner", byEvents: stranger.address, onChain: undefined },
      ]);
      const { address: next } = await connection.viem.deployContract("DstackApp");
      await writeContract(client, {
        account: stranger,
        chain: base,
        address: appId,
        abi: dstackAppAbi,
        functionName: "upgradeToAndCall",
        args: [next, "0x"],
      });
      expect(await readWithout("Upgraded")).to.deep.equal([
        {
          kind: "addressDiffers",
          what: "implementation",
          byEvents: getAddress(appImplementation),
          onChain: getAddress(next),
        },
      ]);
      expect(await readWithout()).to.deep.equal([]);
    });
  });

  it("reads the newest events again, of each kind, which a lagging backend omitted at first", async () => {
    const { appId, client, owner, stranger, deviceId } = dstack;
    const write = { account: owner, chain: base, address: appId, abi: dstackAppAbi } as const;
    const changes = [
      () => writeContract(client, { ...write, functionName: "removeDevice", args: [deviceId] }),
      () => writeContract(client, { ...write, functionName: "setAllowAnyDevice", args: [true] }),
      () => writeContract(client, { ...write, functionName: "transferOwnership", args: [stranger.address] }),
    ];
    for (const change of changes) {
      await change();
      const newest = numberToHex(await getBlockNumber(client, { cacheTime: 0 }));
      let answers = 0;
      const { client: lagging } = interceptedClient(connection, {
        intercept: async ({ method }, pass) => {
          const answer = await pass();
          if (method !== "eth_getLogs" || answers++ > 0) return answer;
          return (answer as { blockNumber: string }[]).filter(({ blockNumber }) => blockNumber !== newest);
        },
      });
      expect(await readHistory(lagging, { appId })).to.deep.equal(await readHistory(client, { appId }));
      expect(answers).to.equal(2);
    }
  });

  describe("does not guess a flag of the creation", () => {
    it("that was switched in the same block", async () => {
      const { client, owner, stranger, kms } = dstack;
      await connection.provider.request({ method: "evm_setAutomine", params: [false] });
      try {
        const parameters = { account: stranger, kms, owner: owner.address, composeHash: one, deviceId: otherDevice };
        const nonce = await getTransactionCount(client, { address: kms });
        const appId = parseAppId(getContractAddress({ from: kms, nonce: BigInt(nonce) }));
        const created = await deployApp(client, parameters);
        await writeContract(client, {
          account: owner,
          chain: base,
          address: appId,
          abi: dstackAppAbi,
          functionName: "setAllowAnyDevice",
          args: [true],
          gas: 200_000n,
        });
        await connection.networkHelpers.mine();
        const receipt = await waitForReceipt(client, { transactionHash: created, functionName: "deploy" });
        expect(deployedApp(receipt, { kms })).to.equal(appId);
        const { initialFlags, changes, completeness } = await readHistory(client, { appId });
        expect(initialFlags).to.include({ allowAnyDevice: undefined, requireTcbUpToDate: false });
        expect(allowedAt(changes, undefined, initialFlags).allowAnyDevice).to.equal(true);
        expect(completeness.isComplete).to.equal(true);
      } finally {
        await connection.provider.request({ method: "evm_setAutomine", params: [true] });
      }
    });

    it("that was switched later, when that block's state is not served", async () => {
      const { appId, owner, client } = dstack;
      await mineBlocks(connection, 3);
      await setAllowAnyDevice(client, { appId, allowAnyDevice: true, account: owner });
      const createdInBlock = numberToHex(await creationOf(dstack));
      const { client: forgetful } = interceptedClient(connection, {
        intercept: async ({ method, params }, pass) => {
          const isOld = params?.at(-1) === createdInBlock;
          if (isOld && ["eth_call", "eth_getStorageAt"].includes(method)) throw rpcError(-32000, "missing trie node");
          return pass();
        },
      });
      const { initialFlags, completeness } = await readHistory(forgetful, { appId, retryDelayMs: 1 });
      expect(initialFlags).to.deep.equal({
        allowAnyDevice: undefined,
        requireTcbUpToDate: false,
        upgradesDisabled: false,
      });
      expect(completeness.isComplete).to.equal(true);
    });
  });

  it("finds no history without a contract", async () => {
    const absent = parseAppId("ab".repeat(20));
    expect(await rejection(readHistory(dstack.client, { appId: absent }))).to.be.instanceOf(NoContractError);
  });
});

type EventName = Extract<(typeof dstackAppAbi)[number], { type: "event" }>["name"];

/** Offers the app to the stranger. */
function invite({ client, appId, owner, stranger }: Dstack): Promise<Hex> {
  return writeContract(client, {
    account: owner,
    chain: base,
    address: appId,
    abi: dstackAppAbi,
    functionName: "transferOwnership",
    args: [stranger.address],
  });
}

async function creationOf({ connection, client, appId }: Dstack): Promise<bigint> {
  for (let block = 0n; ; block += 1n) {
    const code = await connection.provider.request({ method: "eth_getCode", params: [appId, numberToHex(block)] });
    if (code !== "0x") return block;
    if (block > (await getBlockNumber(client, { cacheTime: 0 }))) throw new Error("There is no app.");
  }
}

function contentOf(change: object): unknown {
  const names = ["composeHash", "deviceId", "enabled", "implementation", "to", "version"];
  return Object.entries(change).find(([name]) => names.includes(name))?.[1];
}
