import { expect } from "chai";
import { describeAge, describeReason, type KeepReason } from "../../../../../src/prune/keep-rules.ts";
import { addedIn, cvm } from "../../../../support/prune/allowlist-use.ts";

const expiresAt = "2026-12-01T00:00:00Z";

describe("describeReason", () => {
  const cases: readonly [KeepReason, RegExp][] = [
    [{ rule: "running", cvm: cvm("web") }, /^runs on web \(cvm_web\)$/],
    [{ rule: "running", cvm: cvm("web", "stopped") }, /boots next on web \(cvm_web\).* stopped/],
    [{ rule: "running", cvm: cvm("web", "starting") }, /boots next on web \(cvm_web\).* starting/],
    [{ rule: "moving-to", cvm: cvm("web", "updating") }, /updating web \(cvm_web\) to it/],
    [{ rule: "prepared", cvm: cvm("web"), expiresAt }, /web \(cvm_web\).* until 2026-12-01T00:00:00Z/],
    [{ rule: "queued", source: "safe.json" }, /safe\.json/],
    [{ rule: "newest", rank: 2, keep: 3 }, /number 2 of the newest 3/],
    [{ rule: "young", ageSeconds: 7_199, olderThanSeconds: 86_400 }, /is 119 min old, less than 24 h/],
    [{ rule: "young", ageSeconds: undefined, olderThanSeconds: 60 }, /not known/],
    [{ rule: "pinned", source: "--pin" }, /pinned by --pin/],
    [{ rule: "last" }, /last/],
  ];
  for (const [reason, words] of cases)
    it(`describes ${JSON.stringify(reason)}`, () =>
      expect(describeReason(reason, { added: addedIn(1) })).to.match(words));

  it("names no rank for a hash whose date is not known", () => {
    const text = describeReason({ rule: "newest", rank: 1, keep: 3 }, { added: undefined });
    expect(text).to.equal("counts as one of the newest 3, because it is not known when it was added");
  });
});

describe("describeAge", () => {
  it("rounds an age down, and uses a larger unit from two of it on", () => {
    const day = 86_400;
    expect([0, 1, 119, 120, 7_199, 7_200, 2 * day - 1, 2 * day, 3 * day - 1].map(describeAge)).to.deep.equal([
      "0 s",
      "1 s",
      "119 s",
      "2 min",
      "119 min",
      "2 h",
      "47 h",
      "2 d",
      "2 d",
    ]);
  });
});
