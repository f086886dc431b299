import { expect } from "chai";
import { artifacts, network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { type Abi, type Address, encodeFunctionData, getAddress, type Hex, numberToHex, zeroHash } from "viem";
import { writeContract } from "viem/actions";
import { base } from "viem/chains";
import { addComposeHash } from "../../../../src/chain/add-compose-hash.ts";
import { addDevice } from "../../../../src/chain/add-device.ts";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import { removeComposeHash } from "../../../../src/chain/remove-compose-hash.ts";
import { setAllowAnyDevice } from "../../../../src/chain/set-allow-any-device.ts";
import { parseAppId, parseComposeHash, parseDeviceId } from "../../../../src/core/ids.ts";
import { RpcUnavailableError } from "../../../../src/errors/index.ts";
import { dstackAppAbi } from "../../../../src/generated/abi.ts";
import { currentSlots, shiftedSlots } from "../../../../src/history/proof.ts";
import { type AllowlistProof, proveAllowlist } from "../../../../src/history/prove-allowlist.ts";
import { readHistory } from "../../../../src/history/read-history.ts";
import { type Dstack, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { interceptedClient, rpcError } from "../../../support/chain/intercepted-client.ts";
import { mineBlocks } from "../../../support/history/mine.ts";
import { rejection } from "../../../support/rejection.ts";

const hash = (index: number) => parseComposeHash(numberToHex(index, { size: 32 }));
const device = (index: number) => parseDeviceId(numberToHex(1000 + index, { size: 32 }));
const proven = { isProven: true };

describe("proveAllowlist", () => {
  let connection: NetworkConnection;
  let dstack: Dstack;

  before(async () => {
    connection = await network.create("local");
  });

  beforeEach(async () => {
    dstack = await connection.networkHelpers.loadFixture(deployDstack);
  });

  const prove = async (client = dstack.client, appId = dstack.appId) =>
    proveAllowlist(client, { history: await readHistory(dstack.client, { appId }), retryDelayMs: 1 });

  it("proves that the events name every entry", async () => {
    const { client, appId, owner } = dstack;
    for (let index = 1; index <= 20; index += 1)
      await addComposeHash(client, { appId, composeHash: hash(index), account: owner });
    for (let index = 1; index <= 5; index += 1)
      await removeComposeHash(client, { appId, composeHash: hash(index), account: owner });
    await addDevice(client, { appId, deviceId: device(1), account: owner });
    await setAllowAnyDevice(client, { appId, allowAnyDevice: true, account: owner });
    const { isProven, claims, words } = await prove();
    expect(claims).to.deep.equal({ header: proven, account: proven, entries: proven, nothingElse: proven });
    expect(isProven).to.equal(true);
    // 16 hashes, 2 devices; flags, owner, initializer version, implementation.
    expect(words).to.equal(16 + 2 + 4);
  });

  it("proves an app of the first version, whose events name no actor", async () => {
    const { client, owner } = dstack;
    const { appId, implementation } = await deployOldApp(dstack, "DstackAppV054");
    await writeContract(client, {
      account: owner,
      chain: base,
      address: appId,
      abi: dstackAppAbi,
      functionName: "addComposeHash",
      args: [hash(1)],
    });

    const history = await readHistory(client, { appId });
    expect(history.completeness).to.deep.equal({ isComplete: true });
    expect(history.changes.map(({ kind, actor }) => [kind, actor])).to.deep.equal([
      ["upgraded", undefined],
      ["deviceAdded", undefined],
      ["ownershipTransferred", undefined],
      ["initialized", undefined],
      ["composeHashAdded", undefined],
    ]);
    expect(history.changes[0]).to.include({ implementation });
    expect((await proveAllowlist(client, { history })).isProven).to.equal(true);
  });

  it("proves an app of the shifted layout, and finds a hidden entry in it", async () => {
    const { client, owner } = dstack;
    const { appId } = await deployOldApp(dstack, "AppAuthV042");
    const call = { account: owner, chain: base, address: appId, abi: dstackAppAbi } as const;
    await writeContract(client, { ...call, functionName: "addComposeHash", args: [hash(1)] });
    await writeContract(client, { ...call, functionName: "setAllowAnyDevice", args: [true] });
    const { isProven, words } = await prove(client, appId);
    expect(isProven).to.equal(true);
    // 1 hash, 1 device; app id, flags, owner, initializer version, implementation.
    expect(words).to.equal(2 + 5);

    await connection.networkHelpers.setStorageAt(appId, shiftedSlots.composeHash(hash(5)), 1n);
    await mineBlocks(connection, 1);
    const hidden = (await prove(client, appId)).claims;
    expect(hidden.entries).to.deep.equal(proven);
    expect(hidden.nothingElse).to.include({ isProven: false, reason: "storageDiffers" });

    // In the later layout, an address in slot 0 belongs to no variable.
    await connection.networkHelpers.setStorageAt(dstack.appId, 0n, BigInt(appId));
    await connection.networkHelpers.setStorageAt(dstack.appId, 1n, 0x0100n);
    await mineBlocks(connection, 1);
    expect((await prove()).claims.nothingElse).to.include({ isProven: false, reason: "unknownSlots" });
  });

  for (const [what, functionName, value] of [
    ["hash", "hideComposeHash", hash(77)],
    ["device", "hideDevice", device(77)],
  ] as const) {
    it(`finds a ${what} that a temporary implementation allowed without an event`, async () => {
      const { client, appId, owner, appImplementation, connection } = dstack;
      const hiding = await connection.viem.deployContract("HidingImplementation");
      const write = { account: owner, chain: base, address: appId } as const;
      const upgrade = (to: Address, data: Hex = "0x") =>
        writeContract(client, { ...write, abi: dstackAppAbi, functionName: "upgradeToAndCall", args: [to, data] });
      await upgrade(hiding.address, encodeFunctionData({ abi: hiding.abi, functionName, args: [value] }));
      await upgrade(appImplementation);
      const question = what === "hash" ? { composeHash: hash(77) } : { deviceId: device(77) };
      const { composeHashAllowed, deviceListed } = await readAllowlist(client, { appId, ...question });
      expect(composeHashAllowed ?? deviceListed).to.equal(true);

      const history = await readHistory(client, { appId });
      expect(history.completeness.isComplete).to.equal(true);
      const { isProven, claims } = await proveAllowlist(client, { history });
      expect(isProven).to.equal(false);
      expect(claims).to.deep.include({ header: proven, account: proven, entries: proven });
      expect(claims.nothingElse).to.include({ isProven: false, reason: "storageDiffers" });
    });
  }

  it("finds an entry that was written without the contract, and one that is missing", async () => {
    const { appId, client } = dstack;
    await connection.networkHelpers.setStorageAt(appId, currentSlots.composeHash(hash(5)), 1n);
    await mineBlocks(connection, 1); // a state root that knows of it
    expect((await prove()).claims.nothingElse).to.include({ reason: "storageDiffers" });

    await connection.networkHelpers.setStorageAt(appId, currentSlots.composeHash(hash(5)), 0n);
    await connection.networkHelpers.setStorageAt(appId, currentSlots.composeHash(dstack.composeHash), 0n);
    await mineBlocks(connection, 1);
    const { claims } = await proveAllowlist(client, { history: await readHistory(client, { appId }) });
    expect(claims.entries).to.include({ reason: "entryMissing" });
    expect(claims.nothingElse).to.include({ isProven: false });
  });

  it("finds each missing entry among many", async () => {
    const { appId, client, composeHash } = dstack;
    const history = await readHistory(client, { appId });
    const real = history.changes.find((change) => change.kind === "composeHashAdded");
    if (real?.kind !== "composeHashAdded") throw new Error("the app has a hash");
    const invented = Array.from({ length: 250 }, (_, index) => ({ ...real, composeHash: hash(index + 1) }));
    const { claims } = await proveAllowlist(client, {
      history: { ...history, changes: [...history.changes, ...invented] },
    });
    expect(claims.entries).to.include({ isProven: false, reason: "entryMissing" });
    expect(JSON.stringify(claims.entries)).to.match(/\b250 of 252\b/);

    // A word other than true is not an entry.
    await connection.networkHelpers.setStorageAt(appId, currentSlots.composeHash(composeHash), 2n);
    await mineBlocks(connection, 1);
    const { pinned } = await readHistory(client, { appId });
    const odd = await proveAllowlist(client, { history: { ...history, pinned } });
    expect(odd.claims.entries).to.include({ reason: "entryMissing" });
  });

  it("proves the state of the history's last block, also after later changes", async () => {
    const { appId, client, owner, deviceId } = dstack;
    const older = await readHistory(client, { appId });
    await addComposeHash(client, { appId, composeHash: hash(1), account: owner });
    await removeComposeHash(client, { appId, composeHash: dstack.composeHash, account: owner });
    await addDevice(client, { appId, deviceId: device(2), account: owner });
    await mineBlocks(connection, 3);
    expect((await proveAllowlist(client, { history: older })).isProven).to.equal(true);
    const { changes } = await readHistory(client, { appId });
    expect((await proveAllowlist(client, { history: { ...older, changes } })).isProven).to.equal(true);
    // Devices count as much as hashes do.
    const without = older.changes.filter((change) => change.kind !== "deviceAdded" || change.deviceId !== deviceId);
    const { claims } = await proveAllowlist(client, { history: { ...older, changes: without } });
    expect(claims.nothingElse).to.include({ reason: "storageDiffers" });
  });

  it("proves nothing for an address without an account", async () => {
    const { client } = dstack;
    const { pinned } = await readHistory(client, { appId: dstack.appId });
    const absent = parseAppId("ab".repeat(20));
    const { claims, isProven } = await proveAllowlist(client, { history: { appId: absent, pinned, changes: [] } });
    expect(isProven).to.equal(false);
    expect(claims.account).to.include({ isProven: false, reason: "proofInvalid" });
  });

  it("names the used slots that no DstackApp has", async () => {
    await connection.networkHelpers.setStorageAt(dstack.appId, 7n, 42n);
    await mineBlocks(connection, 1);
    const { claims, isProven } = await prove();
    expect(isProven).to.equal(false);
    expect(claims.entries).to.deep.equal(proven);
    expect(claims.nothingElse).to.include({ reason: "unknownSlots" });
    expect(JSON.stringify(claims.nothingElse)).to.include("7");
  });

  describe("against an endpoint that lies", () => {
    it("refuses a storage root that the state root does not contain", async () => {
      const { appId, owner, client } = dstack;
      const honest = await readHistory(client, { appId });
      await addComposeHash(client, { appId, composeHash: hash(1), account: owner });
      const history = { ...(await readHistory(client, { appId })), changes: honest.changes };
      // Proves the state before the last add, and calls it the state after.
      const { client: liar } = interceptedClient(connection, {
        intercept: (call, pass) =>
          call.method === "eth_getProof"
            ? connection.provider.request({
                method: "eth_getProof",
                params: [...(call.params ?? []).slice(0, 2), numberToHex(honest.pinned.number)],
              })
            : pass(),
      });
      const { claims, isProven } = await proveAllowlist(liar, { history });
      expect(isProven).to.equal(false);
      expect(claims.header).to.deep.equal(proven);
      expect(claims.account).to.include({ isProven: false, reason: "proofInvalid" });
    });

    it("refuses a storage root with a proof of another one", async () => {
      const lie = await lying((answer) => ({ ...answer, storageHash: `0x${"11".repeat(32)}` }));
      expect(lie.claims.account).to.include({ reason: "proofInvalid" });
    });

    it("refuses code with a proof of another code", async () => {
      const lie = await lying((answer) => ({ ...answer, codeHash: `0x${"11".repeat(32)}` }));
      expect(lie.claims.account).to.include({ isProven: false, reason: "proofInvalid" });
      expect(lie.isProven).to.equal(false);
    });

    it("refuses an entry with a proof of another slot", async () => {
      await connection.networkHelpers.setStorageAt(dstack.appId, currentSlots.composeHash(hash(5)), 1n);
      await mineBlocks(connection, 1);
      const lie = await lying((answer) => {
        const { storageProof } = answer as { storageProof: object[] };
        return { ...answer, storageProof: storageProof.map((entry) => ({ ...entry, proof: ["0xc0"] })) };
      });
      expect(lie.claims.entries).to.include({ isProven: false, reason: "proofInvalid" });
      expect(lie.isProven).to.equal(false);
    });

    it("refuses a state root that is not in the block's header", async () => {
      const lie = await lying((answer) => ({ ...answer, stateRoot: `0x${"11".repeat(32)}` }), "eth_getBlockByNumber");
      expect(lie.claims.header).to.include({ isProven: false, reason: "headerDiffers" });
      expect(lie.isProven).to.equal(false);
    });

    it("E3: says that a header with a field that it does not know belongs to a later hard fork", async () => {
      const field = `0x${"b1".repeat(32)}`;
      const hash = `0x${"aa".repeat(32)}` as const;
      const history = await readHistory(dstack.client, { appId: dstack.appId });
      // The hash of such a header covers the field, so it is another one than that of the known fields.
      const pinned = { ...history.pinned, hash };
      const { client } = interceptedClient(connection, {
        intercept: async (call, pass) => {
          const answer = await pass();
          const isBlock = call.method === "eth_getBlockByNumber";
          return isBlock ? { ...Object(answer), hash, timestampMs: "0x1", blockAccessListHash: field } : answer;
        },
      });
      const { claims, isProven } = await proveAllowlist(client, { history: { ...history, pinned } });
      expect(isProven).to.equal(false);
      expect(claims.header).to.include({ isProven: false, reason: "laterHardFork" });
      expect(claims.header)
        .to.have.property("message")
        .that.includes("(blockAccessListHash)")
        .and.includes("later hard fork")
        .and.not.includes("timestampMs");
    });

    async function lying(lie: (answer: object) => object, method = "eth_getProof"): Promise<AllowlistProof> {
      const { client } = interceptedClient(connection, {
        intercept: async (call, pass) => {
          const answer = await pass();
          return call.method === method ? lie(Object(answer)) : answer;
        },
      });
      return prove(client);
    }
  });

  it("says that nothing is proven when the endpoint offers no proofs", async () => {
    const { client } = interceptedClient(connection, {
      intercept: async (call, pass) => {
        if (call.method === "eth_getProof") throw rpcError(-32601, "the method eth_getProof does not exist");
        return pass();
      },
    });
    const { claims, isProven } = await prove(client);
    expect(isProven).to.equal(false);
    expect(claims.header).to.deep.equal(proven);
    for (const claim of [claims.account, claims.entries, claims.nothingElse])
      expect(claim).to.include({ isProven: false, reason: "proofNotOffered" });
  });

  it("throws when the endpoint is down", async () => {
    for (const fault of [rpcError(429, "too many requests"), new Error("fetch failed")])
      for (const method of ["eth_getProof", "eth_getBlockByNumber"]) {
        const { client } = interceptedClient(connection, {
          intercept: async (call, pass) => {
            if (call.method === method) throw fault;
            return pass();
          },
        });
        expect(await rejection(prove(client)), method).to.be.instanceOf(RpcUnavailableError);
      }
  });
});

async function deployOldApp({ connection, owner, kms }: Dstack, name: "DstackAppV054" | "AppAuthV042") {
  const policy = [false, false, device(1), zeroHash] as const;
  const { address: implementation } = await connection.viem.deployContract(name);
  const data =
    name === "AppAuthV042"
      ? await encodeInitialization(name, [owner.address, kms, ...policy])
      : await encodeInitialization(name, [owner.address, ...policy]);
  const proxy = await connection.viem.deployContract("ERC1967Proxy", [implementation, data]);
  return { appId: parseAppId(proxy.address), implementation: getAddress(implementation) };
}

async function encodeInitialization(name: string, args: readonly unknown[]): Promise<Hex> {
  const { abi } = await artifacts.readArtifact(name);
  return encodeFunctionData({ abi: abi as Abi, functionName: "initialize", args });
}
