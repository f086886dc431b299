import { expect } from "chai";
import fc from "fast-check";
import { type AllowlistUse, type KeepRules, unknownKinds } from "../../../../../src/prune/allowlist-use.ts";
import { keepRules } from "../../../../../src/prune/keep-rules.ts";
import { planPrune, removalsOf } from "../../../../../src/prune/plan-prune.ts";
import {
  addedIn,
  allowedHash,
  allowlistUse,
  cvm,
  hashNumber,
  keepRulesWith,
  pinned,
} from "../../../../support/prune/allowlist-use.ts";

const two = hashNumber(2);
/** Hashes 1 to 5, added in this order. */
const five = [1, 2, 3, 4, 5].map(allowedHash);

/** The numbers of the removed hashes, in order. */
function removed(use: Partial<AllowlistUse>, policy: Partial<KeepRules> = {}, rules = keepRules): number[] {
  const plan = planPrune(allowlistUse({ allowed: five, ...use }), keepRulesWith(policy), rules);
  return removalsOf(plan)
    .map((hash) => Number(hash))
    .sort();
}

function reasonsFor(number: number, use: Partial<AllowlistUse>, policy: Partial<KeepRules> = {}) {
  const { rows } = planPrune(allowlistUse({ allowed: five, ...use }), keepRulesWith(policy));
  return rows.find(({ composeHash }) => composeHash === hashNumber(number))?.reasons;
}

