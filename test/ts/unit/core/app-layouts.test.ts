import { readFileSync } from "node:fs";
import { expect } from "chai";
import { appLayouts, gapOf } from "../../../../src/core/app-layouts.ts";

describe("layouts of the public app contracts", () => {
  for (const [id, contracts] of [
    ["0.4.2", ["AppAuthV042"]],
    ["0.5.4", ["DstackAppV054"]],
    ["0.5.9", ["DstackAppV059", "DstackApp"]],
  ] as const)
    for (const contract of contracts)
      it(`${id} is what the compiler makes of ${contract}`, () => {
        const compiled: unknown = JSON.parse(readFileSync(`contracts/layout/${contract}.json`, "utf8"));
        expect(appLayouts[id].variables).to.deep.equal(compiled);
      });

  it("each end with a gap up to slot 52 or 53", () => {
    expect(Object.values(appLayouts).map((layout) => gapOf(layout).at(-1))).to.deep.equal([53, 52, 52]);
  });
});
