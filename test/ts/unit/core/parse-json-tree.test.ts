import { expect } from "chai";
import fc from "fast-check";
import { parseAppCompose } from "../../../../src/core/app-compose.ts";
import { parseJsonTree, toJsonValue } from "../../../../src/core/json.ts";
import { InvalidAppComposeError } from "../../../../src/errors/index.ts";

describe("parseJsonTree", () => {
  it("keeps the text of numbers, the order of keys and the last of repeated keys", () => {
    const root = parseJsonTree('{"b": 1.0, "10": -0, "a": "x", "b": 2e3}');
    expect(root.kind === "object" && [...root.members]).to.deep.equal([
      ["b", { kind: "number", lexeme: "2e3", offset: 36 }],
      ["10", { kind: "number", lexeme: "-0", offset: 17 }],
      ["a", { kind: "string", value: "x", offset: 26 }],
    ]);
    expect(root.kind === "object" && root.repeatedKeys).to.deep.equal([{ key: "b", offset: 31 }]);
  });

  it("reads every JSON value", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(3), (value, indent) => {
        // -0 is written as 0.
        const expected = JSON.stringify(value);
        expect(JSON.stringify(toJsonValue(parseJsonTree(JSON.stringify(value, null, indent))))).to.equal(expected);
      }),
    );
  });

  it("refuses exactly what JSON.parse refuses", () => {
    fc.assert(
      fc.property(damagedJson, (text) => {
        expect(isAccepted(() => parseJsonTree(text))).to.equal(isAccepted(() => JSON.parse(text)));
      }),
    );
  });

  it("reads escaped keys correctly, which V8's JSON.parse confuses", () => {
    parseAppCompose('{"x":1,"\\\\":2}');
    expect(parseAppCompose('{"x":1,"\\n":2}')).to.deep.equal({ x: 1, "\n": 2 });
  });
});

/** JSON with one character taken out, added or replaced. */
const damagedJson = fc
  .tuple(fc.json(), fc.nat(), fc.nat(1), fc.constantFrom("", ",", '"', "0", "\\", "\u0001", "/", "\ufeff", "\u00a0"))
  .map(([text, at, removed, insert]) => {
    const index = at % (text.length + 1);
    return text.slice(0, index) + insert + text.slice(index + removed);
  });

function isAccepted(parse: () => unknown): boolean {
  try {
    parse();
    return true;
  } catch (error) {
    if (error instanceof InvalidAppComposeError || error instanceof SyntaxError) return false;
    throw error;
  }
}
