import { expect } from "chai";
import { describeUpdated } from "../../../../src/commands/describe-updated.ts";
import { parseComposeHash } from "../../../../src/core/ids.ts";

const composeHash = parseComposeHash("c1".repeat(32));
const outcomes = ["updated", "environmentReplaced", "unchanged"] as const;

describe("the sentence about an updated CVM", () => {
  const say = (outcome: (typeof outcomes)[number] | "confirmed", status: string) =>
    describeUpdated({ outcome, status, composeHash }, "shop");

  for (const outcome of outcomes) {
    it(`says that a CVM runs its document only if it runs: ${outcome}`, () => {
      expect(say(outcome, "running")).to.match(/ runs compose hash 0xc1/);
      for (const status of ["stopped", "starting", "error", "failed", "paused", "unknown"])
        expect(say(outcome, status), status)
          .to.contain(status)
          .and.contain(`compose hash ${composeHash}`)
          .and.not.match(/\bruns\b/);
      expect(say(outcome, "stopped")).to.contain("is stopped, and boots with").and.contain("at its next start");
    });
  }

  it("does not say that a stopped CVM restarts", () => {
    expect(say("confirmed", "running")).to.contain("It now restarts the CVM");
    expect(say("confirmed", "stopped")).to.contain("stays stopped").and.not.contain("restarts");
  });
});
