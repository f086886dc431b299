import { expect } from "chai";
import { createSafeService } from "../../../../src/governance/safe-service.ts";
import { rejection } from "../../../support/rejection.ts";
import { sendJson, startServer, type TestServer } from "../../../support/update/http-server.ts";

const apiKey = "key-of-the-test-0123456789";
const retry = { attempts: 3, baseDelayMs: 1, maxDelayMs: 5 };
const about = { method: "GET", path: "/v1/about/" } as const;

describe("the client of a Safe transaction service", () => {
  const servers: TestServer[] = [];
  const serve = async (answer: Parameters<typeof startServer>[0]) => {
    const server = await startServer(answer);
    servers.push(server);
    return server;
  };
  const clientOf = ({ url }: TestServer, more: object = {}) => createSafeService({ url, apiKey, retry, ...more });

  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.close()));
  });

  it("adds /api to the address, sends the key as a Bearer token, and returns the JSON", async () => {
    const server = await serve((response) => sendJson(response, 200, { name: "a service" }));
    for (const url of [server.url, `${server.url}/`, `${server.url}/api`, `${server.url}/api/`])
      expect(await createSafeService({ url, apiKey }).request(about)).to.deep.equal({ name: "a service" });
    expect(server.received.map(({ url }) => url)).to.deep.equal(Array(4).fill("/api/v1/about/"));
    expect(server.received[0]?.headers.authorization).to.equal(`Bearer ${apiKey}`);
  });

  it("sends no authorization without a key", async () => {
    const server = await serve((response) => sendJson(response, 200, {}));
    await createSafeService({ url: server.url }).request(about);
    expect(server.received[0]?.headers).to.not.have.property("authorization");
  });

  it("repeats a request that fails, also one that changes something, because the service keeps one of each", async () => {
    const server = await serve((response, _, count) =>
      count < 3 ? sendJson(response, 503, { message: "busy" }) : response.writeHead(201).end(),
    );
    const answer = await clientOf(server).request({ method: "POST", path: "/v1/x/", json: { a: 1 } });
    expect([answer, server.received.length]).to.deep.equal([undefined, 3]);
    expect(server.received.map(({ body }) => body)).to.deep.equal(Array(3).fill('{"a":1}'));
  });

  it("says what the service refuses, in its words, without the key, and does not repeat it", async () => {
    const server = await serve((response) => sendJson(response, 422, { nonFieldErrors: [`no ${apiKey} \u001b[2J`] }));
    const error = await rejection(clientOf(server).request(about));
    expect(error).to.include({ code: "DSTK-3102", retryable: false });
    expect(JSON.stringify(error)).to.not.include(apiKey);
    expect(JSON.stringify(error)).to.not.include("\\u001b");
    expect(server.received).to.have.lengthOf(1);
  });

  it("names the setting of the key when the service does not accept it", async () => {
    const server = await serve((response) => sendJson(response, 401, { message: "Invalid" }));
    const error = await rejection(clientOf(server).request(about));
    expect(error).to.include({ code: "DSTK-3102" });
    expect(error).to.have.property("nextStep").that.includes("`apiKey`");
  });

  it("follows no redirect, so that no other address gets the key", async () => {
    const other = await serve((response) => sendJson(response, 200, {}));
    const server = await serve((response) => response.writeHead(302, { location: other.url }).end());
    expect(await rejection(clientOf(server).request(about))).to.include({ code: "DSTK-3102" });
    expect(other.received).to.deep.equal([]);
  });

  it("refuses answers that are no JSON, and bodies without end", async () => {
    const page = await serve((response) => response.writeHead(200, { "content-type": "text/html" }).end("<html>Hi"));
    const error = await rejection(clientOf(page).request(about));
    expect(error).to.include({ code: "DSTK-3102" });
    expect(error).to.have.property("message").that.includes("an HTML page and not JSON");
    const chunk = Buffer.alloc(1024 * 1024, " ");
    const endless = await serve((response) => {
      const write = () => {
        while (!response.destroyed && response.write(chunk));
        if (!response.destroyed) response.once("drain", write);
      };
      write();
    });
    expect(await rejection(clientOf(endless).request(about))).to.include({ code: "DSTK-3102" });
  });

  it("says that the service is down, or too slow", async () => {
    const server = await serve(() => {});
    const slow = await rejection(clientOf(server, { timeoutMs: 30 }).request(about));
    expect(slow).to.include({ code: "DSTK-3101", retryable: true });
    expect(slow).to.have.property("message").that.includes("0.03 s");
    await server.close();
    const down = await rejection(clientOf(server).request(about));
    expect(down).to.include({ code: "DSTK-3101", retryable: true });
    expect(down).to.have.property("nextStep").that.includes("proposal files");
  });

  it("refuses addresses and keys that cannot be one, and sends no key without TLS", () => {
    for (const url of ["", "ftp://x", "https://u:p@x", "https://x?a=1", "https://x#a"])
      expect(() => createSafeService({ url }), url)
        .to.throw()
        .with.property("code", "DSTK-1007");
    expect(() => createSafeService({ url: "https://x", apiKey: "a\nb" }))
      .to.throw()
      .with.property("code", "DSTK-1007");
    expect(() => createSafeService({ url: "http://x.example", apiKey }))
      .to.throw()
      .with.property("code", "DSTK-1007");
    expect(createSafeService({ url: "http://x.example" }).host).to.equal("x.example");
  });
});
