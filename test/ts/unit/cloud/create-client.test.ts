import { createHmac } from "node:crypto";
import { inspect } from "node:util";
import { expect } from "chai";
import { createCloudClient } from "../../../../src/cloud/create-client.ts";
import { InvalidArgumentError } from "../../../../src/errors/index.ts";

const apiKey = "key-SECRET-of-the-tests";
const baseUrl = "https://cloud.example/api/v1";

describe("createCloudClient", () => {
  it("does not show the API key when the client is printed", () => {
    const client = createCloudClient({ apiKey, baseUrl });
    const shown = [
      inspect(client, { depth: 10, showHidden: true, getters: true }),
      JSON.stringify(client),
      Object.values(client).map(String).join(),
    ];
    for (const text of shown) expect(text).to.not.include("SECRET");
  });

  it("adds the API's path to an origin without a path, and to no other address", () => {
    const address = (url: string) => createCloudClient({ apiKey, baseUrl: url }).baseUrl;
    expect(address("https://cloud.example")).to.equal(baseUrl);
    expect(address("https://cloud.example/api/v1/")).to.equal(baseUrl);
    expect(address("http://127.0.0.1:3000/other")).to.equal("http://127.0.0.1:3000/other");
  });

  it("refuses an invalid address, without quoting it", () => {
    for (const url of [
      "",
      "cloud.example",
      "ftp://cloud.example",
      "https://me:hunter2@cloud.example",
      "https://a/?k=hunter2",
    ]) {
      expect(() => createCloudClient({ apiKey, baseUrl: url }), url)
        .to.throw(InvalidArgumentError)
        .that.satisfies((error: Error) => !error.message.includes("hunter2"));
    }
  });

  it("refuses a key that is invalid in a header, without quoting it", () => {
    for (const key of ["", "  ", "SECRET key", "SECRET\nkey", "SECRETé"]) {
      expect(() => createCloudClient({ apiKey: key, baseUrl }), key)
        .to.throw(InvalidArgumentError)
        .that.satisfies((error: Error) => !inspect(error).split("\n")[0]?.includes("SECRET"));
    }
  });

  it("removes the line feed at the end of a key", () => {
    const [one, other] = [apiKey, `${apiKey}\n`].map((key) => createCloudClient({ apiKey: key, baseUrl }));
    expect(one?.fingerprint("x")).to.equal(other?.fingerprint("x"));
  });

  it("makes fingerprints that depend on the key", () => {
    const { fingerprint } = createCloudClient({ apiKey, baseUrl });
    expect(fingerprint("A=1")).to.equal(createHmac("sha256", apiKey).update("A=1").digest("hex"));
    expect(fingerprint("A=1")).to.not.equal(fingerprint("A=2"));
    expect(fingerprint("A=1")).to.not.equal(createCloudClient({ apiKey: "other", baseUrl }).fingerprint("A=1"));
  });
});
