import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { type Address, decodeFunctionData, isAddressEqual, type LocalAccount, parseAbi, zeroHash } from "viem";
import { readContract } from "viem/actions";
import { buildSafeBatch, findMultiSend, type SafeBatch } from "../../../../src/batch/build-safe-batch.ts";
import { sendBatch } from "../../../../src/batch/send-batch.ts";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import { type AppId, parseComposeHash, parseDeviceId } from "../../../../src/core/ids.ts";
import {
  addComposeHashCall,
  addDeviceCall,
  type OwnerCall,
  proveCalls,
  removeComposeHashCall,
} from "../../../../src/core/owner-calls.ts";
import { hashSafeTx } from "../../../../src/core/safe.ts";
import {
  ContractOwnerError,
  InvalidArgumentError,
  NoEffectError,
  ReceiptMismatchError,
  WrongChainError,
} from "../../../../src/errors/index.ts";
import { type Dstack, deployAppOf, deployDstack, fundedAccount } from "../../../support/chain/deploy-dstack.ts";
import { deploySafe } from "../../../support/chain/deploy-owner-contracts.ts";
import { interceptedClient } from "../../../support/chain/intercepted-client.ts";
import { executeSafeBatch, installMultiSend, multiSend } from "../../../support/chain/safe.ts";
import { rejection } from "../../../support/rejection.ts";

const newHash = parseComposeHash("0c".repeat(32));
const newDevice = parseDeviceId("0d".repeat(32));
const abi = parseAbi(["function nonce() view returns (uint256)"]);

interface SafeOwned extends Dstack {
  readonly owners: readonly [LocalAccount, LocalAccount, LocalAccount];
  readonly safe: Address;
  /** Owned by the Safe. */
  readonly app: AppId;
}

async function deploySafeOwned(connection: NetworkConnection): Promise<SafeOwned> {
  const dstack = await deployDstack(connection);
  await installMultiSend(connection);
  const owners = [
    await fundedAccount(connection),
    await fundedAccount(connection),
    await fundedAccount(connection),
  ] as const;
  const safe = await deploySafe(dstack.client, {
    payer: dstack.stranger,
    owners: owners.map(({ address }) => address),
    threshold: 2,
  });
  return { ...dstack, owners, safe, app: await deployAppOf(dstack, safe) };
}

