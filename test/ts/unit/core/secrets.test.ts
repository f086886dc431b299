import { expect } from "chai";
import { createSecretCleaner } from "../../../../src/core/secrets.ts";
import { cpuTimeOf } from "../../../support/cpu-time.ts";

describe("createSecretCleaner", () => {
  it("reads headers in each of fetch's forms, and leaves those that are not secret", () => {
    const pairs: [string, string][] = [
      ["X-Token", "pa55"],
      ["Accept", "application/json"],
    ];
    for (const headers of [Object.fromEntries(pairs), pairs, new Headers(pairs)]) {
      const { clean } = createSecretCleaner([{ headers }]);
      expect(clean("pa55 is no application/json")).to.equal("[hidden] is no application/json");
    }
  });

  it("finds the credentials in a Basic header, and the header that a URL's credentials become", () => {
    const encoded = Buffer.from("ann:s3same12").toString("base64");
    const { clean } = createSecretCleaner([{ headers: { authorization: `Basic ${encoded}` } }]);
    expect(clean(`ann:s3same12, s3same12, ${encoded}`)).to.equal("[hidden], [hidden], [hidden]");
    expect(createSecretCleaner([{ url: "http://ann:s3same12@h/" }]).clean(encoded)).to.equal("[hidden]");
  });

  it("replaces a secret of one or two characters, or of digits, only as a whole word", () => {
    const { clean } = createSecretCleaner([{ url: "http://host/a1/12?k=z" }]);
    expect(clean("a1 12 z, but 0xa12 and 120 blocks of zzz on host")).to.equal(
      "[hidden] [hidden] [hidden], but 0xa12 and 120 blocks of zzz on host",
    );
  });

  it("hides the host when the option is set", () => {
    const source = { url: "http://node.example:81/" };
    expect(createSecretCleaner([source]).clean("at node.example:81")).to.equal("at node.example:81");
    expect(createSecretCleaner([{ ...source, hidesHost: true }]).clean("at node.example:81")).to.equal("at [hidden]");
  });

  it("cleans all parts of a value, including names", () => {
    const { cleanDeep } = createSecretCleaner([{ values: ["hunter2"] }], "[key]");
    expect(cleanDeep({ hunter2: ["hunter2", { a: "no hunter2" }], n: 1, x: null })).to.deep.equal({
      "[key]": ["[key]", { a: "no [key]" }],
      n: 1,
      x: null,
    });
  });

  it("changes nothing when no secret is known", () => {
    expect(createSecretCleaner([{}, { url: undefined, headers: undefined }]).clean("a b")).to.equal("a b");
  });

  it("is fast for every text, and shows no part of a secret at the end of a text that it cuts", async () => {
    const secret = "k".repeat(40) + "/+%".repeat(20);
    const { clean } = createSecretCleaner([
      { url: `http://user:pw9@h/${secret}`, values: [secret, "\\\\\\", "%%%25"] },
    ]);
    for (const unit of ["k", "\\", "%25", "&#0", "\\u00", "a", Buffer.from(secret).toString("base64"), `${secret} `]) {
      let text = "";
      const spent = await cpuTimeOf(() => {
        text = clean(unit.repeat(2_000_000 / unit.length));
      });
      expect(spent, unit).to.be.lessThan(2_000);
      expect(text.length).to.be.at.most(100_000);
    }
    expect(clean("x".repeat(99_980) + secret)).to.not.include("k");
  });
});
