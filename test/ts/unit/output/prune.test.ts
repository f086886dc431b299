import { PassThrough } from "node:stream";
import { expect } from "chai";
import { createOutput } from "../../../../src/output/output.ts";
import { showPrunePlan } from "../../../../src/output/prune.ts";
import type { AllowlistUse, KeepRules } from "../../../../src/prune/allowlist-use.ts";
import { planPrune } from "../../../../src/prune/plan-prune.ts";
import {
  addedIn,
  allowedHash,
  allowlistUse,
  cvm,
  hashNumber,
  keepRulesWith,
} from "../../../support/prune/allowlist-use.ts";

describe("showPrunePlan", () => {
  const show = (use: Partial<AllowlistUse>, policy: Partial<KeepRules> = {}): string => {
    const stream = Object.assign(new PassThrough(), { columns: 1000 });
    showPrunePlan(createOutput(stream), planPrune(allowlistUse(use), keepRulesWith(policy)));
    return String(stream.read());
  };
  const rowOf = (text: string, hash: string) => text.split("\n").find((line) => line.includes(hash));
  const running = [{ composeHash: hashNumber(1), cvm: cvm("web") }];
  const unknowns = [{ kind: "prepare-tokens", problem: "The prepared updates are not known." }] as const;

  it("says for each hash why it stays or is removed, and what a removal does not do", () => {
    const text = show({ allowed: [allowedHash(1), allowedHash(2)], running });
    expect(rowOf(text, hashNumber(1))).to.match(/^keep .* runs on web \(cvm_web\)$/);
    expect(rowOf(text, hashNumber(2))).to.match(/^remove .* not needed$/);
    expect(text).to.include("at block 1000 (2027-01-15 08:00:00 UTC)");
    expect(text).to.include("continues until it restarts").and.to.include("keeps the keys that it received");
  });

  it("names unknown facts, accepted or not", () => {
    for (const acceptedUnknowns of [[], ["prepare-tokens"]] as const) {
      const text = show({ allowed: [allowedHash(1), allowedHash(2)], running, unknowns }, { acceptedUnknowns });
      expect(rowOf(text, hashNumber(2))).to.match(/ not needed, as far as is known$/);
      expect(text.includes("Prune removes nothing until this is known.")).to.equal(acceptedUnknowns.length === 0);
      expect(text.includes("(prepare-tokens, accepted)")).to.equal(acceptedUnknowns.length === 1);
    }
  });

  it("names pins and queued calls that keep nothing, and no others", () => {
    const pins = [1, 3].map((number) => ({ composeHash: hashNumber(number), source: "the configuration" }));
    const queued = [
      { source: "old.json", composeHashes: [] },
      { source: "next.json", composeHashes: [hashNumber(2)] },
    ];
    const text = show({ allowed: [allowedHash(1), allowedHash(2)], running }, { pins, queued });
    const lines = text.split("\n").filter((line) => /is not on the list|keeps none/.test(line));
    expect(lines).to.deep.equal([
      `${hashNumber(3)}, pinned by the configuration, is not on the list.`,
      "old.json names no hash on the list, so it keeps none.",
    ]);
  });

  it("writes addresses in one way, from a file or from the chain", () => {
    const by = `0x${"ab".repeat(20)}` as const;
    const allowed = [{ composeHash: hashNumber(1), added: { ...addedIn(1), by } }];
    expect(show({ allowed, running })).to.include("0xABaBaBaBABabABabAbAbABAbABabababaBaBABaB");
  });
});
