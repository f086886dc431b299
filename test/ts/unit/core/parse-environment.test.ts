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
    ["a # in a value", "A=1\nPASS=s3cr3t#s3cr3t", 2],
    ["a # at the begin of a value", "COLOR=#s3cr3t", 1],
    ["a # after a space and before text, as the whole value", "COLOR= #s3cr3t", 1],
    ["a # in a URL", "URL=https://a.example/s3cr3t#top", 1],
    ["a # in an exported value", "export A=s3cr3t#b", 1],
    ["a # in a value after a colon", "A: s3cr3t#b", 1],
    ["a # at the end of a value", "A=s3cr3t#", 1],
    ["a # in a value before a comment", "A=s3cr3t#b # comment", 1],
    ["a # directly after a quote", 'A="s3cr3t"#b', 1],
    ["a # directly after a quote of several lines", "B=1\nA='s3cr3t\nmore'#b", 2],
    ["a # within quotes that do not begin the value", "A=x 's3cr3t # b'", 1],
    ["the name __proto__", "__proto__=s3cr3t", 1],
  ];
  for (const [what, text, line] of wrong) {
    it(`refuses ${what} and names the line, not the value`, () => {
      const error = refusalOf(text);
      expect(error.context).to.include({ line });
      expect(`${error.stack} ${JSON.stringify(error)}`).not.to.include("s3cr3t");
    });
  }

  it("names the variable of a doubtful #, and the cure", () => {
    const { message, nextStep } = refusalOf("A=1\nPASS=abc#123\n");
    expect(message).to.equal("Line 2 of the environment file has a # outside of quotes.");
    expect(nextStep).to.equal("Put the value in quotes, as in PASS='…#…'. A comment needs a space before its #.");
  });

  it("accepts a # in quotes, and as a comment after white space", () => {
    const text = [
      "A='abc#123'",
      'B="#ff0000" # red',
      "C=`x#y`",
      "D=value # comment",
      "E=value #comment",
      "F=value\t# it's",
      "G= # empty",
      "# H=#1",
      "I='first#",
      "#second' # comment",
      "",
    ];
    expect(parseEnvironment(text.join("\n")).map(({ key, value }) => `${key}=${value}`)).to.deep.equal([
      "A=abc#123",
      "B=#ff0000",
      "C=x#y",
      "D=value",
      "E=value",
      "F=value",
      "G=",
      "I=first#\n#second",
    ]);
  });

  it("keeps a dollar sign and a backslash as they are, and replaces neither variables nor commands", () => {
    const text = "A=$HOME\nB=\"$HOME$(id)\"\nC='$HOME'\nD=a$$b\nE=C:\\\\dir\\\\\n";
    expect(parseEnvironment(text).map(({ value }) => value)).to.deep.equal([
      "$HOME",
      "$HOME$(id)",
      "$HOME",
      "a$$b",
      "C:\\\\dir\\\\",
    ]);
  });

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
