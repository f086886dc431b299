import { expect } from "chai";
import fc from "fast-check";
import { type JsonNode, parseJsonTree } from "../../../../src/core/parse-json-tree.ts";
import { InvalidAppComposeError } from "../../../../src/errors/index.ts";

describe("parseJsonTree", () => {
  it("keeps number lexemes, key order and the last of repeated keys", () => {
    const root = parseJsonTree('{"b": 1.0, "10": -0, "a": "x", "b": 2e3}');
    expect(root.kind === "object" && [...root.members]).to.deep.equal([
      ["b", { kind: "number", lexeme: "2e3", offset: 36 }],
      ["10", { kind: "number", lexeme: "-0", offset: 17 }],
      ["a", { kind: "string", value: "x", offset: 26 }],
    ]);
    expect(root.kind === "object" && root.repeatedKeys).to.deep.equal([{ key: "b", offset: 31 }]);
  });

  it("accepts and reads exactly what JSON.parse does", () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), damagedJson), (text) => {
        expect(attempt(() => toValue(parseJsonTree(text)))).to.deep.equal(attempt(() => JSON.parse(text)));
      }),
    );
  });
});

/** JSON with one character taken out, added or replaced. */
const damagedJson = fc
  .tuple(fc.json(), fc.nat(), fc.nat(1), fc.constantFrom("", ",", '"', "0", "\\", "\u0001", "/", "\ufeff", "\u00a0"))
  .map(([text, at, removed, insert]) => {
    const index = at % (text.length + 1);
    return text.slice(0, index) + insert + text.slice(index + removed);
  });

function attempt(parse: () => unknown): unknown {
  try {
    return { value: parse() };
  } catch (error) {
    if (error instanceof InvalidAppComposeError || error instanceof SyntaxError) return "refused";
    throw error;
  }
}

function toValue(node: JsonNode): unknown {
  switch (node.kind) {
    case "array":
      return node.items.map(toValue);
    case "object":
      return Object.fromEntries(Array.from(node.members, ([key, value]) => [key, toValue(value)]));
    case "number":
      return Number(node.lexeme);
    default:
      return node.value;
  }
}
