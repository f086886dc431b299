import { expect } from "chai";
import { runScript } from "../../../support/scripts/run-script.ts";

describe("npm run fuzz", () => {
  for (const args of [["--rounds", "0"], ["--seed", "x"], ["--seed=-1"], ["--rounds", "1.5"], ["--run", "1"], ["7"]])
    it(`refuses ${args.join(" ")} with exit code 2`, async () => {
      const { code, stdout, stderr } = await runScript({ args: ["scripts/fuzz.ts", ...args] });
      expect({ code, stdout }).to.deep.equal({ code: 2, stdout: "" });
      expect(stderr).to.match(/^Usage: /);
    });
});
