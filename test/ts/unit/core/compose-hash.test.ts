import { expect } from "chai";
import { computeComposeHash, hashAppComposeText, writeAppCompose } from "../../../../src/core/compose-hash.ts";
import published from "../../../support/vectors/compose-hash.json" with { type: "json" };

describe("compose hash", () => {
  for (const { name, about, text, hashes } of published.vectors) {
    // The platform's SDK damages this one: it takes the space out of a string value.
    const expected = name === "V3" ? hashes["deployment-guide"]?.plain : hashes["cloud-sdk"].normalised;

    it(`is what the platform's SDK computes for ${name} (${about})`, () => {
      expect(computeComposeHash(JSON.parse(text))).to.equal(`0x${expected}`);
    });
  }

  it("differs from the platform's SDK where a string holds a quote, a colon and a space", () => {
    const [vector] = published.vectors.filter(({ name }) => name === "V3");
    expect(computeComposeHash(JSON.parse(vector?.text ?? ""))).not.to.equal(
      `0x${vector?.hashes["cloud-sdk"].normalised}`,
    );
  });

  it("is the hash of the text that is written", () => {
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