describe("buildSafeBatch", () => {
  let connection: NetworkConnection;
  let world: SafeOwned;

  before(async () => {
    connection = await network.create("local");
  });

  beforeEach(async () => {
    world = await connection.networkHelpers.loadFixture(deploySafeOwned);
  });

  function calls(): OwnerCall[] {
    const { app: appId, composeHash } = world;
    return [
      removeComposeHashCall({ appId, composeHash }),
      addComposeHashCall({ appId, composeHash: newHash }),
      addDeviceCall({ appId, deviceId: newDevice }),
    ];
  }

  function build(more: Partial<Parameters<typeof buildSafeBatch>[1]> = {}): Promise<SafeBatch> {
    return buildSafeBatch(world.client, { calls: calls(), safe: world.safe, ...more });
  }

  it("is executed with two signatures of three owners of a real Safe, in one transaction", async () => {
    const { client, app, composeHash, owners, safe, stranger } = world;
    const batch = await build();
    expect(batch).to.deep.include({ version: "1.5.0", threshold: 2n, chainId: 8453 });
    expect(batch.safeTx).to.deep.include({ to: multiSend, operation: 1, value: 0n, nonce: 0n });
    expect(batch.calls.map(({ functionName }) => functionName)).to.deep.equal([
      "addComposeHash",
      "addDevice",
      "removeComposeHash",
    ]);
    const receipt = await executeSafeBatch(client, { batch, signers: [owners[2], owners[0]], payer: stranger });
    expect(isAddressEqual(receipt.to ?? safe, safe)).to.equal(true);
    proveCalls(receipt, batch.calls);
    expect(await readAllowlist(client, { appId: app, composeHash, deviceId: newDevice })).to.include({
      composeHashAllowed: false,
      deviceListed: true,
    });
    expect(await readAllowlist(client, { appId: app, composeHash: newHash })).to.include({ composeHashAllowed: true });
    expect(await readContract(client, { address: safe, abi, functionName: "nonce" })).to.equal(1n);
  });

  it("is refused by the Safe with one signature, with a stranger's, and a second time", async () => {
    const { client, owners, stranger } = world;
    const batch = await build();
    const execute = (signers: readonly LocalAccount[]) => executeSafeBatch(client, { batch, signers, payer: stranger });
    expect(String(await rejection(execute([owners[0]])))).to.contain("GS020");
    expect(String(await rejection(execute([owners[0], stranger])))).to.contain("GS026");
    await execute([owners[0], owners[1]]);
    expect(String(await rejection(execute([owners[0], owners[1]])))).to.contain("GS026");
  });

  it("has a hash that depends on chain, Safe, nonce and every byte", async () => {
    const { safeTx, safeTxHash, safe, chainId, version } = await build();
    const domain = { safe, chainId, version };
    expect(hashSafeTx(safeTx, domain)).to.equal(safeTxHash);
    const others = [
      hashSafeTx({ ...safeTx, nonce: 1n }, domain),
      hashSafeTx({ ...safeTx, data: `${safeTx.data}00` }, domain),
      hashSafeTx({ ...safeTx, operation: 0 }, domain),
      hashSafeTx(safeTx, { ...domain, chainId: 1 }),
      hashSafeTx(safeTx, { ...domain, safe: world.kms }),
      hashSafeTx(safeTx, { ...domain, version: "1.1.1" }),
    ];
    expect(new Set([...others, safeTxHash])).to.have.length(7);
    // `build` compares its hash with the Safe's own, also for a later nonce.
    expect((await build({ nonce: 7n })).safeTx.nonce).to.equal(7n);
  });

  it("makes a single call the Safe's own transaction", async () => {
    const { client, app, owners, stranger } = world;
    const batch = await build({ calls: [addComposeHashCall({ appId: app, composeHash: newHash })] });
    expect(batch.safeTx).to.include({ to: app, operation: 0 });
    const receipt = await executeSafeBatch(client, { batch, signers: [owners[0], owners[1]], payer: stranger });
    proveCalls(receipt, batch.calls);
  });

  it("makes all calls or none", async () => {
    const { client, app, owners, safe, stranger } = world;
    const batch = await build();
    // The Safe transfers the app before the batch is executed.
    await connection.networkHelpers.setStorageAt(
      app,
      "0x9016d09d72d40fdae2fd8ceac6b6234c7706214fd39c1cd1e609a0528c199300",
      stranger.address,
    );
    const failing = executeSafeBatch(client, { batch, signers: [owners[0], owners[1]], payer: stranger });
    expect(String(await rejection(failing))).to.contain("0x118cdaa7"); // OwnableUnauthorizedAccount
    expect(await readAllowlist(client, { appId: app, composeHash: newHash })).to.include({ composeHashAllowed: false });
    expect(await readContract(client, { address: safe, abi, functionName: "nonce" })).to.equal(0n);
  });

  it("uses an older MultiSendCallOnly when the newest is missing", async () => {
    const older: Address = "0x40A2aCCbd92BCA938b02010E17A5b8929b49130D";
    await connection.networkHelpers.setCode(multiSend, "0x");
    expect(await rejection(build())).to.be.instanceOf(InvalidArgumentError);
    await installMultiSend(connection, older);
    const batch = await build();
    expect(batch.safeTx.to).to.equal(older);
    const multi = decodeFunctionData({
      abi: parseAbi(["function multiSend(bytes transactions) payable"]),
      data: batch.safeTx.data,
    });
    for (const call of batch.calls) expect(multi.args[0]).to.contain(call.data.slice(2));
  });

  it("uses the MultiSendCallOnly of the Safe's own version, as the Safe app does", async () => {
    const own: Address = "0x40A2aCCbd92BCA938b02010E17A5b8929b49130D";
    expect(await findMultiSend(world.client, { version: "1.3.0" })).to.equal(multiSend);
    await installMultiSend(connection, own);
    expect(await findMultiSend(world.client, { version: "1.3.0" })).to.equal(own);
    expect(await findMultiSend(world.client, { version: "1.5.0" })).to.equal(multiSend);
  });

  it("has the calls in one order, also in the file", async () => {
    const { calls, file } = await build();
    expect(file.transactions.map(({ data }) => data)).to.deep.equal(calls.map(({ data }) => data));
  });

  it("is for the given chain only", async () => {
    expect(await rejection(build({ chainId: 1 }))).to.be.instanceOf(WrongChainError);
  });

  it("refuses an owner that is not a Safe, contracts of others, and calls without effect", async () => {
    const { app, appId, kms, composeHash, stranger } = world;
    expect(await rejection(build({ safe: stranger.address }))).to.be.instanceOf(InvalidArgumentError);
    expect(await rejection(build({ safe: kms }))).to.be.instanceOf(InvalidArgumentError);
    const foreign = addComposeHashCall({ appId, composeHash: newHash });
    expect(await rejection(build({ calls: [...calls(), foreign] }))).to.have.property("owner");
    const idle = addComposeHashCall({ appId: app, composeHash });
    expect(await rejection(build({ calls: [idle] }))).to.be.instanceOf(NoEffectError);
  });

  it("refuses a Safe that computes another hash than its owners would check", async () => {
    const { client: _, ...rest } = world;
    const odd = interceptedClient(rest.connection, {
      intercept: ({ method, params }, pass) => {
        const [call] = params ?? [];
        const isQuestion = method === "eth_call" && JSON.stringify(call).includes("0xd8d11f78"); // getTransactionHash
        return isQuestion ? Promise.resolve(zeroHash) : pass();
      },
    });
    const error = await rejection(buildSafeBatch(odd.client, { calls: calls(), safe: world.safe }));
    expect(error).to.be.instanceOf(InvalidArgumentError);
    expect((error as InvalidArgumentError).context).to.include({ actual: zeroHash });
  });

  it("is what sendBatch recommends for an app that a Safe owns", async () => {
    const { client, owners } = world;
    const error = await rejection(sendBatch(client, { calls: calls(), account: owners[0] }));
    expect(error).to.be.instanceOf(ContractOwnerError);
    expect((error as ContractOwnerError).nextStep).to.contain("`buildSafeBatch`");
  });

  it("proves a call only by the event of its own contract", async () => {
    const { client, appId, owners, stranger } = world;
    const batch = await build();
    const receipt = await executeSafeBatch(client, { batch, signers: [owners[0], owners[1]], payer: stranger });
    const elsewhere = addComposeHashCall({ appId, composeHash: newHash });
    expect(() => proveCalls(receipt, [elsewhere])).to.throw(ReceiptMismatchError);
    const [first] = batch.calls;
    if (first === undefined) throw new Error("there are three");
    expect(() => proveCalls(receipt, [first, first])).to.throw(ReceiptMismatchError);
    expect(() => proveCalls({ ...receipt, status: "reverted" }, [first])).to.throw(ReceiptMismatchError);
  });
});
