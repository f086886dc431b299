import { expect } from "chai";
import { RangeSize } from "../../../../src/history/block-ranges.ts";

const plenty = 10_000_000n;

/** Asks so many times, one request after the other, an endpoint that takes up to `limit` blocks. */
function ask(size: RangeSize, limit: bigint, times: number): { blocks: bigint; refused: number } {
  let blocks = 0n;
  let refused = 0;
  for (let time = 0; time < times; time += 1) {
    const asked = size.next(plenty);
    if (asked <= limit) {
      size.passed(asked);
      blocks += asked;
    } else {
      size.refused(asked, asked / 2n);
      refused += 1;
    }
  }
  return { blocks, refused };
}

describe("RangeSize", () => {
  for (const limit of [1n, 5n, 10n, 800n, 2_000n, 5_000n, 10_000n, 50_000n])
    it(`approaches a limit of ${limit} blocks with few refused requests`, () => {
      const size = new RangeSize();
      ask(size, limit, 40);
      const { blocks, refused } = ask(size, limit, 400);
      expect(Number(blocks) / Number(400n * limit)).to.be.greaterThan(0.8);
      expect(refused).to.be.lessThan(24);
    });

  it("grows again when the limit does", () => {
    const size = new RangeSize();
    ask(size, 10n, 100);
    ask(size, 4_000n, 2_000);
    expect(Number(size.next(plenty))).to.be.greaterThan(2_000);
  });

  it("gets smaller when a size that succeeded is refused later", () => {
    const size = new RangeSize();
    ask(size, 2_000n, 20);
    expect(ask(size, 100n, 60).blocks > 0n).to.equal(true);
    expect(size.next(plenty) <= 112n).to.equal(true);
  });

  it("counts the refusals of several requests of one size as one", () => {
    const size = new RangeSize(1_000n);
    for (let request = 0; request < 4; request += 1) size.refused(1_000n, 500n);
    expect(size.next(plenty)).to.equal(500n);
  });

  it("tries a wider range with one request at a time", () => {
    const size = new RangeSize(1_000n);
    size.passed(size.next(plenty));
    const probe = size.next(plenty);
    expect(probe > 1_000n).to.equal(true);
    expect([size.next(plenty), size.next(plenty)]).to.deep.equal([1_000n, 1_000n]);
    size.refused(probe, probe / 2n);
    size.passed(1_000n);
    expect(size.next(plenty) > 1_000n).to.equal(true);
  });

  it("uses a limit that the endpoint names, and asks for no block beyond the range", () => {
    const size = new RangeSize();
    size.refused(2_000n, 60n);
    size.limited(60n);
    expect(ask(size, 60n, 50).refused).to.equal(0);
    expect(size.next(7n)).to.equal(7n);
  });
});
