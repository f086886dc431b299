import { setTimeout as wait } from "node:timers/promises";
import { expect } from "chai";
import { parseEther } from "viem";
import { createOwnerClient, devAccount } from "../../../../src/world/chain/client.ts";
import {
  type ChainRecord,
  type RecordedRequest,
  recordRequests,
  replayRequests,
} from "../../../../src/world/chain/record.ts";
import { createSimulatedChain, startChain } from "../../../../src/world/chain/start-chain.ts";
import { rejection } from "../../../support/rejection.ts";
import { postRpc } from "../../../support/world/post-rpc.ts";

const stranger = devAccount(3).address;
const anHourAgo = () => new Date(Date.now() - 3_600_000);

/** A record in memory, which a second chain can be started from. */
function newRecord(
  genesis = new Date(),
  requests: RecordedRequest[] = [],
): ChainRecord & { requests: RecordedRequest[] } {
  return { genesis, requests, append: (request) => void requests.push(JSON.parse(JSON.stringify(request))) };
}

describe("a recorded chain", () => {
  it("is repeated with the same hashes, for each kind of call", async () => {
    const record = newRecord(anHourAgo());
    const chain = await startChain({ record });
    const { client, rpcUrl } = chain;
    const owner = createOwnerClient({ rpcUrl, chain: client.chain, owner: devAccount(0) });
    const sent = await owner.request({
      method: "eth_sendTransaction",
      params: [{ from: devAccount(1).address, to: stranger, value: "0x1" }],
    });
    await client.setBalance({ address: stranger, value: 5n });
    await client.setNextBlockTimestamp({ timestamp: (await client.getBlock()).timestamp + 1000n });
    await client.mine({ blocks: 9, interval: 3 });
    // Refused, and mined nothing.
    await rejection(owner.request({ method: "eth_sendRawTransaction", params: ["0x02"] }));
    const snapshot = await client.snapshot();
    await client.mine({ blocks: 1 });
    await client.revert({ id: snapshot });
    await client.setAutomine(false);
    await owner.request({
      method: "eth_sendTransaction",
      params: [{ from: devAccount(2).address, to: stranger, value: "0x2" }],
    });
    await client.mine({ blocks: 1 });
    const head = await client.getBlock();
    await chain.close();

    const again = await startChain({ record: newRecord(record.genesis, record.requests) });
    try {
      expect(await again.client.getBlock()).to.deep.equal(head);
      expect(await again.client.getBalance({ address: stranger })).to.equal(7n);
      expect((await again.client.getTransactionReceipt({ hash: sent })).status).to.equal("success");
      expect(await again.client.getAutomine()).to.equal(false);
    } finally {
      await again.close();
    }
  });

  it("repeats the pauses between its blocks", async () => {
    const record = newRecord();
    const chain = await createSimulatedChain(record);
    const recorded = recordRequests(chain.answer, record);
    await recorded("evm_mine", []);
    // Time passes without an entry in the record.
    await chain.answer("evm_increaseTime", [500]);
    await recorded("hardhat_mine", ["0x3", "0x5"]);
    const head = await chain.answer("eth_getBlockByNumber", ["latest", false]);
    await chain.close();

    const again = await createSimulatedChain(record);
    await replayRequests(again.answer, record);
    expect(await again.answer("eth_getBlockByNumber", ["latest", false])).to.deep.equal(head);
    await again.close();
  });

  it("repeats a return to a snapshot after time has passed", async () => {
    const record = newRecord();
    const chain = await startChain({ record });
    const { client } = chain;
    const id = await client.snapshot();
    await wait(1000);
    await client.revert({ id });
    await client.mine({ blocks: 2 });
    const head = await client.getBlock();
    await chain.close();

    const again = await startChain({ record: newRecord(record.genesis, record.requests) });
    expect(await again.client.getBlock()).to.deep.equal(head);
    await again.close();
  });

  it("repeats the calls of many clients at the same time", async () => {
    const record = newRecord();
    const chain = await createSimulatedChain(record);
    const recorded = recordRequests(chain.answer, record);
    await Promise.all(Array.from({ length: 20 }, () => recorded("evm_mine", [])));
    const heads = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const block = await chain.answer("eth_getBlockByNumber", [`0x${(index + 1).toString(16)}`, false]);
        return (block as { hash: string }).hash;
      }),
    );
    await chain.close();

    expect(record.requests.map(({ head }) => head)).to.deep.equal(heads);
    expect(new Set(record.requests.map(({ minedAt }) => minedAt)).size).to.equal(20);
  });

  it("records a call before its answer, and never a read", async () => {
    const record = newRecord();
    const chain = await startChain({ record });
    try {
      const length = record.requests.length;
      await chain.client.getBlockNumber();
      expect(record.requests.length).to.equal(length);
      await chain.client.setBalance({ address: stranger, value: parseEther("1") });
      expect(record.requests.at(-1)).to.include({ method: "hardhat_setBalance" }).and.not.have.property("minedAt");
      await chain.client.mine({ blocks: 1 });
      expect(record.requests.at(-1)).to.have.property("minedAt", Number((await chain.client.getBlock()).timestamp));
    } finally {
      await chain.close();
    }
  });

  it("does not record a refused call", async () => {
    const record = newRecord();
    const chain = await startChain({ record });
    try {
      const { length } = record.requests;
      for (const [method, params] of [
        ["hardhat_mine", ["0xffffffff"]],
        ["hardhat_setBalance", ["0x1"]],
        ["eth_sendRawTransaction", ["0x02"]],
      ] as const) {
        expect(await postRpc<object>(chain.rpcUrl, { id: 1, method, params })).to.have.property("error");
      }
      expect(record.requests).to.have.lengthOf(length);
    } finally {
      await chain.close();
    }
  });

  it("continues at the current time after a pause, and keeps the time that it was ahead", async () => {
    const record = newRecord(anHourAgo());
    const first = await startChain({ record });
    await first.client.increaseTime({ seconds: 86_400 });
    await first.client.mine({ blocks: 1 });
    await first.close();
    // That chain was an hour behind. This is its record if it had run then, a day ahead of the time of day.
    const requests = record.requests.map((request) => ({ ...request, clockOffset: 86_400 }));

    const second = await startChain({ record: newRecord(record.genesis, requests) });
    try {
      await second.client.mine({ blocks: 1 });
      const { timestamp } = await second.client.getBlock();
      expect(Number(timestamp) - 86_400).to.be.closeTo(Date.now() / 1000, 5);
    } finally {
      await second.close();
    }
  });

  it("does not mine by itself, because that could not be repeated", async () => {
    const chain = await startChain({ record: newRecord() });
    try {
      const call = (params: unknown) =>
        postRpc<object>(chain.rpcUrl, { id: 1, method: "evm_setIntervalMining", params });
      expect(await call([1000])).to.have.nested.property("error.code", -32603);
      expect(await call([0])).to.have.property("result", true);
    } finally {
      await chain.close();
    }
  });

  it("changes nothing more until a call is recorded, and then goes on without a gap", async () => {
    const record = newRecord();
    let isFull = false;
    const chain = await startChain({
      record: {
        ...record,
        append: (request) => {
          if (isFull) throw new Error("no space left on device");
          record.append(request);
        },
      },
    });
    try {
      isFull = true;
      const mine = () => postRpc<object>(chain.rpcUrl, { id: 1, method: "evm_mine" });
      const before = await chain.client.getBlockNumber({ cacheTime: 0 });
      for (let tries = 0; tries < 3; tries++)
        expect(await mine()).to.have.nested.property("error.message", "no space left on device");
      expect(await chain.client.getBlockNumber({ cacheTime: 0 })).to.equal(before + 1n);
      isFull = false;
      expect(await mine()).to.have.property("result");
      const head = await chain.client.getBlock();
      expect(head.number).to.equal(before + 2n);
      expect(record.requests.slice(-2).map(({ method }) => method)).to.deep.equal(["evm_mine", "evm_mine"]);
      expect(record.requests.at(-1)?.head).to.equal(head.hash);
    } finally {
      await chain.close();
    }
  });

  it("is refused when the result differs", async () => {
    const record = newRecord();
    const chain = await startChain({ record });
    await chain.client.setBalance({ address: stranger, value: 5n });
    await chain.client.mine({ blocks: 1 });
    await chain.close();

    const tampered = record.requests.filter(({ method }) => method !== "hardhat_setBalance");
    const error = await rejection(startChain({ record: newRecord(record.genesis, tampered) }));

    expect(error).to.have.property("name", "InvalidArgumentError");
  });
});
