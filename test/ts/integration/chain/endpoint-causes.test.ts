import { createServer } from "node:net";
import { inspect } from "node:util";
import { expect } from "chai";
import { createClient, http, type Transport } from "viem";
import { getBlockNumber, getChainId } from "viem/actions";
import { base } from "viem/chains";
import { httpEndpoint } from "../../../../src/chain/endpoint.ts";
import { withRpcErrors } from "../../../../src/chain/rpc-errors.ts";
import { RpcUnavailableError } from "../../../../src/errors/index.ts";
import { closedPort } from "../../../support/chain/fault-server.ts";
import { projectOf, runTask } from "../../../support/hardhat/run-task.ts";
import { rejection } from "../../../support/rejection.ts";
import { startServer, type TestServer } from "../../../support/update/http-server.ts";

const apiKey = "Zk3vQ8tR1xW5yB7nM2pL9sD4";

/** Of one answer of an endpoint. */
interface Case {
  /** @default 200 */
  readonly status?: number;
  /** @default "application/json" */
  readonly type?: string;
  readonly body: string | ((id: number) => object);
  readonly said: string | RegExp;
  /** What the error of viem's own transport says, if it keeps less. Null if it takes this for an answer. */
  readonly byViem?: RegExp | null;
  readonly nextStep?: RegExp;
}

const page = `<!doctype html><html><head><title>Sign in</title><style>b{}</style></head><body>to &amp; ${apiKey}</body>`;
const cases: Readonly<Record<string, Case>> = {
  "C1: 401 with a message": {
    status: 401,
    body: '{"error":"invalid api key"}',
    said: "HTTP 401, application/json: invalid api key",
    nextStep: /^Check the API key/,
  },
  "C2: a page with a good status": {
    type: "text/html; charset=utf-8",
    body: page,
    said: "HTTP 200, text/html, an HTML page and not JSON-RPC: Sign in to &amp; [hidden]",
    byViem: /\(not JSON\)/,
  },
  "403 with a page": {
    status: 403,
    type: "text/html",
    body: "<h1>Forbidden</h1>",
    said: "HTTP 403, text/html: Forbidden",
    nextStep: /API key/,
  },
  "404 with words": {
    status: 404,
    type: "text/plain",
    body: "404 page not found.",
    said: "HTTP 404, text/plain: 404 page not found",
    nextStep: /path/,
  },
  "429 with an error of JSON-RPC": {
    status: 429,
    body: (id) => ({ jsonrpc: "2.0", id, error: { code: -32005, message: `${apiKey} is over its limit` } }),
    said: "HTTP 429, application/json: [hidden] is over its limit",
    nextStep: /limits the number/,
  },
  "503 without a body": {
    status: 503,
    type: "text/plain",
    body: "",
    said: "HTTP 503, text/plain",
    byViem: /HTTP 503/,
    nextStep: /fault/,
  },
  "an empty body": { body: "", said: "HTTP 200, application/json, an empty body", byViem: /\(not JSON\)/ },
  "half of its JSON": {
    body: '{"jsonrpc":"2.0","id":1,"resu',
    said: 'HTTP 200, application/json, not JSON-RPC: {"jsonrpc":"2.0","id":1,"resu',
    byViem: /\(not JSON\)/,
  },
  "JSON that is no JSON-RPC": {
    body: '{"message":"ok","status":1}',
    said: "HTTP 200, application/json, JSON, but not JSON-RPC: ok",
    byViem: /./,
  },
  "an answer to another request": {
    body: (id) => ({ jsonrpc: "2.0", id: id + 7, result: "0x2105" }),
    said: /^HTTP 200, application\/json, the answer to another request: /,
    byViem: null,
  },
  "control characters, which cannot reach a terminal": {
    status: 500,
    type: "text/plain",
    body: "a\u001b[2J\u202eb\r\nc",
    said: "HTTP 500, text/plain: a [2J b c",
  },
  "a long text, shortened": {
    status: 500,
    type: "text/plain",
    body: "x ".repeat(50_000),
    said: /^HTTP 500, text\/plain: (?:x ){100}…$/,
  },
};

