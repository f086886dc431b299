import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { numberToHex, parseGwei } from "viem";
import { parseAccount } from "viem/accounts";
import { sendBatch } from "../../../../src/batch/index.ts";
import { type Ledger, memoryLedger } from "../../../../src/chain/transactions/ledger.ts";
import { createSending, parseSending, type SendingArguments } from "../../../../src/commands/sending.ts";
import { parseComposeHash } from "../../../../src/core/ids.ts";
import { addComposeHashCall, type OwnerCall } from "../../../../src/core/owner-calls.ts";
import { InvalidArgumentError } from "../../../../src/errors/index.ts";
import { createOutput } from "../../../../src/output/output.ts";
import { type Dstack, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { crashingOnceRecorded } from "../../../support/ledger/crashing-ledger.ts";
import { rejection } from "../../../support/rejection.ts";
import { until } from "../../../support/until.ts";

describe("the offer to replace transactions below the base fee", () => {
  let connection: NetworkConnection;
  let dstack: Dstack;
  let ledger: Ledger;
  before(async () => {
    connection = await network.create("local");
  });
  beforeEach(async () => {
    dstack = await connection.networkHelpers.loadFixture(deployDstack);
    ledger = memoryLedger();
    await connection.provider.request({ method: "evm_setAutomine", params: [false] });
  });
  afterEach(() => connection.provider.request({ method: "evm_setAutomine", params: [true] }));

  const attempts = () => ledger.transactions().map((transaction) => transaction.attempts.length);
  const mine = () => connection.networkHelpers.mine(1);

  async function raiseBaseFee(baseFee: bigint): Promise<void> {
    await connection.provider.request({
      method: "hardhat_setNextBlockBaseFeePerGas",
      params: [numberToHex(baseFee)],
    });
    await mine();
  }

  /** Sends two calls, and answers the questions of the task in turn. Returns them, and what was printed. */
  async function send(
    answers: readonly boolean[],
    during: () => Promise<void>,
    args: SendingArguments = {},
    named?: readonly OwnerCall[],
  ) {
    const { client, appId, owner: account } = dstack;
    const questions: string[] = [];
    const stream = Object.assign(new PassThrough(), { columns: 1000 });
    const ask = async (question: string) => {
      questions.push(question);
      return answers[questions.length - 1] ?? false;
    };
    const io = { output: createOutput(stream), ask, signal: new AbortController().signal };
    const choices = parseSending(args, { finality: undefined });
    const twoCalls = ["1", "2"].map((digit) =>
      addComposeHashCall({ appId, composeHash: parseComposeHash(digit.repeat(64)) }),
    );
    const calls = named ?? twoCalls;
    const sending = sendBatch(client, {
      ...{ calls, account, ledger, mode: "none", pollIntervalMs: 20 },
      ...createSending(io, { client }, { choices, ledger, account }),
    });
    await until(() => ledger.transactions().filter((one) => one.attempts[0]?.isSent).length === calls.length);
    await during();
    await mine();
    await sending;
    stream.end();
    return { questions, printed: await text(stream) };
  }

  it("is made once for all pending ones, and a yes replaces them with more than the base fee", async () => {
    const { questions, printed } = await send([true], async () => {
      await raiseBaseFee(parseGwei("60"));
      await until(() => attempts().every((count) => count === 2));
    });
    expect(questions).to.have.length(1);
    expect(questions[0]).to.match(/^Replace it, and others of this run, for at most 12\d(\.\d+)? gwei per gas\?$/);
    expect(printed).to.match(/nonce \d+ pays at most [\d.]+ gwei per gas, and the base fee is 60 gwei: it waits/);
    for (const { state, attempts } of ledger.transactions())
      expect([state, attempts.map(({ maxFeePerGas }) => maxFeePerGas > parseGwei("60"))]).to.deep.equal([
        "mined",
        [false, true],
      ]);
  });

  it("is not made again after a no: the transactions wait until the base fee falls", async () => {
    const { questions } = await send([false, true], async () => {
      await raiseBaseFee(parseGwei("60"));
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      expect(attempts()).to.deep.equal([1, 1]);
      await raiseBaseFee(1n);
    });
    expect(questions).to.have.length(1);
  });

  it("also raises a priority fee that the user named", async () => {
    const during = async () => {
      await raiseBaseFee(parseGwei("60"));
      await until(() => attempts().every((count) => count === 2));
    };
    await send([], during, { maxFee: "20", priorityFee: "16", replace: "200" });
    for (const { attempts } of ledger.transactions())
      expect(attempts.map((one) => one.maxPriorityFeePerGas)).to.deep.equal([parseGwei("16"), parseGwei("18")]);
  });

  it("names the flag where an earlier run named a priority fee above the limit, and goes on waiting", async () => {
    const { client, owner: account } = dstack;
    const fees = { maxFeePerGas: parseGwei("20"), maxPriorityFeePerGas: parseGwei("16") };
    const call = addComposeHashCall({ appId: dstack.appId, composeHash: parseComposeHash("1".repeat(64)) });
    const dying = crashingOnceRecorded(ledger);
    await rejection(sendBatch(client, { calls: [call], account, ledger: dying, mode: "none", ...fees }));
    await raiseBaseFee(parseGwei("60"));
    const { printed } = await send(
      [],
      async () => {
        await raiseBaseFee(1n);
      },
      { replace: "200" },
      [call],
    );
    expect(printed)
      .to.contain("a priority fee of at least 18 gwei, and no more than 12 gwei is chosen unless you name it")
      .and.contain("--priority-fee");
    expect(attempts()).to.deep.equal([1]);
    expect(ledger.transactions()[0]?.state).to.equal("mined");
  });

  it("is for a key in this process: for a node's key, a priority fee above the limit is refused", async () => {
    const { client, owner, appId } = dstack;
    const calls = [addComposeHashCall({ appId, composeHash: parseComposeHash("3".repeat(64)) })];
    const error = await rejection(
      sendBatch(client, {
        ...{ calls, ledger, account: parseAccount(owner.address) },
        maxPriorityFeePerGas: parseGwei("4"),
      }),
    );
    expect(error).to.be.instanceOf(InvalidArgumentError).with.property("message").that.contains("3 gwei");
    expect(ledger.transactions()).to.deep.equal([]);
  });

  it("is also made for transactions that a node signs", async () => {
    const { client, owner, appId } = dstack;
    const account = parseAccount(owner.address);
    const calls = [addComposeHashCall({ appId, composeHash: parseComposeHash("4".repeat(64)) })];
    await connection.networkHelpers.impersonateAccount(owner.address);
    const told: bigint[] = [];
    const sending = sendBatch(client, {
      ...{ calls, ledger, account, pollIntervalMs: 20 },
      onUnderpriced: async (_, baseFeePerGas) => told.push(baseFeePerGas) < 0,
    });
    await until(() => ledger.transactions()[0]?.attempts[0]?.isSent);
    await raiseBaseFee(parseGwei("60"));
    await until(() => told.length > 0);
    await raiseBaseFee(1n);
    await mine();
    await sending;
    expect(told[0]).to.equal(parseGwei("60"));
  });
});
