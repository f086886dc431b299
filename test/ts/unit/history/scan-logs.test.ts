import { expect } from "chai";
import { createClient, custom } from "viem";
import { type BlockRange, mergeRanges, RangeSize, scanLogs } from "../../../../src/history/scan-logs.ts";
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
});
