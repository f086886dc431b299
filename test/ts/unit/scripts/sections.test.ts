import { expect } from "chai";
import { runCommand } from "../../../../scripts/support/run-command.ts";
import { openSections } from "../../../../scripts/test/sections.ts";

describe("the output of stages that run at the same time", () => {
  function open(...stages: readonly string[]) {
    const written: string[] = [];
    const { sections, flushAll } = openSections(stages, (text) => written.push(text));
    return { written, sections: sections.map(([, section]) => section), flushAll };
  }

  it("is written at once by the first stage, and kept for a later one until the first has ended", () => {
    const { written, sections } = open("check", "unit");
    const [check, unit] = sections;
    unit?.line("unit 1");
    check?.line("check 1");
    unit?.redirect?.("unit 2\n");
    check?.line("check 2");
    expect(written.join("")).to.equal("check 1\ncheck 2\n");
    check?.end();
    expect(written.join("")).to.equal("check 1\ncheck 2\nunit 1\nunit 2\n");
    unit?.line("unit 3");
    expect(written.at(-1)).to.equal("unit 3\n");
  });

  it("keeps the order of the stages when they end in another one", () => {
    const { written, sections } = open("a", "b", "c", "d");
    for (const index of [2, 1, 0, 3]) {
      sections[index]?.line(`stage ${index}`);
      sections[index]?.end();
    }
    expect(written.join("")).to.equal("stage 0\nstage 1\nstage 2\nstage 3\n");
  });

  it("is written once when the stages are stopped", () => {
    const { written, sections, flushAll } = open("a", "b", "c");
    for (const section of sections) section.line("half done");
    flushAll();
    flushAll();
    expect(written.join("")).to.equal("half done\n".repeat(3));
  });

  it("comes from both streams of a command, except what its caller reads", async () => {
    const texts: string[] = [];
    const run = (output: "show" | "stdout") =>
      runCommand({
        command: process.execPath,
        args: ["-e", 'console.log("out"); console.error("err");'],
        output,
        print: (text) => texts.push(text),
      });
    expect(await run("show")).to.include({ code: 0, output: "" });
    expect(texts.sort()).to.deep.equal(["err\n", "out\n"]);
    texts.length = 0;
    expect(await run("stdout")).to.include({ code: 0, output: "out\n" });
    expect(texts).to.deep.equal(["err\n"]);
  });

  it("goes straight to the terminal when they run one after another", () => {
    const { sections } = openSections(["a"]);
    expect(sections.map(([stage, { redirect }]) => ({ stage, redirect }))).to.deep.equal([
      { stage: "a", redirect: undefined },
    ]);
  });
});