describe("an error of an RPC endpoint keeps its cause:", () => {
  let server: TestServer;
  let one: Case;
  before(async () => {
    server = await startServer((response, { body }) => {
      const { status = 200, type = "application/json", body: wanted } = one;
      const text = typeof wanted === "string" ? wanted : JSON.stringify(wanted(JSON.parse(body).id));
      response.writeHead(status, { "content-type": type }).end(text);
    });
  });
  after(() => server?.close());

  const keyed = () => `${server.url}/v2/${apiKey}`;
  const ask = (transport: Transport) => {
    const client = createClient({ chain: base, transport: (options) => transport({ ...options, retryCount: 0 }) });
    return rejection(withRpcErrors(client, "reading", () => getChainId(client)));
  };

  for (const [what, each] of Object.entries(cases))
    it(what, async () => {
      one = each;
      const error = await ask(httpEndpoint(keyed()));
      expect(error).to.be.instanceOf(RpcUnavailableError);
      const { message, context, nextStep } = error as RpcUnavailableError;
      if (typeof each.said === "string") expect(context.said).to.equal(each.said);
      else expect(context.said).to.match(each.said);
      expect(message).to.include(`gave no usable answer while reading (${context.said})`);
      expect(context).to.include({
        status: each.status ?? 200,
        contentType: (each.type ?? "application/json").split(";")[0],
      });
      if (each.nextStep !== undefined) expect(nextStep).to.match(each.nextStep);
      expect(inspect(error, { depth: 10, showHidden: true })).to.not.include(apiKey);
    });

  for (const [what, each] of Object.entries(cases).filter(([, { byViem }]) => byViem !== null))
    it(`${what}, through viem's own transport`, async () => {
      one = each;
      const error = await ask(http(keyed(), { retryCount: 0 }));
      expect(error).to.be.instanceOf(RpcUnavailableError);
      const { message, context } = error as RpcUnavailableError;
      if (each.byViem) expect(message).to.match(each.byViem);
      else expect(context.status).to.equal(each.status);
      expect(inspect(error, { depth: 10, showHidden: true })).to.not.include(apiKey);
    });

  it("a connection that fails, with the code of the system", async () => {
    const noise = createServer((socket) => socket.end("this is not HTTP\r\n\r\n"));
    await new Promise<void>((resolve) => noise.listen(0, "127.0.0.1", resolve));
    const { port } = noise.address() as { readonly port: number };
    const cut = await startServer((response) => {
      response.writeHead(200, { "content-length": "100" }).write("{");
      response.destroy();
    });
    const urls: readonly (readonly [string, RegExp])[] = [
      [`http://127.0.0.1:${await closedPort()}/${apiKey}`, /\(the connection was refused, ECONNREFUSED\)/],
      [`http://rpc.dstack.invalid/${apiKey}`, /\(its host name was not found, (?:ENOTFOUND|EAI_AGAIN)\)/],
      [`${server.url.replace("http:", "https:")}/${apiKey}`, /\(the TLS connection failed, \w+\)/],
      [`http://127.0.0.1:${port}/${apiKey}`, /\(its answer is not HTTP, HTTPParserError\)/],
      [cut.url, /\(the connection was closed before the answer was complete, UND_ERR_SOCKET\)/],
    ];
    try {
      for (const [url, words] of urls)
        for (const transport of [httpEndpoint(url), http(url, { retryCount: 0 })]) {
          const error = (await ask(transport)) as RpcUnavailableError;
          expect(error.message).to.match(words).and.include("did not answer while reading");
          expect(error.context.failure).to.match(/^\w+$/);
          expect(error.message).to.not.include(apiKey);
        }
    } finally {
      noise.close();
      await cut.close();
    }
  });

  it("a time limit, with the setting that raises it", async () => {
    const silent = await startServer((response) => void response.writeHead(200).write("{"));
    try {
      const error = (await ask(httpEndpoint(silent.url, { timeoutMs: 50 }))) as RpcUnavailableError;
      expect(error.message).to.include("did not answer while reading (no complete answer within 0.05 s)");
      expect(error.context).to.include({ failure: "TIMEOUT" });
      expect(error.nextStep).to.include("raise its `timeout`");
      const byViem = (await ask(http(silent.url, { timeout: 50, retryCount: 0 }))) as RpcUnavailableError;
      expect(byViem.context).to.include({ failure: "TIMEOUT" });
    } finally {
      await silent.close();
    }
  });

  it("a wrong answer is asked again", async () => {
    let count = 0;
    const flaky = await startServer((response, { body }) => {
      count += 1;
      const { id } = JSON.parse(body);
      const wrong = ["<html>", "{}", JSON.stringify({ jsonrpc: "2.0", id: id - 1, result: "0x1" })][count - 1];
      response.writeHead(200).end(wrong ?? JSON.stringify({ jsonrpc: "2.0", id, result: "0x7" }));
    });
    try {
      const client = createClient({ transport: httpEndpoint(flaky.url) });
      expect(await getBlockNumber(client)).to.equal(7n);
      expect(count).to.equal(4);
    } finally {
      await flaky.close();
    }
  });

  it("credentials of the URL are sent as a header, and shown to no reader", async () => {
    one = { status: 401, body: (id) => ({ id }), said: "" };
    const { host } = new URL(server.url);
    const error = await ask(httpEndpoint(`http://us%40er:p%3Aw9@${host}/x`));
    expect(server.received.at(-1)?.headers.authorization).to.equal(`Basic ${btoa("us@er:p:w9")}`);
    expect(inspect(error, { depth: 10, showHidden: true })).to.not.match(/p(?:%3A|:)w9|us@er/);
  });

  it("a task prints it, with status and media type in --json", async () => {
    one = { status: 401, body: `{"error":"invalid api key ${apiKey}"}`, said: "" };
    const hre = await projectOf({ chain: { id: 8453, rpcUrl: keyed() }, cloud: { baseUrl: "" }, apiKey: "" } as never);
    const args = { app: `0x${"a1".repeat(20)}` };
    const text = await runTask(hre, ["status"], args);
    expect(text.exitCode).to.equal(3);
    expect(text.stderr)
      .to.include("(HTTP 401, application/json: invalid api key [hidden])")
      .and.not.match(/^\s+at /m);
    const { error } = (await runTask(hre, ["status"], { ...args, json: true })).json<{
      readonly error: RpcUnavailableError;
    }>();
    expect(error.context).to.include({ status: 401, contentType: "application/json" });
    expect(error.context.said).to.include("invalid api key [hidden]");
    expect(error.nextStep).to.include("Check the API key");
  });
});
