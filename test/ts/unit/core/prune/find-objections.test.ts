import { expect } from "chai";
import { parseAppId } from "../../../../../src/core/ids.ts";
import type { AllowlistUse } from "../../../../../src/prune/allowlist-use.ts";
import { findObjections, planPrune } from "../../../../../src/prune/plan-prune.ts";
import {
  addedIn,
  allowedHash,
  allowlistUse,
  cvm,
  hashNumber,
  keepRulesWith,
} from "../../../../support/prune/allowlist-use.ts";

const two = hashNumber(2);
const allowed = [1, 2, 3, 4, 5].map(allowedHash);
/** A plan that removes 1, 2 and 3. */
const plan = planPrune(allowlistUse({ allowed }), keepRulesWith({ keep: 2 }));

const objections = (changes: Partial<AllowlistUse>) => findObjections(plan, allowlistUse({ allowed, ...changes }));

describe("findObjections", () => {
  it("finds none when the plan would be the same today", () => {
    expect(objections({})).to.deep.equal([]);
    const newer = allowedHash(900);
    expect(objections({ allowed: [...allowed, newer] }), "one more could go by now").to.deep.equal([]);
  });

  it("names a hash that is in use now, and what uses it", () => {
    const web = cvm("web");
    for (const changes of [
      { running: [{ composeHash: two, cvm: web }] },
      { movingTo: [{ composeHash: two, cvm: web }] },
      { prepared: [{ composeHash: two, cvm: web, expiresAt: "2026-12-01T00:00:00Z" }] },
    ] satisfies Partial<AllowlistUse>[]) {
      const found = objections(changes);
      expect(found).to.have.lengthOf(1);
      expect(found[0]).to.include({ composeHash: two });
      expect(found[0]?.problem).to.include("web");
    }
  });

  it("names a hash that was added again, or that another account removed", () => {
    const again = allowed.map((hash) => (hash.composeHash === two ? { ...hash, added: addedIn(999) } : hash));
    expect(objections({ allowed: again }).map(({ composeHash }) => composeHash)).to.deep.equal([two]);
    const without = allowed.filter(({ composeHash }) => composeHash !== two);
    expect(objections({ allowed: without })).to.deep.equal([{ composeHash: two, problem: "is no longer on the list" }]);
  });

  it("applies the plan's whole policy to the facts of today", () => {
    const aged = planPrune(allowlistUse({ allowed }), keepRulesWith({ keep: 1, olderThanSeconds: 1_000 }));
    const readded = allowed.map((hash) => (hash.composeHash === two ? { ...hash, added: addedIn(999) } : hash));
    const again = [...readded, allowedHash(1_000)];
    expect(findObjections(aged, allowlistUse({ allowed: again })).map(({ composeHash }) => composeHash)).to.deep.equal([
      two,
    ]);
    for (const kept of [
      { pins: [{ composeHash: two, source: "--pin" }] },
      { queued: [{ source: "safe.json", composeHashes: [two] }] },
    ]) {
      const stricter = { ...plan, policy: { ...plan.policy, ...kept } };
      const found = findObjections(stricter, allowlistUse({ allowed }));
      expect(found.map(({ composeHash }) => composeHash)).to.deep.equal([two]);
    }
  });

  it("objects when a removal would empty the list, because the kept hashes are gone", () => {
    const running = [{ composeHash: hashNumber(5), cvm: cvm("web") }];
    const use = allowlistUse({ allowed: allowed.slice(0, 4) });
    const careful = planPrune(allowlistUse({ allowed, running }), keepRulesWith());
    const objectedTo = (to: typeof careful) => findObjections(to, use).map(({ composeHash }) => composeHash);
    // The plan kept the fifth hash, which is no longer allowed.
    expect(objectedTo(careful)).to.deep.equal([hashNumber(5), hashNumber(4)]);
    const willing = planPrune(allowlistUse({ allowed, running }), keepRulesWith({ mayEmptyList: true }));
    expect(objectedTo(willing)).to.deep.equal([hashNumber(5)]);
  });

  it("ignores changes to hashes that the plan does not remove", () => {
    expect(objections({ running: [{ composeHash: hashNumber(5), cvm: cvm("web") }] })).to.deep.equal([]);
    const running = [{ composeHash: two, cvm: cvm("web") }];
    expect(findObjections(plan, allowlistUse({ allowed, running }), [hashNumber(1)])).to.deep.equal([]);
  });

  it("objects to every removal when the app has another owner, chain or address", () => {
    expect(objections({ owner: `0x${"0f".repeat(20)}` })).to.have.lengthOf(1);
    expect(objections({ owner: `0x${"0E".repeat(20)}` }), "another letter case").to.deep.equal([]);
    expect(objections({ chainId: 1 })).to.have.lengthOf(1);
    expect(objections({ appId: parseAppId("a1".repeat(20)) })).to.have.lengthOf(1);
  });
});
