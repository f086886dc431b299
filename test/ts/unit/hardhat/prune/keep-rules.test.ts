import { expect } from "chai";
import {
  type BuildKeepRulesParameters,
  buildKeepRules,
  type PruneArguments,
  parsePruneArguments,
} from "../../../../../src/commands/prune.ts";
import { parseAppId } from "../../../../../src/core/ids.ts";
import { removeComposeHashCall } from "../../../../../src/core/owner-calls.ts";
import { InvalidArgumentError, InvalidHexError } from "../../../../../src/errors/index.ts";
import { defaultKeep } from "../../../../../src/prune/allowlist-use.ts";
import { allowedHash, hashNumber, keepRulesWith } from "../../../../support/prune/allowlist-use.ts";

const [one, two, three, four] = [hashNumber(1), hashNumber(2), hashNumber(3), hashNumber(4)];
const { data } = removeComposeHashCall({ appId: parseAppId("a0".repeat(20)), composeHash: hashNumber(3) });

/** The policy of a command line, for an app with the hashes 1 to 3. */
function policyOf(args: Partial<PruneArguments>, more: Partial<BuildKeepRulesParameters> = {}) {
  return buildKeepRules({
    settings: parsePruneArguments(args as PruneArguments), // the host is not used here
    pins: [],
    documents: [],
    use: { allowed: [1, 2, 3].map(allowedHash) },
    planned: undefined,
    ...more,
  });
}

describe("the policy of a prune", () => {
  it("keeps the newest three and accepts nothing by default", () => {
    expect(defaultKeep).to.equal(3);
    expect(policyOf({})).to.deep.equal(keepRulesWith({ keep: 3 }));
  });

  it("follows the command line, including zero", () => {
    const args = { keep: "0", olderThan: "30d", accept: " history, proof", allowEmpty: true };
    expect(policyOf(args)).to.deep.equal(
      keepRulesWith({
        keep: 0,
        olderThanSeconds: 2_592_000,
        acceptedUnknowns: ["history", "proof"],
        mayEmptyList: true,
      }),
    );
  });

  it("has the pins of the configuration and of the command line, each with its source", () => {
    const { pins } = policyOf({ pin: `${one},${two.slice(2).toUpperCase()}` }, { pins: [hashNumber(9)] });
    expect(pins).to.deep.equal([
      { composeHash: hashNumber(9), source: "the configuration" },
      { composeHash: one, source: "--pin" },
      { composeHash: two, source: "--pin" },
    ]);
  });

  it("has, of each queued call, the hashes that it names", () => {
    const documents = [
      { source: "safe.json", text: `{"data":"${data}","other":"${four}"}` },
      { source: "0x00…", text: two },
    ];
    expect(policyOf({}, { documents }).queued).to.deep.equal([
      { source: "safe.json", composeHashes: [three] },
      { source: "0x00…", composeHashes: [two] },
    ]);
  });

  it("refuses a pin and a bare hash that are not on the list, because the user expects protection", () => {
    expect(() => policyOf({ pin: `${one},${four}` })).to.throw(InvalidArgumentError, four);
    const documents = [{ source: "0x00…", text: four }];
    expect(() => policyOf({}, { documents })).to.throw(InvalidArgumentError, four);
    // A file may name only hashes of other apps.
    expect(policyOf({}, { documents: [{ source: "safe.json", text: `"${four}"` }] }).queued).to.have.lengthOf(1);
  });

  describe("of a plan that is carried out", () => {
    const planned = keepRulesWith({
      keep: 0,
      pins: [{ composeHash: hashNumber(1), source: "--pin" }],
      queued: [{ source: "old.json", composeHashes: [hashNumber(2)] }],
      acceptedUnknowns: ["proof"],
    });

    it("is the plan's own, and options may only keep more", () => {
      expect(policyOf({}, { planned })).to.deep.equal(planned);
      const documents = [{ source: "new.json", text: data }];
      const more = policyOf({ pin: three }, { planned, documents, pins: [hashNumber(2)] });
      expect(more).to.deep.equal({
        ...planned,
        pins: [
          ...planned.pins,
          { composeHash: two, source: "the configuration" },
          { composeHash: three, source: "--pin" },
        ],
        queued: [...planned.queued, { source: "new.json", composeHashes: [three] }],
      });
    });

    it("is not weakened by an option", () => {
      const args = { keep: "1", olderThan: "1s", accept: "history", allowEmpty: true };
      expect(policyOf(args, { planned })).to.deep.equal(planned);
      const strict = { ...planned, olderThanSeconds: 60 };
      expect(policyOf({}, { planned: strict })).to.deep.equal(strict);
    });
  });

  it("is refused when an option is invalid", () => {
    for (const args of [
      { keep: "-1" },
      { keep: "1.5" },
      { keep: "all" },
      { accept: "everything" },
      { olderThan: "30" },
    ])
      expect(() => policyOf(args), JSON.stringify(args)).to.throw(InvalidArgumentError);
    expect(() => policyOf({ pin: "0x12" })).to.throw(InvalidHexError);
  });
});
