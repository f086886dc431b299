import { expect } from "chai";
import { HttpRequestError, ResponseBodyTooLargeError, RpcRequestError, TimeoutError } from "viem";
import { classifyRefusal, type Refusal } from "../../../../src/history/refusals.ts";

const url = "https://rpc.example/v2/0123456789abcdef0123456789abcdef";
const asked = { fromBlock: 1_000n, toBlock: 5_999n };
const rpc = (code: number, message: string) => new RpcRequestError({ body: {}, url, error: { code, message } });
const status = (code: number, details = "", headers = {}) =>
  new HttpRequestError({ url, status: code, details, headers: new Headers(headers) });

describe("classifyRefusal", () => {
  // The first column has observed answers of providers.
  const cases: readonly [string, unknown, Refusal["kind"]][] = [
    ["range in words", rpc(-32000, "exceed maximum block range: 5000"), "tooMuch"],
    ["result count", rpc(-32005, "query returned more than 10000 results"), "tooMuch"],
    ["result count, other words", rpc(-32000, "query exceeds max results 20000, retry with the range 1-2"), "tooMuch"],
    ["size", rpc(-32602, "Log response size exceeded. You can make requests with up to a 2K block range"), "tooMuch"],
    ["body", new ResponseBodyTooLargeError({ maxSize: 1, size: 2 }), "tooMuch"],
    ["time", rpc(-32000, "query timeout exceeded"), "tooMuch"],
    ["no words, a code for it", rpc(-32614, "no"), "tooMuch"],
    ["rate in words", rpc(-32005, "project ID request rate exceeded, too many requests"), "busy"],
    ["compute units", rpc(-32000, "Your app has exceeded its compute units per second capacity"), "busy"],
    ["429", status(429), "busy"],
    ["503", status(503), "busy"],
    ["no backend", rpc(-32011, "no backend is currently healthy to serve traffic"), "busy"],
    ["429 for a range", status(429, "block range too large"), "unclear"],
    ["lagging backend", rpc(-32000, "header not found"), "busy"],
    ["lagging backend, of ranges", rpc(-32000, "block range extends beyond current head block"), "unclear"],
    ["a code for two things", rpc(-32005, "limit exceeded"), "unclear"],
    ["internal error", rpc(-32603, "internal error"), "unclear"],
    ["no answer in time", new TimeoutError({ body: {}, url }), "unclear"],
    ["no connection", new HttpRequestError({ url, cause: new Error("fetch failed") }), "silent"],
    ["an answer of another shape", new Error("The endpoint's answer contains no logs."), "silent"],
    ["a page of the server", status(500, "<h1>Oops</h1>"), "silent"],
    ["pruned", rpc(4444, "pruned history unavailable"), "gone"],
    ["state that anvil dropped", rpc(-32602, "BlockOutOfRangeError: block height is 9 but requested was 8"), "gone"],
    ["ahead of anvil", rpc(-32602, "BlockOutOfRangeError: block height is 9 but requested was 10"), "busy"],
    ["no such method", rpc(-32601, "the method does not exist"), "unsupported"],
    ["key", status(401, "who are you"), "unsupported"],
    ["no money", status(402), "unsupported"],
    ["a token", rpc(-32701, "Archive requests require a personal token."), "unsupported"],
    ["another plan", rpc(-32000, "the method eth_getLogs is not available on the free plan"), "unsupported"],
    ["a range of this plan", rpc(-32600, "Under the Free tier plan, up to a 10 block range"), "tooMuch"],
    ["not an error at all", undefined, "silent"],
  ];
  for (const [what, error, kind] of cases)
    it(`calls "${what}" ${kind}`, () => {
      expect(classifyRefusal(undefined, error, asked).kind).to.equal(kind);
    });

  it("follows a suggestion of fewer blocks, and no other", () => {
    const suggestionOf = (message: string) => classifyRefusal(undefined, rpc(-32602, message), asked).suggestedBlocks;
    expect(suggestionOf("this block range should work: [0x3e8, 0x7cf]")).to.equal(1_000n);
    expect(suggestionOf("this block range should work: [0x3e8, 0x176f]")).to.equal(undefined);
    expect(suggestionOf("this block range should work: [0x7cf, 0x3e8]")).to.equal(undefined);
    expect(suggestionOf("limited to a 2,000 range")).to.equal(2_000n);
    expect(suggestionOf("up to a 2K block range")).to.equal(2_000n);
    expect(suggestionOf("more than 10000 results")).to.equal(undefined);
    expect(suggestionOf("blocks 1000 to 5999 are too many")).to.equal(undefined);
    expect(suggestionOf("no")).to.equal(undefined);
  });

  it("reads the time to wait in each notation", () => {
    const waitOf = (error: unknown) => classifyRefusal(undefined, error, asked).retryAfterMs;
    expect(waitOf(status(429, "", { "retry-after": "7" }))).to.equal(7_000);
    const date = new Date(Date.now() + 60_000).toUTCString();
    expect(waitOf(status(429, "", { "retry-after": date }))).to.be.within(50_000, 61_000);
    expect(waitOf(status(429, "", { "retry-after": "soon" }))).to.equal(undefined);
    expect(waitOf(rpc(-32005, "rate limited, try again in 1.5s"))).to.equal(1_500);
    expect(waitOf(rpc(-32005, "rate limited, retry after 200ms"))).to.equal(200);
  });

  it("does not repeat a key", () => {
    const { answer } = classifyRefusal(undefined, rpc(-32000, `no plan for ${url}`), asked);
    expect(answer).to.equal("no plan for https://rpc.example");
  });
});
