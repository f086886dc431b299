import { expect } from "chai";
import fc from "fast-check";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { createClient, http, numberToHex } from "viem";
import { base } from "viem/chains";
import { addComposeHash } from "../../../../src/chain/add-compose-hash.ts";
import { removeComposeHash } from "../../../../src/chain/remove-compose-hash.ts";
import { parseComposeHash } from "../../../../src/core/ids.ts";
import {
  isDstackError,
  LogsRefusedError,
  LogsUnavailableError,
  RpcUnavailableError,
} from "../../../../src/errors/index.ts";
import type { History } from "../../../../src/history/history.ts";
import { type ReadHistoryParameters, readHistory } from "../../../../src/history/read-history.ts";
import { type Dstack, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { closedPort } from "../../../support/chain/fault-server.ts";
import { mineBlocks } from "../../../support/history/mine.ts";
import {
  type Behaviour,
  blocksOf,
  limitBlocks,
  limitResults,
  type ProviderAnswer,
  type RpcProvider,
  startProvider,
} from "../../../support/history/rpc-provider.ts";
import { rejection } from "../../../support/rejection.ts";

const error = (code: number, message: string): ProviderAnswer => ({ error: { code, message } });
const hex = (value: number) => numberToHex(value);

/** The providers' messages for the refusal of a range. */
const shapes: Readonly<Record<string, (asked: { from: number; to: number }) => ProviderAnswer>> = {
  "-32602 with the limit": () => error(-32602, "query exceeds max block range 60"),
  "-32602 without a word": () => error(-32602, "invalid params"),
  "-32005 by range": () => error(-32005, "block range too large"),
  "-32005 by name alone": () => error(-32005, "limit exceeded"),
  "-32600 of a free plan": () =>
    error(-32600, "Under the Free tier plan, you can make eth_getLogs requests with up to a 60 block range."),
  "-32000 by range": () => error(-32000, "exceed maximum block range: 60"),
  "-32000 by time": () => error(-32000, "query timeout exceeded"),
  "-32614 with the limit": () => error(-32614, "eth_getLogs is limited to a 60 range"),
  "-32062": () => error(-32062, "Block range is too large"),
  "-32011 in words of its own": () => error(-32011, "no backends feel like it"),
  "HTTP 413 with a page": () => ({ status: 413, headers: { "content-type": "text/html" }, body: "<h1>Too large</h1>" }),
  "HTTP 413 with JSON-RPC": () => ({ status: 413, ...error(-32000, "payload too large") }),
  "HTTP 400 with JSON-RPC": () => ({ status: 400, ...error(-32600, "block range exceeds 60") }),
  "a range that works": ({ from }) =>
    error(-32602, `Log response size exceeded. this block range should work: [${hex(from)}, ${hex(from + 59)}]`),
  "the very range it refuses": ({ from, to }) =>
    error(-32602, `Log response size exceeded. this block range should work: [${hex(from)}, ${hex(to)}]`),
  "a range that does not work either": ({ from, to }) =>
    error(-32602, `Log response size exceeded. this block range should work: [${hex(from)}, ${hex(to - 1)}]`),
};

describe("readHistory through a provider", () => {
  let connection: NetworkConnection;
  let dstack: Dstack;
  let provider: RpcProvider;
  let whole: History;

  before(async () => {
    connection = await network.create("local");
    dstack = await deployDstack(connection);
    const { client, appId, owner } = dstack;
    for (let index = 1; index <= 24; index += 1) {
      const composeHash = parseComposeHash(numberToHex((index % 8) + 1, { size: 32 }));
      const change = index % 3 === 0 ? removeComposeHash : addComposeHash;
      await change(client, { appId, composeHash, account: owner });
      await mineBlocks(connection, (index * 7) % 40);
    }
    whole = await readHistory(client, { appId });
  });

  beforeEach(async () => {
    provider = await startProvider(connection.provider);
  });

  afterEach(() => provider.close());

  const read = (parameters: Partial<ReadHistoryParameters> = {}) =>
    readHistory(provider.client, { appId: dstack.appId, retryDelayMs: 0.1, ...parameters });

  it("reads a chain that needs many ranges", () => {
    expect(whole.completeness.isComplete).to.equal(true);
    expect(whole.changes).to.have.length(5 + 24);
    expect(whole.pinned.number - whole.createdInBlock > 400n).to.equal(true);
  });

  for (const [shape, refuse] of Object.entries(shapes)) {
    it(`reads everything past refusals of the shape "${shape}"`, async () => {
      provider.behave(limitBlocks(60, refuse));
      expect(await read()).to.deep.equal(whole);
      const asked = provider.calls.map(blocksOf).filter((blocks) => blocks !== undefined);
      const refused = asked.filter(({ count }) => count > 60);
      expect(refused).to.not.have.length(0);
      // viem alone would have sent some of them four times.
      expect(new Set(refused.map(({ from, to }) => `${from}-${to}`)).size).to.equal(refused.length);
      expect(asked.length).to.be.lessThan(60);
    });
  }

  for (const most of [1, 5]) {
    it(`reads everything from an endpoint that takes ${most === 1 ? "one block" : `${most} blocks`} at a time`, async () => {
      provider.behave(limitBlocks(most, () => error(-32614, `eth_getLogs is limited to a ${most} range`)));
      expect(await read({ concurrency: 16 })).to.deep.equal(whole);
    });
  }

  it("reads everything from an endpoint that limits results", async () => {
    provider.behave(limitResults(7, error(-32005, "query returned more than 7 results")));
    expect(await read()).to.deep.equal(whole);
  });

  it("gives up soon on a single block that is refused, and names it", async () => {
    const dense = Number(whole.createdInBlock);
    provider.behave(limitResults(4, error(-32005, "query returned more than 4 results")));
    const refusal = await rejection(read());
    expect(refusal).to.be.instanceOf(LogsRefusedError);
    expect(refusal).to.have.nested.property("context.blockNumber", `${dense}`);
    const attempts = provider.calls.map(blocksOf).filter((blocks) => blocks?.from === dense && blocks.count === 1);
    expect(attempts).to.have.length(4);
  });

  for (const [what, answer] of [
    ["has pruned them", error(4444, "pruned history unavailable")],
    ["has pruned them and says so in words", error(-32000, "history has been pruned for this block")],
    ["has no such method", error(-32601, "the method eth_getLogs does not exist")],
    ["does not know the key", { status: 401, ...error(-32000, "invalid api key") }],
  ] as const) {
    it(`says that the endpoint has no logs when it ${what}`, async () => {
      provider.behave((call) => (call.method === "eth_getLogs" ? answer : undefined));
      expect(await rejection(read())).to.be.instanceOf(LogsUnavailableError);
      // The second asks for the newest block alone.
      expect(provider.countOf("eth_getLogs")).to.equal(2);
    });
  }

  it("reads what an endpoint serves that has dropped the logs of older blocks, and says which are missing", async () => {
    const { pinned, createdInBlock, changes } = whole;
    const kept = (createdInBlock + pinned.number) / 2n;
    provider.behave((call) => {
      const asked = blocksOf(call);
      return asked !== undefined && asked.from < kept ? error(4444, "pruned history unavailable") : undefined;
    });
    const history = await read();
    expect(history.changes).to.deep.equal(changes.filter(({ blockNumber }) => blockNumber >= kept));
    const reasons = history.completeness.isComplete ? [] : history.completeness.reasons;
    expect(reasons).to.deep.include({
      kind: "blocksNotRead",
      fromBlock: createdInBlock,
      toBlock: kept - 1n,
      message: `Blocks ${createdInBlock} to ${kept - 1n} were not read.`,
    });
    expect(provider.countOf("eth_getLogs")).to.be.lessThan(30);
  });

  for (const [what, answer] of [
    ["HTTP 429 without a body", { status: 429, headers: { "content-type": "text/plain" }, body: "" }],
    ["HTTP 429 with a body that is not JSON", { status: 429, body: "" }],
    ["HTTP 429 with JSON-RPC", { status: 429, ...error(-32005, "daily request count exceeded, request rate limited") }],
    ["JSON-RPC 429", error(429, "too many requests")],
    ["-32007", error(-32007, "50/second request limit reached")],
    ["-32603", error(-32603, "internal error")],
    ["HTTP 502", { status: 502, headers: { "content-type": "text/html" }, body: "<h1>Bad gateway</h1>" }],
    ["HTTP 500", { status: 500, body: "" }],
    ["half an answer", { body: '{"jsonrpc":"2.0","id":1,"resu' }],
    ["an answer without result", { body: '{"jsonrpc":"2.0","id":1}' }],
    ["null", { result: null }],
    ["a backend that lags behind", error(-32000, "header not found")],
    ["a dropped connection", "hangUp"],
  ] as const) {
    it(`asks again after ${what}, with no log lost or doubled`, async () => {
      // Every request fails twice before it passes.
      const asked = new Map<string, number>();
      provider.behave((call) => {
        const times = (asked.get(JSON.stringify(call)) ?? 0) + 1;
        asked.set(JSON.stringify(call), times);
        return times <= 2 ? answer : undefined;
      });
      expect(await read({ firstRange: 100 })).to.deep.equal(whole);
    });
  }

  it("waits as long as a provider asks for", async () => {
    let refusedAt: number | undefined;
    let waitedMs = 0;
    provider.behave((call) => {
      if (call.method !== "eth_getLogs") return undefined;
      if (refusedAt !== undefined) {
        waitedMs ||= performance.now() - refusedAt;
        return undefined;
      }
      refusedAt = performance.now();
      return { status: 429, headers: { "retry-after": "1", "content-type": "text/plain" }, body: "" };
    });
    expect(await read({ concurrency: 1 })).to.deep.equal(whole);
    expect(waitedMs).to.be.within(990, 5_000);
  });

  for (const [what, spoil] of [
    ["of another contract", (log: object) => ({ ...log, address: `0x${"11".repeat(20)}` })],
    ["of an earlier block", (log: object) => ({ ...log, blockNumber: hex(1) })],
    ["of a later block", (log: object) => ({ ...log, blockNumber: hex(1_000_000_000) })],
    ["that was removed", (log: object) => ({ ...log, removed: true })],
    ["that is not mined", (log: object) => ({ ...log, blockHash: null })],
  ] as const) {
    it(`refuses a log ${what}`, async () => {
      provider.behave(async (call, pass) => {
        if (call.method !== "eth_getLogs") return undefined;
        const [first = {}, ...others] = (await pass()) as object[];
        return { result: [spoil(first), ...others] };
      });
      const refusal = await rejection(read());
      expect(refusal).to.be.instanceOf(RpcUnavailableError);
      expect(refusal).to.have.nested.property("context.said").that.is.a("string");
    });
  }

  it("reads hex in either letter case", async () => {
    const inUpperCase = (value: unknown): unknown => {
      if (typeof value === "string")
        return value.replace(/^0x([0-9a-f]+)$/, (_, digits) => `0x${digits.toUpperCase()}`);
      if (Array.isArray(value)) return value.map(inUpperCase);
      if (typeof value !== "object" || value === null) return value;
      return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, inUpperCase(item)]));
    };
    provider.behave(async (call, pass) =>
      ["eth_getLogs", "eth_getBlockByNumber"].includes(call.method) ? { result: inUpperCase(await pass()) } : undefined,
    );
    expect(await read()).to.deep.equal(whole);
  });

  it("does not need the chain's first block, which some endpoints lack", async () => {
    provider.behave((call) =>
      call.method === "eth_getBlockByNumber" && call.params[0] === "0x0" ? error(-32000, "pruned") : undefined,
    );
    expect(await read()).to.deep.equal(whole);
  });

  it("counts a repeated log once", async () => {
    provider.behave(async (call, pass) => {
      if (call.method !== "eth_getLogs") return undefined;
      const logs = (await pass()) as object[];
      return { result: [...logs, ...logs.slice(0, 1)] };
    });
    expect(await rejection(read())).to.be.instanceOf(RpcUnavailableError);
  });

  it("says that a history is not complete when the endpoint swallows an event", async () => {
    const lost = whole.changes.findLast((change) => change.kind === "composeHashRemoved");
    provider.behave(async (call, pass) => {
      if (call.method !== "eth_getLogs") return undefined;
      const logs = (await pass()) as { transactionHash: string }[];
      return { result: logs.filter((log) => log.transactionHash !== lost?.transactionHash) };
    });
    const { completeness } = await read();
    const [reason] = completeness.isComplete ? [] : completeness.reasons;
    expect(reason).to.include({ kind: "composeHashDiffers", byEvents: true, onChain: false });
    expect(reason).to.have.property("composeHash", lost?.kind === "composeHashRemoved" && lost.composeHash);
  });

  it("reads the newest blocks again when a lagging backend kept its last events to itself", async () => {
    let answers = 0;
    const newest = whole.changes.at(-1)?.blockNumber;
    provider.behave(async (call, pass) => {
      if (call.method !== "eth_getLogs") return undefined;
      const logs = (await pass()) as { blockNumber: string }[];
      answers += 1;
      return { result: answers === 1 ? logs.filter((log) => BigInt(log.blockNumber) !== newest) : logs };
    });
    expect(await read()).to.deep.equal(whole);
    expect(answers).to.equal(2);
  });

  it("reads several ranges at the same time, up to the limit", async () => {
    let inFlight = 0;
    let most = 0;
    provider.behave(async (call, pass) => {
      if (call.method !== "eth_getLogs") return undefined;
      inFlight += 1;
      most = Math.max(most, inFlight);
      await new Promise((resolve) => setTimeout(resolve, 5));
      inFlight -= 1;
      const asked = blocksOf(call);
      return asked !== undefined && asked.count > 60
        ? error(-32614, "limited to a 60 range")
        : { result: await pass() };
    });
    await read({ concurrency: 3 });
    expect(most).to.equal(3);
  });

  it("reports its progress", async () => {
    provider.behave(limitBlocks(60, () => error(-32614, "eth_getLogs is limited to a 60 range")));
    const reports: { phase: string; blocksRead: bigint; blocksTotal: bigint; logsRead: number }[] = [];
    await read({ onProgress: (progress) => reports.push(progress) });
    expect(new Set(reports.map(({ phase }) => phase))).to.deep.equal(new Set(["locating", "reading", "verifying"]));
    const steps = reports.map(({ blocksRead }) => Number(blocksRead));
    expect(steps).to.deep.equal(steps.toSorted((one, other) => one - other));
    const last = reports.at(-1);
    expect(last?.blocksRead).to.equal(last?.blocksTotal);
    expect(last?.blocksTotal).to.equal(whole.pinned.number - whole.createdInBlock + 1n);
    expect(last?.logsRead).to.be.at.least(whole.changes.length);
  });

  it("stops at the signal, and rejects with its reason", async () => {
    const stop = new AbortController();
    const reason = new Error("Enough.");
    provider.behave(async (call, pass) => {
      const asked = blocksOf(call);
      if (asked === undefined) return undefined;
      if (asked.count > 20) return error(-32614, "limited to a 20 range");
      stop.abort(reason);
      return { result: await pass() };
    });
    expect(await rejection(read({ signal: stop.signal }))).to.equal(reason);
  });

  it("stops while it waits", async () => {
    const stop = new AbortController();
    const reason = new Error("Enough.");
    provider.behave((call) => {
      if (call.method !== "eth_getLogs") return undefined;
      setTimeout(() => stop.abort(reason), 20);
      return { status: 429, headers: { "retry-after": "30", "content-type": "text/plain" }, body: "" };
    });
    const started = performance.now();
    expect(await rejection(read({ signal: stop.signal }))).to.equal(reason);
    expect(performance.now() - started).to.be.lessThan(5_000);
  });

  it("does not show the key in the URL", async () => {
    const secret = "abcdefghij0123456789abcdefghij";
    provider.behave((call) =>
      call.method === "eth_getLogs" ? error(-32000, `quota of ${secret} exceeded, try again later`) : undefined,
    );
    const client = createClient({ chain: base, transport: http(`${provider.url}/v2/${secret}`) });
    const fault = await rejection(readHistory(client, { appId: dstack.appId, retryDelayMs: 0.1 }));
    expect(isDstackError(fault)).to.equal(true);
    const told = JSON.stringify(fault) + String(Object(fault).stack) + String(Object(fault).cause?.message);
    expect(told).to.not.include(secret);
  });

  it("says that an endpoint is down", async () => {
    const client = createClient({
      chain: base,
      transport: http(`http://127.0.0.1:${await closedPort()}`, { retryCount: 0 }),
    });
    const fault = await rejection(readHistory(client, { appId: dstack.appId, retryDelayMs: 0.1 }));
    expect(fault).to.be.instanceOf(RpcUnavailableError);
  });

  describe("that has dropped old state", () => {
    const withoutStateBelow =
      (oldest: bigint, answer: ProviderAnswer): Behaviour =>
      (call) => {
        const block = call.params.at(-1);
        const isOld = typeof block === "string" && block.startsWith("0x") && BigInt(block) < oldest;
        return isOld && ["eth_getCode", "eth_call", "eth_getStorageAt"].includes(call.method) ? answer : undefined;
      };
    const pruned = error(-32000, "missing trie node 1234 (path ) state 0x5678 is not available");

    it("finds the creation in the logs themselves", async () => {
      provider.behave(withoutStateBelow(whole.pinned.number - 5n, pruned));
      expect(await read()).to.deep.equal(whole);
    });

    it("does not conclude from missing state that there was no code", async () => {
      provider.behave(withoutStateBelow(whole.pinned.number - 5n, { result: "0x" }));
      const { changes, createdInBlock } = await read();
      expect(createdInBlock).to.equal(whole.createdInBlock);
      expect(changes).to.deep.equal(whole.changes);
    });

    it("starts at the given block, and says when that may be too late", async () => {
      provider.behave(withoutStateBelow(whole.pinned.number - 5n, pruned));
      expect(await read({ fromBlock: whole.createdInBlock - 2n })).to.deep.equal(whole);
      const fromBlock = whole.createdInBlock + 1n;
      const { completeness } = await read({ fromBlock });
      const reasons = completeness.isComplete ? [] : completeness.reasons;
      expect(reasons.map(({ kind }) => kind)).to.include("creationUnproven");
      expect(reasons.find(({ kind }) => kind === "creationUnproven")).to.include({ fromBlock });
    });

    it("does not start at the given block when the endpoint shows that the app is older", async () => {
      provider.behave(undefined);
      expect(await read({ fromBlock: whole.createdInBlock + 1n })).to.deep.equal(whole);
    });

    it("finds no history without the newest state", async () => {
      provider.behave(withoutStateBelow(whole.pinned.number + 1n, pruned));
      expect(await rejection(read())).to.be.instanceOf(RpcUnavailableError);
    });

    it("says that an old block was not compared with its state", async () => {
      provider.behave(withoutStateBelow(whole.pinned.number - 5n, pruned));
      const { completeness } = await read({ toBlock: whole.pinned.number - 50n });
      expect(completeness).to.have.nested.property("reasons[0].kind", "notVerified");
    });
  });

  it("is complete or says why not, with random limits and faults", async function () {
    this.timeout(120_000);
    const failure = fc.constantFrom<ProviderAnswer | "hangUp">(
      { status: 429, body: "" },
      { status: 503, body: "" },
      error(-32005, "rate limit exceeded"),
      error(-32603, "internal error"),
      { body: "{" },
      "hangUp",
    );
    const setting = fc.record({
      mostBlocks: fc.oneof(fc.integer({ min: 4, max: 30 }), fc.integer({ min: 1, max: 1000 })),
      mostResults: fc.integer({ min: 7, max: 40 }),
      shape: fc.constantFrom(...Object.values(shapes)),
      failures: fc.array(fc.record({ at: fc.integer({ min: 0, max: 60 }), failure }), { maxLength: 25 }),
      always: fc.option(failure, { freq: 3 }),
      firstRange: fc.integer({ min: 1, max: 3000 }),
      concurrency: fc.integer({ min: 1, max: 8 }),
    });
    await fc.assert(
      fc.asyncProperty(setting, async ({ mostBlocks, mostResults, shape, failures, always, ...parameters }) => {
        const moods = new Map(failures.map(({ at, failure }) => [at, failure]));
        const results = limitResults(mostResults, error(-32005, `query returned more than ${mostResults} results`));
        let logCalls = 0;
        provider.behave((call, pass) => {
          const asked = blocksOf(call);
          if (asked === undefined) return undefined;
          logCalls += 1;
          const mood = moods.get(logCalls);
          if (mood !== undefined) return mood;
          if (always !== null && asked.to === Number(whole.pinned.number)) return always;
          return asked.count > mostBlocks ? shape(asked) : results(call, pass);
        });
        const outcome = await read(parameters).catch((fault: unknown) => fault);
        if (isDstackError(outcome)) expect(always, `${outcome.message}`).to.not.equal(null);
        else expect(outcome).to.deep.equal(whole);
      }),
      { numRuns: 15 },
    );
  });
});
