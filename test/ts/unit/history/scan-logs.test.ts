import { expect } from "chai";
import { createClient, custom } from "viem";
import { type BlockRange, mergeRanges, RangeSize } from "../../../../src/history/block-ranges.ts";
import { Load, scanLogs } from "../../../../src/history/scan-logs.ts";
import { createSyntheticChain } from "../../../support/history/synthetic-chain.ts";

describe("scanLogs", () => {
  it("does not trust an answer that ends at a round number", async () => {
    const chain = createSyntheticChain({ head: 21_000, every: 2, hashes: 50 });
    let cut = 0;
    const request = async (call: { method: string; params?: unknown[] }) => {
      const logs = (await chain.request(call)) as unknown[];
      if (logs.length > 1_000) cut += 1;
      return logs.slice(0, 1_000); // without an error
    };
    const pieces: BlockRange[] = [];
    let logCount = 0;
    await scanLogs(createClient({ transport: custom({ request }) }), {
      address: chain.appId,
      ranges: [{ fromBlock: 0n, toBlock: 21_000n }],
      concurrency: 3,
      size: new RangeSize(),
      retryDelayMs: 1,
      onLogs: (piece, logs) => {
        pieces.push(piece);
        logCount += logs.length;
      },
    });
    expect(cut).to.be.greaterThan(0);
    expect(logCount).to.equal(chain.logCount());
    expect(mergeRanges(pieces)).to.deep.equal([{ fromBlock: 0n, toBlock: 21_000n }]);
    const total = pieces.reduce((sum, { fromBlock, toBlock }) => sum + toBlock - fromBlock + 1n, 0n);
    expect(total).to.equal(21_001n);
  });

  it("sends as many requests at once as the endpoint bears, and no log is lost to its refusals", async () => {
    const chain = createSyntheticChain({ head: 400_000, every: 700, hashes: 50 });
    const bears = 12;
    let inFlight = 0;
    let most = 0;
    let refused = 0;
    const request = async (call: { method: string; params?: unknown[] }) => {
      inFlight += 1;
      most = Math.max(most, inFlight);
      try {
        await new Promise((resolve) => setTimeout(resolve, 2));
        if (inFlight <= bears) return await chain.request(call);
        refused += 1;
        throw Object.assign(new Error("too many requests"), { code: 429 });
      } finally {
        inFlight -= 1;
      }
    };
    let logCount = 0;
    await scanLogs(createClient({ transport: custom({ request }) }), {
      address: chain.appId,
      ranges: [{ fromBlock: 0n, toBlock: 400_000n }],
      concurrency: 64,
      size: new RangeSize(500n, 500n),
      retryDelayMs: 1,
      onLogs: (_, logs) => {
        logCount += logs.length;
      },
    });
    expect(logCount).to.equal(chain.logCount());
    expect(most).to.be.within(bears, 2 * bears + 4);
    expect(refused).to.be.within(1, 200); // of 800 requests
  });
});

describe("Load", () => {
  const passAll = (load: Load, milliseconds: number) => {
    for (let left = load.inFlight; left > 0; left -= 1) load.passed(milliseconds);
  };

  it("doubles the requests in flight with every round, up to the limit", () => {
    const load = new Load(20);
    const seen = Array.from({ length: 4 }, () => {
      const { inFlight } = load;
      passAll(load, 30);
      return inFlight;
    });
    expect(seen).to.deep.equal([4, 8, 16, 20]);
    expect(new Load(2).inFlight).to.equal(2);
  });

  it("halves them with a refusal, and then adds one a round", () => {
    const load = new Load(64);
    passAll(load, 30);
    passAll(load, 30);
    load.refused();
    expect(load.inFlight).to.equal(8);
    passAll(load, 30);
    expect(load.inFlight).to.equal(9);
    for (let refusal = 0; refusal < 9; refusal += 1) load.refused();
    expect(load.inFlight).to.equal(1);
  });

  it("adds none, and takes one a round, while the answers take much longer than the fastest one", () => {
    const load = new Load(64);
    passAll(load, 30);
    passAll(load, 30);
    expect(load.inFlight).to.equal(16);
    passAll(load, 1_000);
    expect(load.inFlight).to.equal(15);
    for (let round = 0; round < 30; round += 1) passAll(load, 1_000);
    expect(load.inFlight).to.equal(4);
    passAll(load, 30);
    expect(load.inFlight).to.equal(5);
  });
});