describe("planPrune", () => {
  describe("keeps a hash", () => {
    const web = cvm("web");

    it("that a CVM runs", () => {
      const running = [{ composeHash: two, cvm: web }];
      expect(removed({ running })).to.deep.equal([1, 3, 4, 5]);
      expect(reasonsFor(2, { running })).to.deep.equal([{ rule: "running", cvm: web }]);
    });

    it("that a stopped CVM would boot next", () => {
      const stopped = cvm("idle", "stopped");
      expect(removed({ running: [{ composeHash: two, cvm: stopped }] })).to.deep.equal([1, 3, 4, 5]);
    });

    it("that each replica runs, and says which", () => {
      const running = [
        { composeHash: two, cvm: web },
        { composeHash: hashNumber(4), cvm: cvm("web-2") },
        { composeHash: two, cvm: cvm("web-3") },
      ];
      expect(removed({ running })).to.deep.equal([1, 3, 5]);
      expect(reasonsFor(2, { running })).to.have.lengthOf(2);
    });

    it("that a CVM is being moved to", () => {
      const movingTo = [{ composeHash: two, cvm: cvm("web", "updating") }];
      expect(removed({ movingTo })).to.deep.equal([1, 3, 4, 5]);
      expect(reasonsFor(2, { movingTo })?.map(({ rule }) => rule)).to.deep.equal(["moving-to"]);
    });

    it("that a prepare token needs which has not expired", () => {
      const prepared = [{ composeHash: two, cvm: web, expiresAt: "2026-12-01T00:00:00Z" }];
      expect(removed({ prepared })).to.deep.equal([1, 3, 4, 5]);
      expect(reasonsFor(2, { prepared })?.map(({ rule }) => rule)).to.deep.equal(["prepared"]);
    });

    it("that a queued call names", () => {
      const queued = [{ source: "batch.json", composeHashes: [two, hashNumber(99)] }];
      expect(removed({}, { queued })).to.deep.equal([1, 3, 4, 5]);
      expect(reasonsFor(2, {}, { queued })).to.deep.equal([{ rule: "queued", source: "batch.json" }]);
    });

    it("that is pinned", () => {
      const pins = [{ composeHash: two, source: "--pin" }];
      expect(removed({}, { pins })).to.deep.equal([1, 3, 4, 5]);
      expect(reasonsFor(2, {}, { pins })).to.deep.equal([{ rule: "pinned", source: "--pin" }]);
    });

    it("that is among the newest, counted from the newest", () => {
      expect(removed({}, { keep: 2 })).to.deep.equal([1, 2, 3]);
      expect(reasonsFor(4, {}, { keep: 2 })).to.deep.equal([{ rule: "newest", rank: 2, keep: 2 }]);
      expect(removed({}, { keep: 5 })).to.deep.equal([]);
      expect(removed({}, { keep: 500 })).to.deep.equal([]);
    });

    it("that is younger than the limit, to the second", () => {
      // Blocks are 2 s apart and the pinned one is 1000: hash 2 is 1996 s old.
      expect(removed({}, { olderThanSeconds: 1_996 })).to.deep.equal([1, 2]);
      expect(removed({}, { olderThanSeconds: 1_997 })).to.deep.equal([1]);
      expect(reasonsFor(2, {}, { olderThanSeconds: 1_997 })).to.deep.equal([
        { rule: "young", ageSeconds: 1_996, olderThanSeconds: 1_997 },
      ]);
    });

    it("whose removal would leave the list empty, unless that is allowed", () => {
      expect(removed({})).to.deep.equal([1, 2, 3, 4]);
      expect(reasonsFor(5, {})).to.deep.equal([{ rule: "last" }]);
      expect(removed({}, { mayEmptyList: true })).to.deep.equal([1, 2, 3, 4, 5]);
      expect(reasonsFor(5, { running: [{ composeHash: two, cvm: web }] })).to.deep.equal([]);
    });

    it("for each reason, the most important first", () => {
      const uses = [{ composeHash: two, cvm: web, expiresAt: "2026-12-01T00:00:00Z" }];
      const pins = [{ composeHash: two, source: "the configuration" }];
      const queued = [{ source: "safe.json", composeHashes: [two] }];
      const use = { running: uses, movingTo: uses, prepared: uses };
      const reasons = reasonsFor(2, use, { pins, queued, keep: 5, olderThanSeconds: 5_000 });
      expect(reasons?.map(({ rule }) => rule)).to.deep.equal([
        "running",
        "moving-to",
        "prepared",
        "queued",
        "pinned",
        "newest",
        "young",
      ]);
    });
  });

  it("counts from a hash's last addition, by block and then by position", () => {
    const allowed = [
      { composeHash: hashNumber(1), added: addedIn(30, 2) },
      { composeHash: hashNumber(2), added: addedIn(30, 1) },
      { composeHash: hashNumber(3), added: addedIn(9, 7) },
    ];
    expect(removed({ allowed }, { keep: 1 })).to.deep.equal([2, 3]);
    expect(removed({ allowed }, { keep: 2 })).to.deep.equal([3]);
  });

  it("treats a hash of unknown age as the newest and the youngest", () => {
    const allowed = [...five, { composeHash: hashNumber(9), added: undefined }];
    expect(removed({ allowed }, { keep: 1 })).to.deep.equal([1, 2, 3, 4, 5]);
    expect(removed({ allowed }, { olderThanSeconds: 1 })).to.deep.equal([1, 2, 3, 4, 5]);
  });

  it("removes nothing when nothing is allowed", () => {
    expect(removed({ allowed: [] }, { mayEmptyList: true })).to.deep.equal([]);
  });

  it("may be carried out only when each unknown fact is accepted by name", () => {
    const unknowns = unknownKinds.map((kind) => ({ kind, problem: "It is not known." }));
    const isExecutable = (acceptedUnknowns: KeepRules["acceptedUnknowns"]) =>
      planPrune(allowlistUse({ unknowns }), keepRulesWith({ acceptedUnknowns })).isExecutable;
    expect(isExecutable(unknownKinds)).to.equal(true);
    for (const kind of unknownKinds) {
      expect(isExecutable(unknownKinds.filter((other) => other !== kind))).to.equal(false);
    }
    expect(planPrune(allowlistUse(), keepRulesWith()).isExecutable).to.equal(true);
  });

  it("keeps a hash that is known to be in use, even when that kind of fact is accepted", () => {
    const running = [{ composeHash: two, cvm: cvm("web") }];
    const unknowns = [{ kind: "running-hashes", problem: "One CVM reports no hash." }] as const;
    expect(removed({ running, unknowns }, { acceptedUnknowns: ["running-hashes"] })).to.deep.equal([1, 3, 4, 5]);
  });

  describe("for all facts", () => {
    const number = fc.integer({ min: 1, max: 12 });
    const use = number.map((value) => ({ composeHash: hashNumber(value), cvm: cvm(`c${value}`) }));
    const arbitraryUse = fc
      .record({
        allowed: fc.uniqueArray(fc.record({ number, block: fc.integer({ min: 1, max: 1_000 }) }), {
          selector: (item) => item.number,
        }),
        running: fc.array(use, { maxLength: 4 }),
        movingTo: fc.array(use, { maxLength: 2 }),
        prepared: fc.array(
          use.map((item) => ({ ...item, expiresAt: "2026-12-01T00:00:00Z" })),
          { maxLength: 2 },
        ),
      })
      .map(({ allowed, ...uses }) =>
        allowlistUse({
          ...uses,
          allowed: allowed.map(({ number, block }, index) => ({
            composeHash: hashNumber(number),
            added: addedIn(block, index),
          })),
        }),
      );
    const arbitraryPolicy = fc
      .record({
        keep: fc.integer({ min: 0, max: 6 }),
        olderThanSeconds: fc.option(fc.integer({ min: 0, max: 2_000 }), { nil: undefined }),
        pins: fc.array(number, { maxLength: 2 }),
        queued: fc.array(number, { maxLength: 2 }),
        mayEmptyList: fc.boolean(),
      })
      .map(({ pins, queued, ...policy }) =>
        keepRulesWith({
          ...policy,
          pins: pins.map((value) => ({ composeHash: hashNumber(value), source: "--pin" })),
          queued: [{ source: "q.json", composeHashes: queued.map(hashNumber) }],
        }),
      );

    it("removes exactly the hashes that are not in use, named, new or young", () => {
      fc.assert(
        fc.property(arbitraryUse, arbitraryPolicy, (use, policy) => {
          const { keep, olderThanSeconds = 0, pins, queued, mayEmptyList } = policy;
          const needed = new Set([
            ...[...use.running, ...use.movingTo, ...use.prepared, ...pins].map(({ composeHash }) => composeHash),
            ...queued.flatMap(({ composeHashes }) => composeHashes),
          ]);
          const byAge = [...use.allowed].sort((one, other) => {
            const blocks = Number((other.added?.blockNumber ?? 0n) - (one.added?.blockNumber ?? 0n));
            return blocks || (other.added?.logIndex ?? 0) - (one.added?.logIndex ?? 0);
          });
          const expected = byAge
            .slice(keep)
            .filter(({ added }) => pinned.timestamp - (added?.timestamp ?? 0n) >= BigInt(olderThanSeconds))
            .map(({ composeHash }) => composeHash)
            .filter((hash) => !needed.has(hash));
          const isAll = expected.length === use.allowed.length;
          const plan = planPrune(use, policy);
          expect(removalsOf(plan)).to.deep.equal(isAll && !mayEmptyList ? expected.slice(1) : expected);
          for (const { verdict, reasons } of plan.rows) {
            expect(verdict).to.equal(reasons.length > 0 ? "keep" : "remove");
          }
        }),
        { numRuns: 500 },
      );
    });

    it("never removes more when more facts are known or more hashes are kept", () => {
      fc.assert(
        fc.property(arbitraryUse, arbitraryPolicy, use, fc.nat({ max: 5 }), (use, policy, extra, field) => {
          const pin = { composeHash: extra.composeHash, source: "--pin" };
          const stricter = [
            [{ ...use, running: [...use.running, extra] }, policy],
            [{ ...use, movingTo: [...use.movingTo, extra] }, policy],
            [use, { ...policy, pins: [...policy.pins, pin] }],
            [use, { ...policy, keep: policy.keep + 1 }],
            [use, { ...policy, olderThanSeconds: (policy.olderThanSeconds ?? 0) + 100 }],
            [use, { ...policy, queued: [...policy.queued, { source: "r", composeHashes: [extra.composeHash] }] }],
          ] as const;
          const [otherUse, otherPolicy] = stricter[field] ?? stricter[0];
          // The newest hash may stay only so that the list is not empty, which another kept hash ends.
          const mayEmptyList = true;
          const before = removalsOf(planPrune(use, { ...policy, mayEmptyList }));
          const after = removalsOf(planPrune(otherUse, { ...otherPolicy, mayEmptyList }));
          expect(before).to.include.members([...after]);
        }),
        { numRuns: 500 },
      );
    });

    it("does not depend on the order of the facts", () => {
      fc.assert(
        fc.property(arbitraryUse, arbitraryPolicy, (use, policy) => {
          const turned = {
            ...use,
            allowed: [...use.allowed].reverse(),
            running: [...use.running].reverse(),
          };
          expect(removalsOf(planPrune(turned, policy))).to.deep.equal(removalsOf(planPrune(use, policy)));
        }),
      );
    });
  });
});
