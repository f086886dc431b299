import { expect } from "chai";
import { parsePlan, stageNames } from "../../../../scripts/test/plan.ts";

describe("parsePlan", () => {
  it("runs everything when nothing is named, the official clients only on CI", () => {
    const stages = stageNames.filter((name) => name !== "clients");
    expect(parsePlan([])).to.deep.equal({ stages, files: [], grep: undefined });
    expect(parsePlan([], { ci: true }).stages).to.deep.equal(stageNames);
    expect(parsePlan(["clients"]).stages).to.deep.equal(["clients"]);
  });

  it("keeps the stages in their own order, each once", () => {
    expect(parsePlan(["e2e", "check", "e2e"]).stages).to.deep.equal(["check", "e2e"]);
  });

  it("finds the stage of a test file", () => {
    const file = "test/ts/unit/core/ids.test.ts";
    expect(parsePlan([`./${file}`])).to.deep.equal({ stages: ["unit"], files: [file], grep: undefined });
    expect(parsePlan(["test\\contracts\\DstackApp.t.sol"]).stages).to.deep.equal(["contracts"]);
  });

  it("hands a name filter on", () => {
    expect(parsePlan(["unit", "--grep", "some words"]).grep).to.equal("some words");
  });

  it("refuses what it does not know, rather than run something else", () => {
    for (const args of [["units"], ["test/ts/unit"], ["src/index.ts"], ["--bail"], [""]])
      expect(() => parsePlan(args), JSON.stringify(args)).to.throw();
  });
});
