import type { ServerResponse } from "node:http";
import { expect } from "chai";
import { type LocalChain, startChain } from "../../../../src/world/chain/start-chain.ts";
import { sendJson, startServer, type TestServer } from "../../../support/update/http-server.ts";
import { postRpc } from "../../../support/world/post-rpc.ts";

const pathKey = "alpha-key-of-the-user";
const queryKey = "Qk9VjW3xT7ZsE1Rn";

interface Answer {
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

describe("errors of a fork", () => {
  let upstream: LocalChain;
  let endpoint: TestServer;
  let fork: LocalChain;
  /** What the endpoint does instead of answering. */
  let fail: ((response: ServerResponse) => void) | undefined;
  let asked = 0;

  before(async () => {
    upstream = await startChain();
    endpoint = await startServer(async (response, { body }) => {
      asked += 1;
      if (fail) return fail(response);
      const headers = { "content-type": "application/json" };
      const answer = await fetch(upstream.rpcUrl, { method: "POST", headers, body });
      sendJson(response, 200, await answer.json());
    });
    const blockNumber = await upstream.client.getBlockNumber();
    const url = `${endpoint.url}/v2/${pathKey}?apikey=${queryKey}`;
    fork = await startChain({ fork: { url, chainId: 8453, blockNumber } });
  });
  after(async () => {
    await fork.close();
    await endpoint.close();
    await upstream.close();
  });

  it("are rare, because a fork asks about an account of a new block once, and not for every call", async () => {
    const call = async () => {
      const before = asked;
      const params = [{ to: `0x${"77".repeat(20)}`, from: `0x${"78".repeat(20)}` }, "latest"];
      await postRpc<Answer>(fork.rpcUrl, { jsonrpc: "2.0", id: 1, method: "eth_call", params });
      return asked - before;
    };
    expect(await call()).to.be.greaterThan(0);
    expect(await call()).to.equal(0);
  });

  const echoed = `Key ${pathKey} (${queryKey}) at https://upstream.example/v2/${pathKey} has no credit.`;
  const failures: [what: string, fail: (response: ServerResponse) => void][] = [
    [
      "an error that repeats the key",
      (response) =>
        sendJson(response, 200, {
          jsonrpc: "2.0",
          id: 1,
          error: { code: -32000, message: echoed, data: { hint: echoed } },
        }),
    ],
    ["a refusal that repeats the key", (response) => sendJson(response, 401, { error: echoed })],
    ["a page of HTML", (response) => response.writeHead(200, { "content-type": "text/html" }).end(`<p>${echoed}</p>`)],
  ];
  for (const [index, [what, failure]] of failures.entries()) {
    it(`contain no URL and no key when the endpoint answers ${what}`, async () => {
      fail = failure;
      // Not asked before, so the fork has to ask its endpoint.
      const stranger = `0x${`a${index}`.repeat(20)}`;
      const { host } = new URL(endpoint.url);
      for (const [method, params] of [
        ["eth_getBalance", [stranger, "latest"]],
        ["eth_call", [{ to: stranger }, "latest"]],
      ] as const) {
        const answer = await postRpc<Answer>(fork.rpcUrl, { jsonrpc: "2.0", id: 1, method, params });
        expect(answer.error?.message, `${method} ${JSON.stringify(answer)}`).to.be.a("string").that.is.not.empty;
        for (const secret of [pathKey, queryKey, host, "upstream.example"]) {
          expect(JSON.stringify(answer), method).to.not.include(secret);
        }
      }
    });
  }
});
