import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import {
  BaseError,
  ContractFunctionRevertedError,
  createWalletClient,
  decodeErrorResult,
  type Hex,
  http,
  type LocalAccount,
  parseEther,
  zeroAddress,
} from "viem";
import { getBalance, waitForTransactionReceipt } from "viem/actions";
import { base } from "viem/chains";
import { encodeExecuteData, erc7821Actions } from "viem/experimental/erc7821";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import { batchExecutorAddress, encodeExecute } from "../../../../src/core/batch-executor.ts";
import { type ComposeHash, parseComposeHash } from "../../../../src/core/ids.ts";
import { addComposeHashCall } from "../../../../src/core/owner-calls.ts";
import { batchExecutorAbi, dstackAppAbi } from "../../../../src/generated/abi.ts";
import { installBatchExecutor } from "../../../../src/world/chain/predeploys.ts";
import { type RpcServer, serveRpc } from "../../../../src/world/chain/rpc-server.ts";
import { type Dstack, deployAppOf, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { rejection } from "../../../support/rejection.ts";

const [first, second, third] = ["1", "2", "3"].map((digit) => parseComposeHash(digit.repeat(64))) as [
  ComposeHash,
  ComposeHash,
  ComposeHash,
];

/** Other programs use the delegation too. They know the standard, and nothing of this package. */
describe("the batch executor, through viem's actions of ERC-7821", () => {
  let connection: NetworkConnection;
  let dstack: Dstack;
  let server: RpcServer;

  before(async () => {
    // The simulated OP stack chain cannot read transactions of type 4; this one has Base's id and reads them.
    connection = await network.create({ network: "default", override: { chainId: 8453 } });
    // viem reads reverts in the form in which nodes report them over HTTP.
    server = await serveRpc((method, params) => connection.provider.request({ method, params: [...params] }), 0);
  });

  after(() => server.close());

  beforeEach(async () => {
    dstack = await connection.networkHelpers.loadFixture(deployWithExecutor);
  });

  async function deployWithExecutor(connection: NetworkConnection): Promise<Dstack> {
    const dstack = await deployDstack(connection);
    await installBatchExecutor(dstack.client);
    return dstack;
  }

  function wallet(account: LocalAccount = dstack.owner) {
    return createWalletClient({ account, chain: base, transport: http(server.url) }).extend(erc7821Actions());
  }

  /** Delegates with its first transaction, which carries no calls. */
  async function delegated() {
    const client = wallet();
    const { account } = client;
    const authorization = await client.signAuthorization({ address: batchExecutorAddress, executor: "self" });
    await mined(await client.execute({ address: account.address, authorizationList: [authorization], calls: [] }));
    return client;
  }

  async function mined(hash: Hex) {
    const receipt = await waitForTransactionReceipt(dstack.client, { hash });
    expect(receipt.status).to.equal("success");
    return receipt;
  }

  function adding(composeHash: ComposeHash, to: Hex = dstack.appId) {
    return { to, abi: dstackAppAbi, functionName: "addComposeHash", args: [composeHash] } as const;
  }

  async function areAllowed(...hashes: readonly ComposeHash[]) {
    const { client, appId } = dstack;
    return Promise.all(
      hashes.map(async (composeHash) => (await readAllowlist(client, { appId, composeHash })).composeHashAllowed),
    );
  }

  it("is encoded as viem encodes it", () => {
    for (const hashes of [[], [first], [first, second, third]]) {
      const calls = hashes.map((composeHash) => addComposeHashCall({ appId: dstack.appId, composeHash }));
      expect(encodeExecute(calls)).to.equal(encodeExecuteData({ calls: calls.map(({ to, data }) => ({ to, data })) }));
    }
  });

  it("is recognised in an account that delegates, in each mode of the standard", async () => {
    const { owner, stranger } = dstack;
    const client = await delegated();
    for (const mode of ["default", "opData", "batchOfBatches"] as const) {
      expect(await client.supportsExecutionMode({ address: owner.address, mode }), mode).to.equal(true);
      expect(await client.supportsExecutionMode({ address: stranger.address, mode }), mode).to.equal(false);
    }
    const single: Hex = `0x${"00".repeat(32)}`;
    const withoutRevert: Hex = `0x0101${"00".repeat(30)}`;
    for (const mode of [single, withoutRevert])
      expect(await client.supportsExecutionMode({ address: owner.address, mode }), mode).to.equal(false);
  });

  it("delegates and makes calls with and without value in one transaction", async () => {
    const { owner, stranger } = dstack;
    const client = wallet();
    const before = await getBalance(dstack.client, { address: stranger.address });
    const authorization = await client.signAuthorization({ address: batchExecutorAddress, executor: "self" });
    const hash = await client.execute({
      address: owner.address,
      authorizationList: [authorization],
      calls: [adding(first), { to: stranger.address, value: parseEther("0.1") }, adding(second)],
    });
    expect((await mined(hash)).logs).to.have.length(4);
    expect(await areAllowed(first, second)).to.deep.equal([true, true]);
    expect(await getBalance(dstack.client, { address: stranger.address })).to.equal(before + parseEther("0.1"));
  });

  it("accepts empty opData, several batches, and the zero address for the account", async () => {
    const { owner } = dstack;
    const client = await delegated();
    const { address } = owner;
    await mined(await client.execute({ address, calls: [adding(first)], opData: "0x" }));
    const inner = encodeExecuteData({ calls: [adding(third)] });
    await mined(
      await client.executeBatches({
        address,
        batches: [{ calls: [adding(second)] }, { calls: [{ to: zeroAddress, data: inner }], opData: "0x" }],
      }),
    );
    expect(await areAllowed(first, second, third)).to.deep.equal([true, true, true]);
  });

  it("makes no call with opData, which it would not read", async () => {
    const client = await delegated();
    const { address } = client.account;
    for (const send of [
      () => client.execute({ address, calls: [adding(first)], opData: "0x1234" }),
      () => client.executeBatches({ address, batches: [{ calls: [adding(first)] }, { calls: [], opData: "0x1234" }] }),
    ])
      expect(revertOf(await rejection(send()))).to.include({ errorName: "OpDataNotSupported" });
    expect(await areAllowed(first)).to.deep.equal([false]);
  });

  it("names the call that failed, in viem's own error where the call has the executor's ABI", async () => {
    const { kms, stranger } = dstack;
    const foreign = await deployAppOf(dstack, stranger.address);
    const client = await delegated();
    const { address } = client.account;
    const withExecutor = [...dstackAppAbi, ...batchExecutorAbi] as const;
    const calls = [adding(first), { ...adding(second, foreign), abi: withExecutor }, { to: kms, data: "0x" }] as const;
    const [one, two, three] = calls;
    for (const send of [
      () => client.execute({ address, calls }),
      () => client.executeBatches({ address, batches: [{ calls: [one] }, { calls: [] }, { calls: [two, three] }] }),
    ]) {
      const error = await rejection(send());
      const revert = error instanceof BaseError && error.walk((one) => one instanceof ContractFunctionRevertedError);
      if (!(revert instanceof ContractFunctionRevertedError)) throw error;
      const { errorName, args = [] } = revert.data ?? {};
      expect([errorName, args[0]]).to.deep.equal(["CallFailed", 1n]);
      expect(decodeErrorResult({ abi: dstackAppAbi, data: args[1] as Hex })).to.deep.include({
        errorName: "OwnableUnauthorizedAccount",
        args: [address],
      });
    }
    expect(await areAllowed(first)).to.deep.equal([false]);
  });

  it("makes no call of another account, in any mode", async () => {
    const { owner, stranger } = dstack;
    await delegated();
    const thief = wallet(stranger);
    const calls = [adding(first)] as const;
    for (const send of [
      () => thief.execute({ address: owner.address, calls }),
      () => thief.execute({ address: owner.address, calls, opData: "0x1234" }),
      () => thief.executeBatches({ address: owner.address, batches: [{ calls }] }),
    ])
      expect(revertOf(await rejection(send()))).to.deep.include({
        errorName: "NotTheAccount",
        args: [stranger.address],
      });
    expect(await areAllowed(first)).to.deep.equal([false]);
  });
});

/** The executor's own error, as the node reports it. */
function revertOf(error: unknown) {
  const cause = error instanceof BaseError ? error.walk((one) => "data" in Object(one)) : undefined;
  const { data } = Object(cause) as { readonly data?: Hex };
  if (data === undefined) throw error;
  return decodeErrorResult({ abi: batchExecutorAbi, data });
}
