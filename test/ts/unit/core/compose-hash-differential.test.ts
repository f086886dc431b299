import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createClient, getComposeHash as getComposeHashOfCloudSdk, getCvmComposeFile } from "@phala/cloud";
import { getComposeHash } from "@phala/dstack-sdk/get-compose-hash";
import { expect } from "chai";
import fc from "fast-check";
import { parseAppCompose } from "../../../../src/core/app-compose.ts";
import { computeComposeHash, hashAppComposeText, writeAppCompose } from "../../../../src/core/compose-hash.ts";
import type { ComposeHashForm } from "../../../../src/core/compose-hash-forms/form.ts";
import { cloudSdkForm, dstackJsForm } from "../../../../src/core/compose-hash-forms/javascript.ts";
import { type JsonObject, parseJsonTree, toJsonObject } from "../../../../src/core/json.ts";
import { arbitraryAppCompose, arbitraryPlainAppCompose } from "../../../support/arbitrary-app-compose.ts";
import outside from "../../../support/vectors/compose-hash-outside.json" with { type: "json" };

const oddities = [
  ...outside.vectors.map(({ text }) => text),
  '{"__proto__":{"b":1,"a":2},"z":1,"a":{"__proto__":1,"b":3}}',
]
  .map(parseJsonTree)
  .flatMap((root) => (root.kind === "object" ? [toJsonObject(root)] : []));

describe("compose hash beside the official npm packages", () => {
  it("dstack-js equals getComposeHash of @phala/dstack-sdk and of @phala/cloud", () => {
    fc.assert(
      fc.property(arbitraryAppCompose, fc.boolean(), (document, normalise) => {
        expectDstackJs(document, normalise);
      }),
    );
    for (const document of oddities) for (const normalise of [false, true]) expectDstackJs(document, normalise);
  });

  describe("and the hash of @phala/cloud's compose file", () => {
    let server: Server;
    let served: string;
    let readHash: () => Promise<string>;

    before(async () => {
      server = createServer((_, response) => response.setHeader("content-type", "application/json").end(served));
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as AddressInfo; // a listening TCP server
      const client = createClient({ apiKey: "phak_test", baseURL: `http://127.0.0.1:${port}` });
      readHash = async () => (await getCvmComposeFile(client, { id: "cvm-1" })).getHash();
    });

    after(() => server.close());

    it("is reproduced for every document", () =>
      fc.assert(
        fc.asyncProperty(arbitraryPlainAppCompose, async (document) => {
          served = JSON.stringify(document);
          expect(hashOf(cloudSdkForm, served, true)).to.equal(`0x${await readHash()}`);
        }),
        { numRuns: 60 },
      ));

    it("equals our canonical hash when its replacements change no string", () =>
      fc.assert(
        fc.asyncProperty(arbitraryPlainAppCompose, async (document) => {
          served = JSON.stringify(document);
          const ours = computeComposeHash(parseAppCompose(served));
          const reachesIntoString = writeAppCompose(document).includes('": ');
          if (reachesIntoString) expect(ours).not.to.equal(`0x${await readHash()}`);
          else expect(ours).to.equal(`0x${await readHash()}`);
        }),
        { numRuns: 60 },
      ));
  });
});

function expectDstackJs(document: JsonObject, normalise: boolean): void {
  const manifest = document as unknown as Parameters<typeof getComposeHashOfCloudSdk>[0]; // any object will do at run time
  const expected = getComposeHash(manifest, normalise);
  expect(getComposeHashOfCloudSdk(manifest, normalise)).to.equal(expected);
  expect(hashOf(dstackJsForm, JSON.stringify(document), normalise)).to.equal(`0x${expected}`);
}

function hashOf(form: ComposeHashForm, text: string, normalise: boolean): string {
  return hashAppComposeText(form.write(text, { normalise }) ?? "");
}
