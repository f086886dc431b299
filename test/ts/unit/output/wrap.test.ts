import { PassThrough } from "node:stream";
import { expect } from "chai";
import { HashNeededError, InvalidArgumentError } from "../../../../src/errors/index.ts";
import { exitWith } from "../../../../src/output/exit-with.ts";
import { createOutput, type Output } from "../../../../src/output/output.ts";
import { widthOf, wrapText } from "../../../../src/output/wrap.ts";

const hash = `0x${"ab".repeat(32)}`;

describe("wrapText", () => {
  const cases: readonly [what: string, text: string, lines: readonly string[]][] = [
    ["a line that fits", "one two", ["one two"]],
    ["a sentence, with continuation lines indented", "one two three four five", ["one two three four", "  five"]],
    ["the lines of a text one by one", "one\ntwo three four five six", ["one", "two three four five", "  six"]],
    ["an indented sentence", "    one two three four", ["    one two three", "      four"]],
    ["the text after a label, below itself", "  owner   one two three", ["  owner   one two", "          three"]],
    ["before a value that does not fit", `one two ${hash}`, ["one two", `  ${hash}`]],
    ["after a value that does not fit", `${hash} one two`, [hash, "  one two"]],
    ["no value, and never between a label and a value", `  owner  ${hash}`, [`  owner  ${hash}`]],
    ["a value before a gap like a label", `  ${hash}  is on cvm_1`, [`  ${hash}`, "    is on cvm_1"]],
    [
      "no command line",
      "Run npx hardhat dstack hash add 0x12 --app shop, then go.",
      ["Run", "  npx hardhat dstack hash add 0x12 --app shop,", "  then go."],
    ],
  ];
  for (const [what, text, lines] of cases)
    it(`breaks ${what}`, () => expect(wrapText(text, 20).split("\n")).to.deep.equal(lines));

  it("puts continuation lines where the caller wants them", () => {
    expect(wrapText("note one two three four", 20, 5)).to.equal("note one two three\n     four");
  });
});

describe("the width of output", () => {
  it("is the terminal's, and 80 in a file, in a pipe and in a terminal without a width", () => {
    expect(widthOf(new PassThrough())).to.equal(80);
    expect(widthOf(Object.assign(new PassThrough(), { columns: 0 }))).to.equal(80);
    expect(widthOf(Object.assign(new PassThrough(), { columns: 132 }))).to.equal(132);
  });

  const words = "word ".repeat(30).trim();
  const writers: Readonly<Record<string, (output: Output) => void>> = {
    title: (output) => output.title(words),
    step: (output) => output.step("what", words, 1),
    detail: (output) => output.detail("what", words, 1),
    line: (output) => output.line(words),
    table: (output) => output.table({ head: ["what", "why"], rows: [["this", words]] }),
  };
  for (const [name, write] of Object.entries(writers)) {
    it(`holds for every line of a ${name}, and no word is lost`, () => {
      const stream = new PassThrough();
      write(createOutput(stream));
      const text = String(stream.read());
      expect(text.split("\n").every((line) => line.length <= 80)).to.equal(true);
      expect(text.match(/word/g)).to.have.length(30);
    });
  }

  it("holds for errors, whose continuation lines are indented", () => {
    const stream = new PassThrough();
    exitWith(new InvalidArgumentError(`A sentence. ${words}\nDSTK-0000 ${words}`, { nextStep: words }), stream);
    const lines = String(stream.read()).trimEnd().split("\n");
    expect(lines.every((line) => line.length <= 80)).to.equal(true);
    expect(lines.filter((line) => !line.startsWith("  "))).to.have.length(2);
  });

  it("gives each objection of an error a line of its own", () => {
    const stream = new PassThrough();
    const objections = ["CVM a\n  - DSTK-0000 has it.", "CVM b has it."].map((problem) => ({
      acceptAs: "in-use",
      problem,
    }));
    exitWith(new HashNeededError(objections), stream, "Update them first.");
    expect(String(stream.read()).trimEnd().split("\n")).to.deep.equal([
      "DSTK-1102 The removal is refused:",
      "  - CVM a - DSTK-0000 has it. (in-use)",
      "  - CVM b has it. (in-use)",
      "Update them first.",
    ]);
  });
});
