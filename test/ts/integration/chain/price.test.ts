import { expect } from "chai";
import { network } from "hardhat";
import { type Hex, keccak256, numberToHex, pad, parseEther, parseGwei, toHex } from "viem";
import { getBalance, getTransactionReceipt } from "viem/actions";
import { base, foundry } from "viem/chains";
import { type BatchResult, sendBatch } from "../../../../src/batch/index.ts";
import { addComposeHash } from "../../../../src/chain/add-compose-hash.ts";
import { deployApp } from "../../../../src/chain/deploy-app.ts";
import { encodeDeployApp } from "../../../../src/chain/encode-deploy-app.ts";
import { costOf, estimatePrice, type PricedTransaction } from "../../../../src/chain/transactions/price.ts";
import { waitForReceipt } from "../../../../src/chain/transactions/receipt.ts";
import { readGas } from "../../../../src/chain/transactions/simulate.ts";
import { encodeExecute } from "../../../../src/core/batch-executor.ts";
import { type ComposeHash, parseComposeHash, type TransactionHash } from "../../../../src/core/ids.ts";
import { addComposeHashCall } from "../../../../src/core/owner-calls.ts";
import type { PriceEstimate } from "../../../../src/core/price.ts";
import { ImplausibleAnswerError, InsufficientFundsError, RpcUnavailableError } from "../../../../src/errors/index.ts";
import { dstackAppAbi } from "../../../../src/generated/abi.ts";
import { startWorld, type World } from "../../../../src/world/start-world.ts";
import { clientOf, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { type Intercept, interceptedClient } from "../../../support/chain/intercepted-client.ts";
import { catchError } from "../../../support/update/catch-error.ts";

const gasPriceOracle = "0x420000000000000000000000000000000000000f";

/** The oracle compresses the bytes without the signature. */
const closeEnough = 0.02;

function hashes(count: number): ComposeHash[] {
  return Array.from({ length: count }, (_, index) => parseComposeHash(keccak256(numberToHex(index))));
}

describe("the price of transactions", () => {
  describe("on the local world", () => {
    let world: World;
    let start: string;

    before(async () => {
      world = await startWorld({ cloud: { rolloverMs: 0 } });
      start = await world.snapshot();
    });

    beforeEach(() => world.restore(start));

    after(() => world?.close());

    function balance(): Promise<bigint> {
      return getBalance(world.ownerClient, { address: world.owner.address });
    }

    function receiptOf(transactionHash: TransactionHash) {
      return waitForReceipt(world.ownerClient, { transactionHash, functionName: "test" });
    }

    /** The parts of a mined transaction's cost, as its receipt tells them. */
    async function partsOf(hash: Hex) {
      const receipt = await getTransactionReceipt(world.ownerClient, { hash });
      const { gasUsed, effectiveGasPrice } = receipt;
      const l1Fee = BigInt(Reflect.get(receipt, "l1Fee"));
      const total = costOf(receipt);
      return {
        gas: gasUsed,
        feePerGas: effectiveGasPrice,
        l1Fee,
        operatorFee: total - l1Fee - gasUsed * effectiveGasPrice,
      };
    }

    /** The gas and the base fee may be lower than the estimate. All other figures must equal it. */
    async function expectPaid({ expected, most }: PriceEstimate, hash: Hex, paid: bigint): Promise<void> {
      const { gas, feePerGas, l1Fee, operatorFee } = await partsOf(hash);
      expect(paid).to.equal(gas * feePerGas + l1Fee + operatorFee);
      expect(operatorFee > parseGwei("2"), "an operator fee").to.equal(true);
      expect(gas <= expected.gas, `${gas} gas of ${expected.gas}`).to.equal(true);
      expect(Number(gas) / Number(expected.gas)).to.be.within(0.9, 1);
      expect(Number(l1Fee) / Number(expected.l1Fee)).to.be.closeTo(1, closeEnough);
      expect(expected.total).to.equal(expected.executionFee + expected.l1Fee + expected.operatorFee);
      expect(paid <= expected.total && expected.total <= most.total, `${paid} of ${expected.total}`).to.equal(true);
    }

    it("of an added hash equals the receipt and the change of the balance, to the wei", async () => {
      const { ownerClient: client, owner, cvms } = world;
      const appId = cvms.onChain?.appId;
      if (appId === undefined) throw new Error("the world has an app");
      const [composeHash = parseComposeHash("")] = hashes(1);
      const { to, data } = addComposeHashCall({ appId, composeHash });
      const call = { from: owner.address, to, data, abi: dstackAppAbi, functionName: "addComposeHash" };
      const gas = await readGas(client, { ...call, ceiling: 250_000n });
      const price = await estimatePrice(client, { transactions: [{ to, data, ...gas }] });
      const before = await balance();
      const transactionHash = await addComposeHash(client, { appId, composeHash });
      const receipt = await receiptOf(transactionHash);
      const paid = before - (await balance());
      expect(costOf(receipt)).to.equal(paid);
      await expectPaid(price, transactionHash, paid);
      const { l1Fee, gas: gasUsed, operatorFee } = await partsOf(transactionHash);
      expect(l1Fee).to.equal(price.expected.l1Fee);
      const { expected } = await estimatePrice(client, { transactions: [{ to, data, gasLimit: gasUsed }] });
      expect(operatorFee).to.equal(expected.operatorFee);
    });

    it("of a deployment", async () => {
      const { ownerClient: client, owner, contracts } = world;
      const app = { kms: contracts.kms, owner: owner.address, composeHash: hashes(1)[0] };
      const { to, data } = encodeDeployApp(app);
      const call = { from: owner.address, to, data, abi: [], functionName: "deployAndRegisterApp" };
      const price = await estimatePrice(client, {
        transactions: [{ to, data, ...(await readGas(client, { ...call, ceiling: 3_000_000n })) }],
      });
      const before = await balance();
      const transactionHash = await deployApp(client, app);
      expect(costOf(await receiptOf(transactionHash))).to.equal(before - (await balance()));
      await expectPaid(price, transactionHash, before - (await balance()));
    });

    for (const count of [2, 15, 60]) {
      it(`of a batch of ${count} through a delegation, with the authorisation`, async () => {
        const { ownerClient: client, owner, cvms } = world;
        const appId = cvms.onChain?.appId;
        if (appId === undefined) throw new Error("the world has an app");
        const calls = hashes(count).map((composeHash) => addComposeHashCall({ appId, composeHash }));
        const before = await balance();
        const result: BatchResult = await sendBatch(client, { calls, mode: "7702" });
        expect(result.costWei).to.equal(before - (await balance()));
        const [sent] = result.transactions;
        if (sent === undefined) throw new Error("one was sent");
        const transaction = { to: owner.address, data: encodeExecute(calls), gasLimit: sent.gasUsed };
        const { l1Fee } = await partsOf(sent.transactionHash);
        const fee = async (authorizes: boolean) => {
          const { expected } = await estimatePrice(client, { transactions: [{ ...transaction, authorizes }] });
          return Number(expected.l1Fee) / Number(l1Fee);
        };
        // Of a long batch, the oracle is asked about a part.
        expect(await fee(true)).to.be.within(1 - closeEnough, count > 15 ? 1.1 : 1 + closeEnough);
        expect(await fee(false)).to.be.lessThan(await fee(true));
      });
    }

    it("asks for each kind of transaction once", async () => {
      const { ownerClient: client, owner } = world;
      const one: PricedTransaction = { to: owner.address, data: "0x12345678", gasLimit: 30_000n };
      const { expected } = await estimatePrice(client, { transactions: [one] });
      const { transactions, expected: all } = await estimatePrice(client, { transactions: Array(50).fill(one) });
      expect(transactions).to.equal(50);
      expect(all).to.deep.equal({
        gas: 50n * expected.gas,
        feePerGas: expected.feePerGas,
        executionFee: 50n * expected.executionFee,
        l1Fee: 50n * expected.l1Fee,
        operatorFee: 50n * expected.operatorFee,
        total: 50n * expected.total,
      });
    });

    it("is checked against the balance with the rollup's fees", async () => {
      const { ownerClient: client, owner, cvms, chain } = world;
      const appId = cvms.onChain?.appId;
      if (appId === undefined) throw new Error("the world has an app");
      const [composeHash = parseComposeHash("")] = hashes(1);
      const write = { appId, composeHash };
      let needed = 0n;
      const beforeSend = async ({ to, data, gas, ...fees }: PreparedFields) => {
        const price = await estimatePrice(client, { transactions: [{ to, data, gasLimit: gas }], fees });
        needed = price.most.total;
        throw new Error("enough is known");
      };
      await addComposeHash(client, { ...write, beforeSend }).catch(() => {});
      await chain.client.setBalance({ address: owner.address, value: needed - 1n });
      const error = await catchError(addComposeHash(client, write), InsufficientFundsError);
      expect(error.context).to.include({ balanceWei: `${needed - 1n}`, neededWei: `${needed}` });
      const batch = sendBatch(client, { calls: [addComposeHashCall(write)], mode: "none" });
      await catchError(batch, InsufficientFundsError);
      await chain.client.setBalance({ address: owner.address, value: needed });
      await addComposeHash(client, write);
    });
  });

  describe("where the endpoint answers", () => {
    const transactions: readonly PricedTransaction[] = [{ to: gasPriceOracle, data: "0x", gasLimit: 21_000n }];

    function oracle(answer: unknown): Intercept {
      return ({ method, params = [] }, pass) => {
        const { to } = Object(params[0]);
        return method === "eth_call" && to === gasPriceOracle ? Promise.resolve(answer) : pass();
      };
    }

    async function priceAt(answer: unknown) {
      const connection = await network.create("local");
      // Without Multicall3 in its definition, each question is a request of its own.
      const { client } = interceptedClient(connection, { chain: foundry, intercept: oracle(answer) });
      return estimatePrice(client, { transactions });
    }

    for (const answer of [toHex(2n ** 256n - 1n), numberToHex(parseEther("1") + 1n, { size: 32 })]) {
      it(`an absurd fee, the price is refused: ${answer.slice(0, 10)}…`, async () => {
        const error = await catchError(priceAt(answer), ImplausibleAnswerError);
        expect(error.message).to.match(/ as the (?:L1 data|operator) fee in wei; /);
      });
    }

    for (const answer of ["0x01", pad("0x", { size: 64 }), null, 7, { fee: 1 }]) {
      it(`a value that is not a fee, the price is refused: ${JSON.stringify(answer).slice(0, 12)}`, async () => {
        await catchError(priceAt(answer), RpcUnavailableError);
      });
    }

    it("a fee of 1 ETH, the sums do not overflow", async () => {
      const { most } = await priceAt(numberToHex(parseEther("1"), { size: 32 }));
      expect(most.l1Fee).to.equal(parseEther("2"));
    });
  });

  it("has no fee of a rollup on a chain that is not a rollup, with any id", async () => {
    const connection = await network.create({ network: "default", override: { chainId: base.id } });
    const { owner, client, appId } = await connection.networkHelpers.loadFixture(deployDstack);
    const [composeHash = parseComposeHash("")] = hashes(1);
    const { to, data } = addComposeHashCall({ appId, composeHash });
    const { expected, most } = await estimatePrice(client, { transactions: [{ to, data, gasLimit: 60_000n }] });
    expect([expected, most].map(({ l1Fee, operatorFee }) => l1Fee + operatorFee)).to.deep.equal([0n, 0n]);
    const before = await getBalance(client, { address: owner.address });
    const transactionHash = await addComposeHash(client, { account: owner, appId, composeHash });
    const receipt = await waitForReceipt(clientOf(connection), { transactionHash, functionName: "test" });
    expect(costOf(receipt)).to.equal(before - (await getBalance(client, { address: owner.address })));
    expect(costOf(receipt)).to.equal(receipt.gasUsed * receipt.effectiveGasPrice);
  });
});

interface PreparedFields extends Pick<PricedTransaction, "to" | "data"> {
  readonly gas: bigint;
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint;
}
