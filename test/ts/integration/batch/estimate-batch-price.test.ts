import { expect } from "chai";
import { type Address, keccak256, numberToHex } from "viem";
import { getBalance } from "viem/actions";
import { buildSafeBatch } from "../../../../src/batch/build-safe-batch.ts";
import { estimateBatchPrice, estimateSafePrice } from "../../../../src/batch/estimate-batch-price.ts";
import { planBatch } from "../../../../src/batch/plan-batch.ts";
import type { BatchMode } from "../../../../src/batch/run.ts";
import { sendBatch } from "../../../../src/batch/send-batch.ts";
import { deployApp } from "../../../../src/chain/deploy-app.ts";
import { costOf } from "../../../../src/chain/transactions/price.ts";
import { waitForReceipt } from "../../../../src/chain/transactions/receipt.ts";
import { deployedApp } from "../../../../src/core/events.ts";
import { type AppId, parseComposeHash } from "../../../../src/core/ids.ts";
import {
  acceptOwnershipCall,
  addComposeHashCall,
  type OwnerCall,
  removeComposeHashCall,
  transferOwnershipCall,
} from "../../../../src/core/owner-calls.ts";
import { devAccount } from "../../../../src/world/chain/client.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { deploySafe } from "../../../support/chain/deploy-owner-contracts.ts";
import { executeSafeBatch, multiSend, multiSendCode } from "../../../support/chain/safe.ts";

function additions(appId: AppId, count: number): OwnerCall[] {
  return Array.from({ length: count }, (_, index) =>
    addComposeHashCall({ appId, composeHash: parseComposeHash(keccak256(numberToHex(index))) }),
  );
}

function removals(appId: AppId, count: number): OwnerCall[] {
  return additions(appId, count).map(({ args }) =>
    removeComposeHashCall({ appId, composeHash: parseComposeHash(String(args[0])) }),
  );
}

describe("the estimated price of a batch", () => {
  let world: World;
  let appId: AppId;
  let start: string;

  before(async () => {
    world = await startWorld({ cvms: false });
    appId = await appOf(world.owner.address);
    await world.chain.client.setCode({ address: multiSend, bytecode: multiSendCode });
    start = await world.snapshot();
  });

  beforeEach(() => world.restore(start));

  after(() => world?.close());

  async function appOf(owner: Address): Promise<AppId> {
    const { ownerClient: client, contracts } = world;
    const transactionHash = await deployApp(client, { kms: contracts.kms, owner });
    return deployedApp(await waitForReceipt(client, { transactionHash, functionName: "deploy" }), contracts);
  }

  /** Sends a batch whose plan was priced, and compares both. */
  async function expectPrice(calls: readonly OwnerCall[], mode: BatchMode, [least, most]: readonly [number, number]) {
    const { ownerClient: client, owner } = world;
    const balance = () => getBalance(client, { address: owner.address });
    const plan = await planBatch(client, { calls, mode });
    const price = await estimateBatchPrice(client, plan);
    const before = await balance();
    const { gasUsed, costWei, transactions } = await sendBatch(client, { calls, plan });
    expect(before - (await balance())).to.equal(costWei);
    expect(price.transactions).to.equal(transactions.length);
    expect(Number(gasUsed) / Number(price.expected.gas)).to.be.within(least, most);
    expect(costWei <= price.most.total && price.most.gas <= plan.gas).to.equal(true);
  }

  for (const mode of ["none", "7702"] as const) {
    for (const count of [1, 3, 20]) {
      it(`equals the cost of ${count} additions and as many removals, ${mode}`, async () => {
        await expectPrice(additions(appId, count), mode, [0.95, 1.001]);
        await expectPrice(removals(appId, count), mode, [0.95, 1.001]);
      });
    }
  }

  it("includes an upper bound for calls that the node cannot estimate yet", async () => {
    const { ownerClient: client, owner } = world;
    const other = devAccount(1);
    const appId = await appOf(other.address);
    await sendBatch(client, { account: other, calls: [transferOwnershipCall({ appId, newOwner: owner.address })] });
    await expectPrice([acceptOwnershipCall({ appId }), ...additions(appId, 3)], "none", [0.8, 1]);
  });

  for (const [count, threshold] of [
    [1, 1],
    [1, 3],
    [12, 2],
  ] as const) {
    it(`equals the cost of executing ${count} calls of a Safe, ${threshold} of 3`, async () => {
      const { ownerClient: client, owner } = world;
      const owners = [devAccount(17), devAccount(18), devAccount(19)];
      const safe = await deploySafe(client, {
        ...{ payer: owner, threshold },
        owners: owners.map(({ address }) => address),
      });
      const appId = await appOf(safe);
      // The first transaction of a Safe costs more.
      for (const calls of [additions(appId, count), removals(appId, count)]) {
        const batch = await buildSafeBatch(client, { calls, safe });
        const price = await estimateSafePrice(client, batch);
        const receipt = await executeSafeBatch(client, { batch, signers: owners.slice(0, threshold), payer: owner });
        expect(Number(receipt.gasUsed) / Number(price.expected.gas)).to.be.within(0.95, 1.03);
        expect(costOf(receipt) <= price.most.total).to.equal(true);
      }
    });
  }
});
