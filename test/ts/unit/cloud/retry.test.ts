import { expect } from "chai";
import {
  type Failure,
  type HttpMethod,
  parseRetryAfter,
  planRetry,
  type RetrySettings,
} from "../../../../src/cloud/http.ts";

const settings: RetrySettings = { attempts: 4, baseDelayMs: 100, maxDelayMs: 1_000 };

function status(code: number, extra: { hasErrorCode?: boolean; retryAfterMs?: number } = {}): Failure {
  return { kind: "status", status: code, hasErrorCode: false, retryAfterMs: undefined, ...extra };
}

function plan(method: HttpMethod, failure: Failure, attempt = 1, random = 1): number | undefined {
  return planRetry({ method, attempt, failure, random }, settings);
}

describe("planRetry", () => {
  it("repeats a read after a temporary fault", () => {
    expect(plan("GET", { kind: "network" })).to.be.a("number");
    for (const code of [429, 502, 503, 504]) expect(plan("GET", status(code)), `${code}`).to.be.a("number");
    for (const code of [400, 401, 404, 409, 422, 465, 500])
      expect(plan("GET", status(code)), `${code}`).to.equal(undefined);
  });

  for (const method of ["PATCH", "POST"] as const) {
    it(`repeats a ${method} only after an answer that says that nothing changed`, () => {
      expect(plan(method, { kind: "network" })).to.equal(undefined);
      for (const code of [500, 502, 503, 504]) expect(plan(method, status(code)), `${code}`).to.equal(undefined);
      expect(plan(method, status(429))).to.be.a("number");
      expect(plan(method, status(409))).to.be.a("number");
      expect(plan(method, status(409, { hasErrorCode: true }))).to.equal(undefined);
      expect(plan(method, status(503, { retryAfterMs: 10 }))).to.equal(10);
    });
  }

  it("doubles the pause up to the limit, and makes up to half of it random", () => {
    expect([1, 2, 3].map((attempt) => plan("GET", { kind: "network" }, attempt))).to.deep.equal([100, 200, 400]);
    expect([1, 2, 3].map((attempt) => plan("GET", { kind: "network" }, attempt, 0))).to.deep.equal([50, 100, 200]);
    const many = { ...settings, attempts: 100 };
    expect(planRetry({ method: "GET", attempt: 60, failure: { kind: "network" }, random: 1 }, many)).to.equal(1_000);
  });

  it("ends after the allowed number of attempts", () => {
    expect(plan("GET", { kind: "network" }, 3)).to.be.a("number");
    expect(plan("GET", { kind: "network" }, 4)).to.equal(undefined);
  });

  it("waits as long as the server asks, up to the limit", () => {
    expect(plan("GET", status(429, { retryAfterMs: 0 }))).to.equal(0);
    expect(plan("GET", status(429, { retryAfterMs: 999 }))).to.equal(999);
    expect(plan("GET", status(429, { retryAfterMs: 1_001 }))).to.equal(undefined);
  });
});

describe("parseRetryAfter", () => {
  const now = Date.parse("2026-01-21T00:00:00Z");

  it("reads seconds and dates", () => {
    expect(parseRetryAfter("3", now)).to.equal(3_000);
    expect(parseRetryAfter("Wed, 21 Jan 2026 00:00:05 GMT", now)).to.equal(5_000);
    expect(parseRetryAfter("Wed, 21 Jan 2026 00:00:00 GMT", now + 60_000)).to.equal(0);
  });

  it("ignores a value that is neither", () => {
    expect(parseRetryAfter(null, now)).to.equal(undefined);
    expect(parseRetryAfter("soon", now)).to.equal(undefined);
    expect(parseRetryAfter("-1", now)).to.equal(undefined);
  });
});
