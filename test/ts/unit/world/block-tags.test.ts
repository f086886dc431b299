import { expect } from "chai";
import { numberToHex } from "viem";
import { withLaggingTags } from "../../../../src/world/chain/block-tags.ts";

const lags = { safe: 73, finalized: 1235 };
const account = `0x${"12".repeat(20)}`;

interface Call {
  readonly method: string;
  readonly params: readonly unknown[];
}

/** A chain with five blocks a second since second 0. Its clock is at the newest block. */
function chainOf(start: { readonly blocks: number }) {
  let { blocks } = start;
  const calls: Call[] = [];
  const answer = async (method: string, params: readonly unknown[]) => {
    calls.push({ method, params });
    if (method !== "eth_getBlockByNumber") return method;
    const number = params[0] === "latest" ? blocks : Number(params[0]);
    return number > blocks
      ? null
      : { number: numberToHex(number), timestamp: numberToHex(Math.floor(number / 5)), hash: numberToHex(number) };
  };
  const tagged = withLaggingTags({ answer, now: async () => Math.floor(blocks / 5) }, lags);
  return {
    calls,
    /** The call that reaches the engine. */
    translated: async (method: string, ...params: unknown[]) => {
      await tagged(method, params);
      return calls.at(-1)?.params;
    },
    setBlocks: (count: number) => {
      blocks = count;
    },
    revert: () => tagged("evm_revert", ["0x1"]),
  };
}

/** Blocks of the tags on a chain of 100,000 blocks, 20,000 seconds. Each is the last one of its second. */
const safe = numberToHex((20_000 - 73) * 5 + 4);
const finalized = numberToHex((20_000 - 1235) * 5 + 4);

describe("the safe and finalized tags of a local chain", () => {
  const { translated } = chainOf({ blocks: 100_000 });

  for (const [method, params, expected] of [
    ["eth_getBalance", [account, "safe"], [account, safe]],
    ["eth_getCode", [account, "finalized"], [account, finalized]],
    ["eth_getTransactionCount", [account, "safe"], [account, safe]],
    ["eth_getStorageAt", [account, "0x0", "safe"], [account, "0x0", safe]],
    ["eth_getProof", [account, ["0x0"], "finalized"], [account, ["0x0"], finalized]],
    ["eth_call", [{ to: account }, "safe"], [{ to: account }, safe]],
    ["eth_call", [{ to: account }, "safe", { [account]: {} }], [{ to: account }, safe, { [account]: {} }]],
    ["eth_estimateGas", [{ to: account }, "safe"], [{ to: account }, safe]],
    ["eth_createAccessList", [{ to: account }, "finalized"], [{ to: account }, finalized]],
    ["eth_simulateV1", [{ blockStateCalls: [] }, "safe"], [{ blockStateCalls: [] }, safe]],
    ["debug_traceCall", [{ to: account }, "safe", {}], [{ to: account }, safe, {}]],
    ["eth_getBlockByNumber", ["finalized", false], [finalized, false]],
    ["eth_getBlockReceipts", ["safe"], [safe]],
    ["eth_getBlockTransactionCountByNumber", ["safe"], [safe]],
    ["eth_getTransactionByBlockNumberAndIndex", ["safe", "0x0"], [safe, "0x0"]],
    ["eth_getUncleCountByBlockNumber", ["safe"], [safe]],
    ["eth_feeHistory", ["0x4", "safe", [25]], ["0x4", safe, [25]]],
    ["eth_getLogs", [{ fromBlock: "finalized", toBlock: "safe" }], [{ fromBlock: finalized, toBlock: safe }]],
    ["eth_getLogs", [{ address: account, toBlock: "safe" }], [{ address: account, toBlock: safe }]],
    ["eth_newFilter", [{ fromBlock: "safe", toBlock: "latest" }], [{ fromBlock: safe, toBlock: "latest" }]],
  ] as const) {
    it(`are numbers in ${method} ${JSON.stringify(params.at(-1))}`, async () => {
      expect(await translated(method, ...params)).to.deep.equal(expected);
    });
  }

  for (const params of [
    [account, "latest"],
    [account, "pending"],
    [account, "earliest"],
    [account, "0x5"],
    [account, { blockNumber: "0x5" }],
    [account, { blockHash: account, requireCanonical: true }],
    [{ blockHash: account }],
  ]) {
    it(`leave ${JSON.stringify(params.at(-1))} as it is`, async () => {
      expect(await translated("eth_getBalance", ...params)).to.deep.equal(params);
    });
  }

  it("name block 0 until a block is old enough", async () => {
    const young = chainOf({ blocks: 300 });
    expect(await young.translated("eth_getBlockByNumber", "safe", false)).to.deep.equal(["0x0", false]);
    young.setBlocks(73 * 5 + 25);
    expect(await young.translated("eth_getBlockByNumber", "safe", false)).to.deep.equal([numberToHex(29), false]);
    expect(await young.translated("eth_getBlockByNumber", "finalized", false)).to.deep.equal(["0x0", false]);
  });

  it("never go back, except after a revert", async () => {
    const chain = chainOf({ blocks: 100_000 });
    await chain.translated("eth_getCode", account, "safe");
    chain.setBlocks(99_999 - 5);
    expect(await chain.translated("eth_getCode", account, "safe")).to.deep.equal([account, safe]);
    await chain.revert();
    expect(await chain.translated("eth_getCode", account, "safe")).to.deep.equal([
      account,
      numberToHex((19_998 - 73) * 5 + 4),
    ]);
  });

  it("are found near the head, in few reads", async () => {
    const chain = chainOf({ blocks: 40_000_000 });
    await chain.translated("eth_getCode", account, "finalized");
    const read = chain.calls.flatMap(({ params }) => (params.length === 2 ? [Number(params[0])] : []));
    expect(chain.calls).to.have.lengthOf.within(5, 30);
    expect(Math.min(...read.filter((number) => number > 0))).to.be.above(40_000_000 - 4 * 1235 * 5);
  });

  it("are the engine's own without an age", async () => {
    const calls: Call[] = [];
    const answer = async (method: string, params: readonly unknown[]) => calls.push({ method, params });
    const tagged = withLaggingTags({ answer, now: async () => 0 }, { safe: 0, finalized: 0 });
    await tagged("eth_getBlockByNumber", ["finalized", false]);
    expect(calls).to.deep.equal([{ method: "eth_getBlockByNumber", params: ["finalized", false] }]);
  });
});
