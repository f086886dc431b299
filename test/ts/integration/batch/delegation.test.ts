import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { type Address, concat, getContractAddress, type Hex, zeroAddress, zeroHash } from "viem";
import { getCode, getTransaction, getTransactionCount, sendTransaction } from "viem/actions";
import { base } from "viem/chains";
import { type PlanBatchParameters, planBatch } from "../../../../src/batch/plan-batch.ts";
import { sendBatch } from "../../../../src/batch/send-batch.ts";
import { undoDelegation } from "../../../../src/batch/undo-delegation.ts";
import { readAllowlist } from "../../../../src/chain/read-app.ts";
import {
  batchExecutorAddress,
  deterministicDeployer,
  earlierBatchExecutors,
  encodeExecute,
} from "../../../../src/core/batch-executor.ts";
import { parseComposeHash } from "../../../../src/core/ids.ts";
import { addComposeHashCall } from "../../../../src/core/owner-calls.ts";
import { DelegationUnsupportedError, ForeignDelegationError } from "../../../../src/errors/index.ts";
import { installBatchExecutor } from "../../../../src/world/chain/predeploys.ts";
import { type Dstack, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { interceptedClient } from "../../../support/chain/intercepted-client.ts";
import { rejection } from "../../../support/rejection.ts";
import earlier from "../../../support/vectors/earlier-batch-executors.json" with { type: "json" };

const hashes = ["1", "2", "3"].map((digit) => parseComposeHash(digit.repeat(64)));

describe("the delegation of an account", () => {
  let connection: NetworkConnection;
  let dstack: Dstack;

  before(async () => {
    // The simulated OP stack chain cannot read transactions of type 4; this one has Base's id and reads them.
    connection = await network.create({ network: "default", override: { chainId: 8453 } });
  });

  beforeEach(async () => {
    dstack = await connection.networkHelpers.loadFixture(deployWithExecutors);
  });

  /** The executors of all versions, deployed from their own code. */
  async function deployWithExecutors(connection: NetworkConnection): Promise<Dstack> {
    const dstack = await deployDstack(connection);
    await installBatchExecutor(dstack.client);
    for (const bytecode of earlier.bytecodes) {
      const data = concat([zeroHash, bytecode as Hex]);
      await sendTransaction(dstack.client, { account: dstack.stranger, chain: base, to: deterministicDeployer, data });
    }
    return dstack;
  }

  const calls = () => hashes.map((composeHash) => addComposeHashCall({ appId: dstack.appId, composeHash }));
  const plan = (more: Partial<PlanBatchParameters> = {}) =>
    planBatch(dstack.client, { calls: calls(), account: dstack.owner, ...more });
  const codeOf = (address: Address) => getCode(dstack.client, { address });

  async function delegate(to: Address): Promise<void> {
    const { client, owner } = dstack;
    const nonce = await getTransactionCount(client, { address: owner.address });
    const authorization = await owner.signAuthorization?.({ address: to, chainId: base.id, nonce: nonce + 1 });
    if (authorization === undefined) throw new Error("a local account signs");
    const authorizationList = [authorization];
    await sendTransaction(client, { account: owner, chain: base, to: zeroAddress, authorizationList });
    expect(await codeOf(owner.address)).to.equal(concat(["0xef0100", to]).toLowerCase());
  }

  async function requireAllAllowed(): Promise<void> {
    const { client, appId } = dstack;
    for (const composeHash of hashes)
      expect(await readAllowlist(client, { appId, composeHash })).to.include({ composeHashAllowed: true });
  }

  describe("with auto", () => {
    it("starts only when it is allowed, and is offered in the plan", async () => {
      const { client, owner } = dstack;
      const delegation = {
        executor: batchExecutorAddress,
        authorizes: true,
        replaces: undefined,
        deploys: false,
      };
      for (const allowDelegation of [undefined, false]) {
        const unasked = await plan({ allowDelegation });
        expect(unasked).to.deep.include({ mode: "none", delegation: undefined, offer: delegation, fallsBack: false });
        expect(unasked.reason).to.contain("not allowed");
      }
      const allowed = await plan({ allowDelegation: true });
      expect(allowed).to.deep.include({ mode: "7702", delegation, offer: undefined, fallsBack: true });

      const result = await sendBatch(client, { calls: calls(), account: owner });
      expect(result).to.include({
        mode: "none",
        reason: (await plan({ allowDelegation: false, allowNoEffect: true })).reason,
      });
      expect(result.transactions).to.have.length(3);
      expect(await codeOf(owner.address)).to.equal(undefined);
      await requireAllAllowed();
    });

    it("needs no permission when it exists already", async () => {
      const { client, owner } = dstack;
      await delegate(batchExecutorAddress);
      expect(await plan()).to.deep.include({ mode: "7702", offer: undefined });
      const { transactions } = await sendBatch(client, { calls: calls(), account: owner });
      expect(transactions).to.have.length(1);
      await requireAllAllowed();
    });

    it("is offered only when nothing else is missing", async () => {
      const { client, kms } = dstack;
      const one = await planBatch(client, { calls: calls().slice(0, 1), account: dstack.owner });
      expect(one).to.include({ mode: "none", offer: undefined });
      await connection.networkHelpers.setCode(batchExecutorAddress, "0x");
      expect(await plan(), "not worth a deployment").to.include({ mode: "none", offer: undefined });
      await delegate(kms);
      expect(await plan(), "delegates elsewhere").to.include({ mode: "none", offer: undefined });
    });
  });

  for (const [index, executor] of earlierBatchExecutors.entries())
    describe(`to earlier executor ${index + 1}`, () => {
      it("is recognised by the address that follows from its code", async () => {
        const bytecode = earlier.bytecodes[index] as Hex;
        const from = deterministicDeployer;
        expect(getContractAddress({ opcode: "CREATE2", from, salt: zeroHash, bytecode }).toLowerCase()).to.equal(
          executor,
        );
        expect(await codeOf(executor)).to.not.equal(undefined);
      });

      it("is replaced when that is requested or allowed, in the transaction of the batch", async () => {
        const { client, owner } = dstack;
        await delegate(executor);
        const delegation = { executor: batchExecutorAddress, authorizes: true, replaces: executor, deploys: false };
        expect(await plan()).to.deep.include({ mode: "none", delegation: undefined, offer: delegation });
        expect((await plan()).reason).to.contain(executor);
        expect(await plan({ allowDelegation: true })).to.deep.include({ mode: "7702", delegation });
        const asked = await plan({ mode: "7702" });
        expect(asked).to.deep.include({ mode: "7702", delegation });

        const result = await sendBatch(client, { calls: calls(), account: owner, plan: asked });
        expect(result.transactions).to.have.length(1);
        const hash = result.transactions[0]?.transactionHash ?? "0x";
        expect(await getTransaction(client, { hash })).to.include({ type: "eip7702" });
        expect(await codeOf(owner.address)).to.equal(concat(["0xef0100", batchExecutorAddress]));
        await requireAllAllowed();
        expect((await planBatch(client, { calls: [], account: owner })).delegation).to.equal(undefined);
      });

      it("stays as it is when the calls are sent one by one", async () => {
        const { client, owner } = dstack;
        await delegate(executor);
        expect(await sendBatch(client, { calls: calls(), account: owner })).to.include({ mode: "none" });
        expect(await codeOf(owner.address)).to.equal(concat(["0xef0100", executor]));
        await requireAllAllowed();
      });

      it("ignores a batch of ERC-7821, so an estimate without the new authorisation is not used", async () => {
        const { client, owner } = dstack;
        await delegate(executor);
        const idle = { account: owner, chain: base, to: owner.address, data: encodeExecute(calls()) };
        await sendTransaction(client, idle);
        const { composeHashAllowed } = await readAllowlist(client, { appId: dstack.appId, composeHash: hashes[0] });
        expect(composeHashAllowed).to.equal(false);
        const forgetful = interceptedClient(connection, {
          intercept: ({ method, params = [] }, pass) => {
            if (method !== "eth_estimateGas") return pass();
            const { authorizationList: _, ...call } = Object(params[0]) as Record<string, unknown>;
            return connection.provider.request({ method, params: [call, ...params.slice(1)] });
          },
        });
        const nonce = await getTransactionCount(client, { address: owner.address });
        const asked = sendBatch(forgetful.client, { calls: calls(), account: owner, mode: "7702" });
        expect(await rejection(asked)).to.be.instanceOf(DelegationUnsupportedError);
        expect(await getTransactionCount(client, { address: owner.address })).to.equal(nonce);
      });

      it("can be ended without its address", async () => {
        const { client, owner } = dstack;
        await delegate(executor);
        const named = undoDelegation(client, { account: owner, delegate: batchExecutorAddress });
        expect(await rejection(named)).to.be.instanceOf(ForeignDelegationError);
        expect(await undoDelegation(client, { account: owner })).to.include({ previous: executor });
        expect(await codeOf(owner.address)).to.equal(undefined);
      });

      it("is not replaced unless the plan says so", async () => {
        const { client, owner } = dstack;
        const shown = await plan({ mode: "7702" });
        await delegate(executor);
        const stopped = sendBatch(client, { calls: calls(), account: owner, plan: shown });
        expect(await rejection(stopped)).to.be.instanceOf(ForeignDelegationError);
        expect(await codeOf(owner.address)).to.equal(concat(["0xef0100", executor]));
      });
    });
});
