import { expect } from "chai";
import { computeComposeHash, hashAppComposeText, writeAppCompose } from "../../../../src/core/compose-hash.ts";
import { type JsonObject, parseJsonTree, toJsonObject } from "../../../../src/core/json.ts";
import published from "../../../support/vectors/compose-hash.json" with { type: "json" };

describe("compose hash", () => {
  for (const { name, about, text, hashes } of published.vectors) {
    // The platform's SDK takes a space out of a string of V3; a recipe in Python keeps it.
    const [origin, expected] =
      name === "V3"
        ? ["the deployment guide's recipe", hashes["deployment-guide"]?.plain]
        : ["the platform's SDK", hashes["cloud-sdk"].normalised];

    it(`is what ${origin} computes for ${name} (${about})`, () => {
      expect(computeComposeHash(documentOf(text))).to.equal(`0x${expected}`);
    });
  }

  it("differs from the platform's SDK where a string holds a quote, a colon and a space", () => {
    const [vector] = published.vectors.filter(({ name }) => name === "V3");
    const { normalised } = vector?.hashes["cloud-sdk"] ?? {};
    expect(computeComposeHash(documentOf(vector?.text ?? ""))).not.to.equal(`0x${normalised}`);
  });

  it("treats undefined as absent, and null as a value", () => {
    expect(writeAppCompose({ runner: undefined, name: null, x: { y: undefined } })).to.equal(
      '{\n    "name":null,\n    "x":{}\n}',
    );
  });

  it("is the hash of the text that buildAppCompose writes", () => {
    const document = {
      runner: "docker-compose",
      docker_compose_file: "services: {}\n",
      x: [{}, [], { b: 1, a: null }],
    };
    const text = writeAppCompose(document);
    expect(text).to.equal(
      [
        "{",
        '    "docker_compose_file":"services: {}\\n",',
        '    "runner":"docker-compose",',
        '    "x":[',
        "        {},",
        "        [],",
        "        {",
        '            "a":null,',
        '            "b":1',
        "        }",
        "    ]",
        "}",
      ].join("\n"),
    );
    expect(computeComposeHash(document)).to.equal(hashAppComposeText(new TextEncoder().encode(text)));
  });
});

/** Unlike `parseAppCompose` it lets through what would be rounded, as some vectors are. */
function documentOf(text: string): JsonObject {
  const root = parseJsonTree(text);
  return root.kind === "object" ? toJsonObject(root) : expect.fail("a vector is not an object");
}
