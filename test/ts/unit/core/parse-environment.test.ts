import { expect } from "chai";
import { parse } from "dotenv";
import fc from "fast-check";
import { parseEnvironment } from "../../../../src/core/environment.ts";
import { InvalidEnvironmentError } from "../../../../src/errors/index.ts";

describe("parseEnvironment", () => {
  it("keeps the order of the file and dotenv's quoting rules", () => {
    const text = [
      "# a comment",
      "ZED=last letter first",
      "export TOKEN = abc # trailing comment",
      "EMPTY=",
      "  SINGLE='it # stays $HOME \\n'",
      'DOUBLE="one\\ntwo"',
      'MULTI="first',
      "INNER=not an assignment",
      "",
      "# not a comment",
      'last"',
      'BACKTICK=`"it\'s"`',
      "YAML: also accepted",
      "",
    ].join("\n");
    expect(parseEnvironment(text)).to.deep.equal([
      { key: "ZED", value: "last letter first" },
      { key: "TOKEN", value: "abc" },
      { key: "EMPTY", value: "" },
      { key: "SINGLE", value: "it # stays $HOME \\n" },
      { key: "DOUBLE", value: "one\ntwo" },
      { key: "MULTI", value: "first\nINNER=not an assignment\n\n# not a comment\nlast" },
      { key: "BACKTICK", value: '"it\'s"' },
      { key: "YAML", value: "also accepted" },
    ]);
  });

  it("accepts an empty file, a byte order mark and any line ends", () => {
    expect(parseEnvironment("")).to.deep.equal([]);
    expect(parseEnvironment("\ufeffA=1\r\nB=2\rC=3")).to.deep.equal([
      { key: "A", value: "1" },
      { key: "B", value: "2" },
      { key: "C", value: "3" },
    ]);
  });

  it("accepts names that look like keywords or like the parser's own placeholders", () => {
    expect(parseEnvironment("export e=1\nexport=2\nLINE_1=LINE_2=x\nLINE_=LINE__3\n")).to.deep.equal([
      { key: "e", value: "1" },
      { key: "export", value: "2" },
      { key: "LINE_1", value: "LINE_2=x" },
      { key: "LINE_", value: "LINE__3" },
    ]);
  });

  const wrong: readonly [string, string, number][] = [
    ["a line without =", "A=1\ns3cr3t\n", 2],
    ["a double quote that is not closed", 'A=1\nB="s3cr3t\n', 2],
    ["a single quote that is not closed", "A=1\nexport B = 's3cr3t\nC=2", 2],
    ["a backtick that is not closed, before a quoted value", "A=`s3cr3t\nC=2\n", 1],
    ["a double quote that is not closed before a quoted value", 'A="s3cr3t\nC="2"\n', 1],
    ["a quote that is closed before the value ends", 'A="s3" cr3t\n', 1],
    ["a quote alone", "A=1\nB='\n", 2],
    ["a name with a space", "MY KEY=s3cr3t", 1],
    ["a name with a hyphen", "MY-KEY=s3cr3t", 1],
    ["a name with a dot", "MY.KEY=s3cr3t", 1],
    ["a name with a leading digit", "1KEY=s3cr3t", 1],
    ["no name", "=s3cr3t", 1],
    ["a bare secret", "s3cr3t+/x==", 1],
    ["a quote that is never closed", 'A=1\nB="s3cr3t\nmore s3cr3t\n', 2],
    ["text after a closed quote on the next line", "A='x'\n's3cr3t'", 2],
    ["a name set twice", "A=s3cr3t\n\nB=2\nA=s3cr3t", 4],
    ["a name set twice, once exported", "A=s3cr3t\nexport A=s3cr3t", 2],
    ["the name __proto__", "__proto__=s3cr3t", 1],
  ];
  for (const [what, text, line] of wrong) {
    it(`refuses ${what} and names the line, not the value`, () => {
      const error = refusalOf(text);
      expect(error.context).to.include({ line });
      expect(`${error.stack} ${JSON.stringify(error)}`).not.to.include("s3cr3t");
    });
  }

  it("sets what dotenv sets, or refuses the file", () => {
    const piece = fc.constantFrom(
      "A",
      "B",
      "=",
      " ",
      "\n",
      '"',
      "'",
      "`",
      "#",
      "export ",
      ": ",
      "\\n",
      "\\",
      "x",
      "$A",
    );
    const file = fc.array(piece, { maxLength: 25 }).map((pieces) => pieces.join(""));
    fc.assert(
      fc.property(file, (text) => {
        let variables: { key: string; value: string }[];
        try {
          variables = parseEnvironment(text);
        } catch (error) {
          expect(error).to.be.instanceOf(InvalidEnvironmentError);
          return;
        }
        expect(Object.fromEntries(variables.map(({ key, value }) => [key, value]))).to.deep.equal(parse(text));
      }),
      { numRuns: 500 },
    );
  });
});

function refusalOf(text: string): InvalidEnvironmentError {
  try {
    parseEnvironment(text);
  } catch (error) {
    if (error instanceof InvalidEnvironmentError) return error;
    throw error;
  }
  return expect.fail("nothing was refused");
}
