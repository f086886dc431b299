import { expect } from "chai";
import { InvalidArgumentError } from "../../../../src/errors/index.ts";
import { type RunningMockCloud, startMockCloud } from "../../../../src/mock-cloud/index.ts";
import { type LocalChain, startChain } from "../../../../src/world/chain/start-chain.ts";
import { startWorld } from "../../../../src/world/start-world.ts";
import { type PageRequest, pageRequests, type SendOptions, send } from "../../../support/hostile/page-requests.ts";
import { sendRaw } from "../../../support/hostile/raw-requests.ts";
import { catchError } from "../../../support/update/catch-error.ts";

const json = { "Content-Type": "application/json" };
const chainId = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_chainId" });
const mine = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "hardhat_mine" });

describe("web pages and the servers of this machine", () => {
  let chain: LocalChain;
  let cloud: RunningMockCloud;
  let open: { readonly chain: LocalChain; readonly cloud: RunningMockCloud };

  before(async () => {
    const named = { allowedHosts: ["cloud.example"], allowedOrigins: ["https://wallet.example"] };
    [chain, cloud] = await Promise.all([startChain(), startMockCloud({ deviceLogin: true })]);
    const [openChain, openCloud] = await Promise.all([startChain(named), startMockCloud(named)]);
    open = { chain: openChain, cloud: openCloud };
  });
  after(() => Promise.all([chain.close(), cloud.close(), open.chain.close(), open.cloud.close()]));

  const call = (options: SendOptions, url = chain.rpcUrl) =>
    send(url, { method: "POST", body: chainId, ...options, headers: { ...json, ...options.headers } });
  const ask = (options: SendOptions, url = cloud.url) => send(`${url}/openapi.json`, options);
  const hostOf = (url: string) => new URL(url).host;

  it("are refused by the chain's RPC: 403, no CORS header, and no effect", async () => {
    const before = await chain.client.getBlockNumber();
    for (const { what, method = "POST", headers } of pageRequests(hostOf(chain.rpcUrl))) {
      const answer = await call({ method, headers, body: mine });
      expect(answer.status, `${what}: ${answer.text}`).to.equal(403);
      expect(answer.headers, what).to.not.have.any.keys("access-control-allow-origin");
    }
    expect(await chain.client.getBlockNumber({ cacheTime: 0 })).to.equal(before);
  });

  it("are refused by the cloud: 403, no CORS header, and no API key", async () => {
    const body = JSON.stringify({ client_id: "page" });
    for (const { what, method = "POST", headers } of pageRequests(hostOf(cloud.url))) {
      const answer = await send(`${cloud.baseUrl}/auth/device/code`, {
        method,
        headers: { ...json, ...headers },
        ...(method === "POST" && { body }),
      });
      expect(answer.status, `${what}: ${answer.text}`).to.equal(403);
      expect(answer.text, what).to.not.include("device_code");
      expect(answer.headers, what).to.not.have.any.keys("access-control-allow-origin");
      // For files, pages, and paths that do not exist.
      for (const path of ["/openapi.json", "/commit/x?token=y", "/nowhere"]) {
        expect((await send(cloud.url + path, { method, headers })).status, `${what}, ${path}`).to.equal(403);
      }
    }
  });

  it("are distinguished from programs, which send the server's own address", async () => {
    for (const [url, meet] of [
      [chain.rpcUrl, call],
      [cloud.url, ask],
    ] as const) {
      const { port } = new URL(url);
      for (const host of [
        `127.0.0.1:${port}`,
        `127.8.7.6:${port}`,
        `localhost:${port}`,
        `LOCALHOST.:${port}`,
        `world.localhost:${port}`,
        `[::1]:${port}`,
        `192.168.1.20:${port}`,
        "localhost",
      ]) {
        expect((await meet({ headers: { Host: host } }, url)).status, host).to.equal(200);
        const own = { Host: host, Origin: `http://${host}`, "Sec-Fetch-Site": "same-origin" };
        expect((await meet({ headers: own }, url)).status, `a page of ${host} itself`).to.equal(200);
      }
    }
  });

  it("are checked by each form of a host; only HTTP/1.0 may have none", async () => {
    for (const [url, path] of [
      [chain.rpcUrl, "/"],
      [cloud.url, "/openapi.json"],
    ] as const) {
      const host = hostOf(url);
      const statusOf = async (line: string, ...headers: string[]) => {
        const close = ["Connection: close", "Content-Type: application/json", "Content-Length: 0"];
        return (await sendRaw(url, [line, ...headers, ...close, "", ""].join("\r\n"), 2000)).split(" ")[1];
      };
      const method = url === chain.rpcUrl ? "POST" : "GET";
      expect(await statusOf(`${method} ${path} HTTP/1.0`)).to.equal("200");
      expect(await statusOf(`${method} ${path} HTTP/1.0`, "Host: evil.example")).to.equal("403");
      expect(await statusOf(`${method} ${path} HTTP/1.0`, "Origin: http://evil.example")).to.equal("403");
      for (const origin of ["http://undefined", "http://null", "null", "http://", `http://${host}`]) {
        expect(await statusOf(`${method} ${path} HTTP/1.0`, `Origin: ${origin}`), origin).to.equal("403");
      }
      expect(await statusOf(`${method} ${path} HTTP/1.1`)).to.equal("400");
      expect(await statusOf(`${method} ${path} HTTP/1.1`, "Host: ")).to.equal("403");
      expect(await statusOf(`${method} ${path} HTTP/1.1`, `Host: ${host}`, "Host: evil.example")).to.equal("403");
      expect(await statusOf(`${method} http://evil.example${path} HTTP/1.1`, `Host: ${host}`)).to.equal("403");
    }
  });

  it("may link to the cloud, and the user may type its address", async () => {
    for (const site of ["cross-site", "same-site", "none"]) {
      const headers = { "Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document" };
      expect((await ask({ headers })).status, site).to.equal(200);
    }
  });

  it("are allowed by name: their host, their origin, and CORS on the RPC only", async () => {
    const wallet = "https://wallet.example";
    for (const [url, meet] of [
      [open.chain.rpcUrl, call],
      [open.cloud.url, ask],
    ] as const) {
      expect((await meet({ headers: { Host: "Cloud.example:8443" } }, url)).status).to.equal(200);
      expect((await meet({ headers: { Host: "sub.cloud.example" } }, url)).status).to.equal(403);
      const headers = { Origin: wallet, "Sec-Fetch-Site": "cross-site" };
      const answer = await meet({ headers }, url);
      expect(answer.status).to.equal(200);
      expect(answer.headers["access-control-allow-origin"]).to.equal(url === open.chain.rpcUrl ? wallet : undefined);
      for (const origin of ["http://wallet.example", `${wallet}:8443`, `${wallet}.evil.example`, "null"]) {
        expect((await meet({ headers: { Origin: origin } }, url)).status, origin).to.equal(403);
      }
    }
    const preflight = { Origin: wallet, "Access-Control-Request-Headers": "content-type" };
    const { status, headers } = await call({ method: "OPTIONS", headers: preflight }, open.chain.rpcUrl);
    expect({ status, origin: headers["access-control-allow-origin"], vary: headers.vary }).to.deep.equal({
      status: 204,
      origin: wallet,
      vary: "origin",
    });
    expect(headers["access-control-allow-headers"]).to.equal("content-type");
  });

  it("cannot send the RPC a request without a preflight: every other content type is 415", async () => {
    for (const type of [
      "text/plain",
      "application/x-www-form-urlencoded",
      "multipart/form-data; boundary=x",
      "",
      "json",
    ]) {
      const answer = await call({ headers: { "Content-Type": type } });
      expect(answer.status, type).to.equal(415);
    }
    expect((await send(chain.rpcUrl, { method: "POST", body: chainId })).status, "none").to.equal(415);
    for (const type of ["application/json; charset=utf-8", "Application/JSON", "application/json-rpc"]) {
      expect((await call({ headers: { "Content-Type": type } })).status, type).to.equal(200);
    }
  });

  it("are controlled for both servers of a world by the same options", async () => {
    const world = await startWorld({ cvms: false, allowedHosts: ["world.example"] });
    try {
      for (const [host, status] of [
        ["world.example", 200],
        ["cloud.example", 403],
      ] as const) {
        const headers: PageRequest["headers"] = { Host: host };
        expect((await call({ headers }, world.chain.rpcUrl)).status, host).to.equal(status);
        expect((await ask({ headers }, world.cloud.url)).status, host).to.equal(status);
      }
    } finally {
      await world.close();
    }
  });

  it("must be valid in the options, or the server does not start", async () => {
    for (const allowedHosts of [["*"], ["http://a.example"], ["a.example:80"], [""], ["a b"], [".example"]]) {
      const { message } = await catchError(startMockCloud({ allowedHosts }), InvalidArgumentError);
      expect(message).to.match(/^allowedHosts /);
      await catchError(startChain({ allowedHosts }), InvalidArgumentError);
    }
    for (const allowedOrigins of [["*"], ["null"], ["a.example"], ["https://a.example/path"], ["https://*.example"]]) {
      const { message } = await catchError(startMockCloud({ allowedOrigins }), InvalidArgumentError);
      expect(message).to.match(/^allowedOrigins /);
    }
  });
});

describe("a device login", () => {
  it("is refused with the next step, unless the cloud was started with it", async () => {
    const cloud = await startMockCloud({ workspaces: [{ name: "Test", apiKeys: [{ key: "a-key" }] }] });
    try {
      for (const [path, body] of [
        ["/auth/device/code", { client_id: "phala-cli" }],
        ["/auth/device/token", { device_code: "x", grant_type: "urn:ietf:params:oauth:grant-type:device_code" }],
      ] as const) {
        const answer = await send(cloud.baseUrl + path, { method: "POST", headers: json, body: JSON.stringify(body) });
        expect(answer.status).to.equal(403);
        expect(JSON.parse(answer.text).detail).to.include("--device-login");
      }
    } finally {
      await cloud.close();
    }
  });
});
