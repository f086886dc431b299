import { expect } from "chai";
import fc from "fast-check";
import { type BlockRange, gapsIn, lengthOf, mergeRanges } from "../../../../src/history/block-ranges.ts";

const range = fc
  .tuple(fc.bigInt({ min: 0n, max: 40n }), fc.bigInt({ min: 0n, max: 10n }))
  .map(([fromBlock, more]): BlockRange => ({ fromBlock, toBlock: fromBlock + more }));

const blocksOf = (ranges: readonly BlockRange[]) => {
  const blocks: bigint[] = [];
  for (const { fromBlock, toBlock } of ranges)
    for (let block = fromBlock; block <= toBlock; block += 1n) blocks.push(block);
  return blocks;
};
const ascending = (blocks: Iterable<bigint>) => [...new Set(blocks)].sort((one, other) => Number(one - other));

describe("block ranges", () => {
  it("include both ends", () => {
    fc.assert(fc.property(range, (one) => lengthOf(one) === BigInt(blocksOf([one]).length)));
  });

  it("merge into the fewest ranges with the same blocks, each block once", () => {
    fc.assert(
      fc.property(fc.array(range, { maxLength: 8 }), (ranges) => {
        const merged = mergeRanges(ranges);
        expect(blocksOf(merged)).to.deep.equal(ascending(blocksOf(ranges)));
        for (const [index, { fromBlock }] of merged.entries())
          if (index > 0) expect(fromBlock - (merged[index - 1]?.toBlock ?? fromBlock) > 1n).to.equal(true);
      }),
    );
  });

  it("have as gaps exactly the blocks that are in no range", () => {
    fc.assert(
      fc.property(range, fc.array(range, { maxLength: 8 }), (whole, ranges) => {
        const has = new Set(blocksOf(ranges));
        expect(blocksOf(gapsIn(whole, ranges))).to.deep.equal(blocksOf([whole]).filter((block) => !has.has(block)));
      }),
    );
  });
});
