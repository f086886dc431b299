import { expect } from "chai";
import { countVagueWords, proseOf } from "../../../../scripts/support/prose.ts";

function read(path: string, ...lines: string[]): string[] {
  return proseOf(path, lines.join("\n")).map(({ kind, line, text }) => `${kind} ${line} ${text}`);
}

describe("prose of a file", () => {
  it("is the comments and the strings of several words in TypeScript", () => {
    expect(
      read(
        "a.ts",
        "/** Adds",
        " * two numbers. */",
        'const name = "one-word"; // not // two',
        "const text = 'it\\'s said // here';",
        'import x from "./a path.ts";',
      ),
    ).to.deep.equal([
      "comments 1 /** Adds\n * two numbers. */",
      "comments 3 // not // two",
      "messages 4 'it\\'s said // here'",
      'messages 5 "./a path.ts"',
    ]);
  });

  it("joins the text of a template and looks into its expressions", () => {
    // Square brackets stand for braces, which would make the linter take these strings for templates.
    const braced = (text: string) => text.replaceAll("[", "{").replaceAll("]", "}");
    const source =
      "`The file $[path] is $[isBig ? `too $[[ a: 1 ].a] big` : ok /* or so */] for \\$[this] \\` at $5`; // end";
    expect(read("a.ts", braced(source))).to.deep.equal([
      "messages 1 too … big",
      "comments 1 /* or so */",
      braced("messages 1 The file … is … for \\$[this] \\` at $5"),
      "comments 1 // end",
    ]);
  });

  it("tells a division from a regular expression", () => {
    expect(
      read("a.ts", "const half = all / 2; // 'a b' / 2", "x = (a + b) / c; // d", "call(/[/'\"]\\// , 'two words');"),
    ).to.deep.equal(["comments 1 // 'a b' / 2", "comments 2 // d", "messages 3 'two words'"]);
    expect(read("a.ts", "return /\\/\\*'/.test(`a`); // end")).to.deep.equal(["comments 1 // end"]);
  });

  it("is the comments and messages of Solidity, and the filled lines of a page", () => {
    expect(read("A.sol", "/// @notice Allows it.", 'require(ok, "not allowed"); // why')).to.deep.equal([
      "comments 1 /// @notice Allows it.",
      'messages 2 "not allowed"',
      "comments 2 // why",
    ]);
    expect(read("a.md", "# Title", "", "Text.")).to.deep.equal(["pages 1 # Title", "pages 3 Text."]);
  });
});

describe("vague words", () => {
  it("are found in any case and line, as whole words, in one kind of prose", () => {
    const prose = proseOf(
      "a.ts",
      "/*\n Nobody or\n whatever: somebodys */ const nobody = 'said by anybody';\n// Whoever",
    );
    expect(countVagueWords(prose, "comments")).to.deep.equal({
      places: ["a.ts:2: Nobody", "a.ts:3: whatever", "a.ts:4: Whoever"],
      rate: 750,
    });
    expect(countVagueWords(prose, "messages").places).to.deep.equal(["a.ts:3: anybody"]);
    expect(countVagueWords(prose, "pages")).to.deep.equal({ places: [], rate: 0 });
  });
});
