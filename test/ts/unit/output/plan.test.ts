import { expect } from "chai";
import { nextCommands, toNextStep } from "../../../../src/output/plan.ts";

describe("the next step of a plan", () => {
  it("separates commands by semicolons, and leaves sentences as they are", () => {
    const commands = nextCommands("safe", "my plan.json", "base", 1);
    expect(toNextStep(commands)).to.equal(
      "npx hardhat dstack plan check 'my plan.json' --network base; npx hardhat dstack safe propose 'my plan.json' --network base",
    );
    const ready = ["It may be executed now:", "  next    npx hardhat dstack timelock execute plan.json --network base"];
    expect(toNextStep(ready)).to.equal(
      "It may be executed now: npx hardhat dstack timelock execute plan.json --network base",
    );
    expect(toNextStep([])).to.equal(null);
  });

  it("names one way to execute a plan for each kind of owner", () => {
    const last = (kind: Parameters<typeof nextCommands>[0]) => nextCommands(kind, "plan.json", "base").at(-1);
    expect(last("key")).to.include("dstack plan apply plan.json");
    expect(last("safe")).to.include("dstack safe propose plan.json");
    expect(last("timelock")).to.include("dstack timelock schedule plan.json");
    expect(nextCommands("safe", "plan.json", "base").join()).not.to.include("plan apply");
  });
});
