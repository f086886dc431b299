import { expect } from "chai";
import { runScript } from "../../../support/scripts/run-script.ts";

const demo = ["hardhat", "run", "--no-compile", "scripts/demo.ts"];

describe("npm run demo", () => {
  it("shows that the old hash is refused and the new one allowed after the update", async () => {
    const { code, stdout, stderr } = await runScript({ args: demo });

    expect(stderr).to.equal("");
    expect(code).to.equal(0);
    const [, oldHash, newHash] =
      /old hash (0x\w{64})[\s\S]*new hash (0x\w{64})/.exec(stdout.split("Boot verdicts")[1] ?? "") ?? [];
    expect(oldHash).to.be.a("string").and.not.equal(newHash);
    const verdicts = [...stdout.matchAll(/(before the update|after the update|after pruning) +(.+)/g)].map(
      ([, when, what]) => [when, what],
    );
    expect(verdicts).to.deep.equal([
      ["before the update", "allowed"],
      ["after the update", "allowed"],
      ["after pruning", "refused: Compose hash not allowed"],
      ["before the update", "refused: Compose hash not allowed"],
      ["after the update", "allowed"],
      ["after pruning", "allowed"],
    ]);
    for (const step of ["HTTP 465", "read allowlist", "addComposeHash", "confirm", "roll over", "removeComposeHash"]) {
      expect(stdout).to.include(step);
    }
    expect(stdout).not.to.include("postgres://");
  });

  it("runs to its end when the reader of its output stops", async () => {
    const { code, stderr } = await runScript({ args: demo, stopsReading: true });

    expect(stderr).to.equal("");
    expect(code).to.equal(0);
  });

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    it(`stops everything on ${signal} in the middle of the update`, async () => {
      const { code, stdout, stderr } = await runScript({ args: demo, interrupt: { at: "HTTP 465", signal } });

      expect(code).to.equal(130);
      expect(stderr).to.equal(`Stopped by ${signal}.\n`);
      expect(stdout).not.to.include("removeComposeHash");
    });
  }
});
