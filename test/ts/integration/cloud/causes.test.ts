import type { ServerResponse } from "node:http";
import { inspect } from "node:util";
import { expect } from "chai";
import { createCloudClient } from "../../../../src/cloud/create-client.ts";
import { getCvm } from "../../../../src/cloud/get-cvm.ts";
import { patchCvm } from "../../../../src/cloud/patch-cvm.ts";
import { CvmNotFoundError, type DstackError } from "../../../../src/errors/index.ts";
import { closedPort } from "../../../support/chain/fault-server.ts";
import { projectOf, runTask } from "../../../support/hardhat/run-task.ts";
import { rejection } from "../../../support/rejection.ts";
import { sendJson, startServer, type TestServer } from "../../../support/update/http-server.ts";

const apiKey = "key-SECRET-of-the-tests";

type Answer = (response: ServerResponse) => void;

function send(status: number, type: string, body: string): Answer {
  return (response) => void response.writeHead(status, { "content-type": type }).end(body);
}

describe("an error of the cloud client keeps its cause:", () => {
  const servers: TestServer[] = [];
  afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())));

  async function serve(answer: Answer) {
    const server = await startServer(answer);
    servers.push(server);
    return server;
  }

  function clientOf(baseUrl: string, timeoutMs = 2_000) {
    return createCloudClient({ apiKey, baseUrl, timeoutMs, retry: { attempts: 2, baseDelayMs: 1 } });
  }

  interface Told {
    readonly message: RegExp;
    readonly context: object;
    readonly nextStep?: RegExp;
  }

  const page = "<!doctype html><title>Bad gateway</title><script>alert(1)</script><h1>nginx\u001b[2J</h1>";
  const answers: Readonly<Record<string, readonly [Answer, Told]>> = {
    "a page with a bad status": [
      send(502, "text/html; charset=utf-8", page),
      { message: /with 502: text\/html: Bad gateway nginx \[2J$/, context: { status: 502, contentType: "text/html" } },
    ],
    "a page with a good status": [
      send(200, "text/html", page),
      { message: /HTTP 200, text\/html, an HTML page and not JSON: Bad gateway nginx \[2J\.$/, context: {} },
    ],
    "words of another form": [
      send(401, "text/plain", `no such key: ${apiKey}`),
      { message: /with 401: text\/plain: no such key: \[api key\]$/, context: { status: 401 } },
    ],
    "JSON of another form": [
      send(403, "application/json", JSON.stringify({ error: { reason: "plan expired" } })),
      { message: /with 403: application\/json: plan expired$/, context: { status: 403 } },
    ],
    "an empty body": [
      send(200, "application/json", ""),
      { message: /HTTP 200, application\/json, an empty body/, context: {} },
    ],
    "an empty body with a bad status": [send(500, "", ""), { message: /with 500$/, context: { status: 500 } }],
    "half of its JSON": [
      send(200, "application/json", '{"id":"cvm_1","na'),
      { message: /application\/json, not JSON: \{"id":"cvm_1","na/, context: {} },
    ],
    "a body that ends early": [
      (response) => {
        response.writeHead(200, { "content-length": "100" }).write("{");
        response.destroy();
      },
      { message: /\(the connection was closed .*, UND_ERR_SOCKET\)/, context: { failure: "UND_ERR_SOCKET" } },
    ],
    "C8: no end in time": [
      (response) => void response.writeHead(200).write("{"),
      {
        message: /did not answer GET \/cvms\/a within 0\.1 s\.$/,
        context: { failure: "TIMEOUT", timeoutMs: 100 },
        nextStep: /`timeoutMs`/,
      },
    ],
    "C9: a path that the server does not know": [
      send(404, "application/json", '{"detail":"Not Found"}'),
      {
        message: /does not know the path of GET \/cvms\/a: it answers 404: Not Found$/,
        context: { isUnknownPath: true },
        nextStep: /It ends in \/api\/v1/,
      },
    ],
    "C9: a page for an unknown path": [
      send(404, "text/html", "<h1>404</h1>"),
      { message: /does not know the path of .* text\/html: 404$/, context: { isUnknownPath: true } },
    ],
  };
  for (const [what, [answer, { message, context, nextStep }]] of Object.entries(answers))
    it(what, async () => {
      const { url } = await serve(answer);
      const error = (await rejection(getCvm(clientOf(url, 100), { cvm: "a" }))) as DstackError;
      expect(error.message).to.match(message);
      expect(error.context).to.include(context);
      if (nextStep !== undefined) expect(error.nextStep).to.match(nextStep);
      expect(inspect(error, { depth: 10, showHidden: true })).to.not.include(apiKey);
      expect(error.message).to.have.property("length").that.is.below(400);
    });

  it("a refused connection, a host without an address, and a server without TLS", async () => {
    const { url } = await serve(send(200, "", ""));
    const cases: readonly (readonly [string, RegExp])[] = [
      [`http://127.0.0.1:${await closedPort()}`, /\(the connection was refused, ECONNREFUSED\)/],
      ["http://api.phala.invalid", /\(its host name was not found, (?:ENOTFOUND|EAI_AGAIN)\)/],
      [url.replace("http:", "https:"), /\(the TLS connection failed, \w+\)/],
    ];
    for (const [baseUrl, words] of cases) {
      const { message } = (await rejection(getCvm(clientOf(baseUrl), { cvm: "a" }))) as Error;
      expect(message).to.match(words);
    }
  });

  it("a CVM that the API does not have is not an unknown path", async () => {
    const { url } = await serve((response) => sendJson(response, 404, { detail: "CVM not found" }));
    expect(await rejection(getCvm(clientOf(url), { cvm: "a" }))).to.be.instanceOf(CvmNotFoundError);
  });

  it("a change is sent once, even if its answer has a wrong shape", async () => {
    const { url, received } = await serve((response) => sendJson(response, 202, []));
    await rejection(patchCvm(clientOf(url), { cvm: "a" }));
    expect(received).to.have.length(1);
  });

  it("a task says which setting raises the time limit, and which path is unknown", async () => {
    const silent = await serve((response) => void response.writeHead(200).write("{"));
    const wrong = await serve(send(404, "application/json", '{"detail":"Not Found"}'));
    const run = async ({ url }: TestServer, args: object) =>
      runTask(
        await projectOf(
          { chain: { id: 8453, rpcUrl: "http://127.0.0.1:1" }, cloud: { baseUrl: `${url}/api` }, apiKey } as never,
          {
            cloud: { baseUrl: `${url}/api`, apiKey, timeout: 50 },
          },
        ),
        ["status"],
        { cvm: "my-app", ...args },
      );
    const late = await run(silent, { json: true });
    expect(late.exitCode).to.equal(4);
    const { error } = late.json<{ readonly error: { readonly context: object; readonly nextStep: string } }>();
    expect(error.context).to.include({ timeoutMs: 50 });
    expect(error.nextStep).to.equal("Try again, or raise the time limit dstack.cloud.timeout.");
    const unknown = await run(wrong, {});
    expect(unknown.exitCode).to.equal(4);
    expect(unknown.stderr).to.match(/does not know the path of GET \/cvms\/my-app.*\n.*ends in \/api\/v1/);
  });
});
