import { spawn } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { network } from "hardhat";
import type { NetworkConnection } from "hardhat/types/network";
import { keccak256, numberToHex, toEventSelector } from "viem";
import { writeContract } from "viem/actions";
import { base } from "viem/chains";
import { addComposeHash } from "../../../../src/chain/add-compose-hash.ts";
import { addDevice } from "../../../../src/chain/add-device.ts";
import { removeComposeHash } from "../../../../src/chain/remove-compose-hash.ts";
import { parseComposeHash, parseDeviceId } from "../../../../src/core/ids.ts";
import { isDstackError, LogIndexError } from "../../../../src/errors/index.ts";
import { dstackAppAbi } from "../../../../src/generated/abi.ts";
import type { History } from "../../../../src/history/history.ts";
import { createLogIndex } from "../../../../src/history/log-index.ts";
import { allowedAt, type PolicyChange } from "../../../../src/history/policy.ts";
import { type ReadHistoryParameters, readHistory } from "../../../../src/history/read-history.ts";
import { type HistoryStore, openHistoryStore } from "../../../../src/history/store.ts";
import { type Dstack, deployDstack } from "../../../support/chain/deploy-dstack.ts";
import { type IndexServer, type NodeLog, startIndex } from "../../../support/history/index-server.ts";
import { mineBlocks } from "../../../support/history/mine.ts";
import { type RpcProvider, startProvider } from "../../../support/history/rpc-provider.ts";
import { rejection } from "../../../support/rejection.ts";
import { until } from "../../../support/until.ts";
import { useTemporaryDirectory } from "../../../support/update/temporary-directory.ts";

const hash = (index: number) => parseComposeHash(numberToHex(index, { size: 32 }));
const added = toEventSelector("event ComposeHashAdded(bytes32)");
const removed = toEventSelector("event ComposeHashRemoved(bytes32)");
const apiKey = "K3yThatNobodyMaySee9876543210";
const pageLength = 100;

/** Events without what an index does not prove. */
const plain = (changes: readonly PolicyChange[]) => changes.map(({ blockHash: _, ...change }) => change);
const reasonsOf = ({ completeness }: History) => (completeness.isComplete ? [] : completeness.reasons);
const kindsOf = (history: History) => [...new Set(reasonsOf(history).map(({ kind }) => kind))];

describe("readHistory with an index", () => {
  const directory = useTemporaryDirectory();
  let connection: NetworkConnection;
  let dstack: Dstack;
  let provider: RpcProvider;
  let index: IndexServer;
  let store: HistoryStore;
  let whole: History;

  before(async function () {
    this.timeout(60_000);
    connection = await network.create("local");
    dstack = await deployDstack(connection);
    const { client, appId, owner } = dstack;
    const account = owner;
    for (let number = 1; number <= 70; number += 1)
      await addComposeHash(client, { appId, composeHash: hash(number), account });
    for (let number = 1; number <= 20; number += 1)
      await removeComposeHash(client, { appId, composeHash: hash(number), account });
    await addDevice(client, { appId, deviceId: parseDeviceId("ed".repeat(32)), account });
    // One block with more logs than a page has.
    await connection.provider.request({ method: "evm_setAutomine", params: [false] });
    for (let number = 100; number < 160; number += 1)
      await writeContract(client, {
        ...{ account, chain: base, address: appId, abi: dstackAppAbi },
        ...{ functionName: "addComposeHash", args: [hash(number)], gas: 120_000n },
      });
    await connection.networkHelpers.mine();
    await connection.provider.request({ method: "evm_setAutomine", params: [true] });
    await mineBlocks(connection, 5);
    whole = await readHistory(client, { appId });
    expect(whole.completeness.isComplete).to.equal(true);
  });

  beforeEach(async () => {
    provider = await startProvider(connection.provider);
    index = await startIndex(connection.provider, { pageLength });
    store = openHistoryStore(":memory:");
  });

  afterEach(async () => {
    store.close();
    await Promise.all([provider.close(), index.close()]);
  });

  const read = (parameters: Partial<ReadHistoryParameters> = {}) =>
    readHistory(provider.client, {
      ...{ appId: dstack.appId, store, retryDelayMs: 0.1 },
      index: createLogIndex({ url: index.url, apiKey }),
      ...parameters,
    });
  const failure = async (parameters: Partial<ReadHistoryParameters> = {}) => {
    const fault = await rejection(read(parameters));
    expect(fault).to.be.instanceOf(LogIndexError);
    return fault as LogIndexError; // checked above
  };

  it("has the events of a scan, proves the state, and asks the endpoint for no log", async () => {
    const history = await read();
    expect(plain(history.changes)).to.deep.equal(plain(whole.changes));
    expect(history.changes.every(({ blockHash }) => blockHash === undefined)).to.equal(true);
    expect(history.completeness).to.deep.equal({ isComplete: true });
    expect(history.createdInBlock).to.equal(whole.createdInBlock);
    expect(history.initialFlags).to.deep.equal(whole.initialFlags);
    expect(history.indexed).to.deep.equal({
      indexes: [new URL(index.url).host],
      ranges: [{ fromBlock: 0n, toBlock: history.pinned.number }],
      provenAt: history.pinned,
    });
    expect(provider.countOf("eth_getLogs")).to.equal(0);
    expect(provider.countOf("eth_getProof")).to.equal(1);
    expect(index.queries[0]).to.deep.equal({
      ...{ module: "logs", action: "getLogs", address: dstack.appId, fromBlock: "0" },
      ...{ toBlock: `${history.pinned.number}`, chainid: "8453", page: "1", offset: "1000", apikey: apiKey },
    });
    expect(index.queries.some(({ page }) => page === "2")).to.equal(true);
  });

  it("keeps what it read with its origin, and asks the next time only for what is new", async () => {
    await read();
    const first = index.queries.length;
    const again = await read();
    expect(again.indexed?.provenAt).to.deep.equal(again.pinned);
    expect(index.queries.length - first).to.equal(0);
    expect(plain(again.changes)).to.deep.equal(plain(whole.changes));
    // Without an index, the chain itself is asked for all of it.
    const scanned = await read({ index: undefined });
    expect(scanned).to.deep.equal(whole);
    expect(scanned.indexed).to.equal(undefined);
  });

  it("asks an index only for blocks that are final, and the endpoint for the others", async () => {
    const final = whole.pinned.number - 12n;
    provider.behave(async ({ method, params }) => {
      if (method !== "eth_getBlockByNumber" || params[0] !== "finalized") return undefined;
      return {
        result: await connection.provider.request({ method, params: [numberToHex(final), false] }),
      };
    });
    const { indexed, changes, completeness } = await read();
    expect(completeness.isComplete).to.equal(true);
    expect(indexed?.ranges).to.deep.equal([{ fromBlock: 0n, toBlock: final }]);
    expect(indexed?.provenAt?.number, "of the final block").to.equal(final);
    expect(plain(changes)).to.deep.equal(plain(whole.changes));
    expect(changes.map(({ blockHash }) => blockHash !== undefined)).to.deep.equal(
      changes.map(({ blockNumber }) => blockNumber > final),
    );
    const asked = provider.calls.flatMap(({ method, params }) => (method === "eth_getLogs" ? params : []));
    expect(asked.map((filter) => BigInt(Object(filter).fromBlock))).to.deep.equal([final + 1n]);
  });

  it("proves a newer state if the endpoint has dropped the final one", async () => {
    const final = whole.pinned.number - 12n;
    provider.behave(async ({ method, params }) => {
      if (method === "eth_getProof" && BigInt(String(params[2])) === final)
        return { error: { code: -32000, message: "distance to target block exceeds maximum proof window" } };
      if (method !== "eth_getBlockByNumber" || params[0] !== "finalized") return undefined;
      return { result: await connection.provider.request({ method, params: [numberToHex(final), false] }) };
    });
    const { indexed, pinned } = await read();
    expect(indexed?.provenAt).to.deep.equal(pinned);
  });

  it("reads an index in the form of Blockscout, which has no pages", async () => {
    const blockscout = await startIndex(connection.provider, { kind: "blockscout", pageLength: 300 });
    try {
      const history = await read({ index: createLogIndex({ url: blockscout.url }) });
      expect(plain(history.changes)).to.deep.equal(plain(whole.changes));
      expect(history.indexed?.provenAt).to.deep.equal(history.pinned);
      expect(blockscout.queries.every((query) => !("page" in query) && !("apikey" in query))).to.equal(true);
      expect(blockscout.queries.map(({ fromBlock }) => fromBlock)).to.have.length.greaterThan(1);
    } finally {
      await blockscout.close();
    }
    // A block that fills a page cannot be read to its end there.
    const small = await startIndex(connection.provider, { kind: "blockscout", pageLength: 100 });
    try {
      const { message } = await failure({ index: createLogIndex({ url: small.url }), store: undefined });
      expect(message).to.match(/Block \d+ has more logs than it delivers/);
    } finally {
      await small.close();
    }
  });

  it("goes on from the store after it was killed", async function () {
    this.timeout(60_000);
    const path = join(directory.path, "history.sqlite");
    const program = fileURLToPath(new URL("../../../support/history/history-process.ts", import.meta.url));
    const start = () =>
      spawn(
        process.execPath,
        ["--import", "tsx", "--no-warnings", program, provider.url, dstack.appId, path, index.url],
        { stdio: ["ignore", "pipe", "inherit"] },
      );
    let isHeld = true;
    index.behave(async ({ fromBlock }) => {
      if (fromBlock !== "0" && isHeld) await until(() => !isHeld);
      return undefined;
    });
    const killed = start();
    await until(() => index.queries.length === 2);
    killed.kill("SIGKILL");
    await new Promise((resolve) => killed.once("close", resolve));
    isHeld = false;
    const [, unanswered] = index.queries;
    const before = index.queries.length;
    const found = await json(start().stdout);
    expect(found).to.deep.equal({ changes: whole.changes.length, isComplete: true });
    expect(index.queries[before]?.fromBlock).to.equal(unanswered?.fromBlock);
    expect(unanswered?.fromBlock).to.not.equal("0");
  });

  describe("that lies about events", () => {
    const isAbout = (topic: string, number: number) => (log: NodeLog) =>
      log.topics[0] === topic && (log.data === hash(number) || log.topics[1] === hash(number));
    const without = (matches: (log: NodeLog) => boolean) => (logs: readonly NodeLog[]) => {
      const lost = logs.find(matches)?.transactionHash;
      expect(lost).to.be.a("string");
      return logs.filter(({ transactionHash }) => transactionHash !== lost);
    };
    /** The logs of one transaction again in another block, with these hashes. */
    const invented = (logs: readonly NodeLog[], topic: string, number: number, invention: number, block: number) => {
      const model = logs.filter(
        ({ transactionHash }) => transactionHash === logs.find(isAbout(topic, number))?.transactionHash,
      );
      const text = JSON.stringify(model).replaceAll(hash(number).slice(2), hash(invention).slice(2));
      return (JSON.parse(text) as NodeLog[]).map((log, at) => ({
        ...log,
        logIndex: numberToHex(90 + at),
        blockNumber: numberToHex(block),
        transactionHash: keccak256(numberToHex(block)),
      }));
    };
    const inOrder = (logs: readonly NodeLog[]) =>
      logs.toSorted((one, other) =>
        one.blockNumber === other.blockNumber
          ? Number(one.logIndex) - Number(other.logIndex)
          : Number(one.blockNumber) - Number(other.blockNumber),
      );

    it("asks again and then tells when an addition is missing, which no event names", async () => {
      index.believe(without(isAbout(added, 50)));
      const history = await read();
      expect(kindsOf(history)).to.deep.equal(["stateUnproven"]);
      expect(reasonsOf(history)[0]?.message).to.match(/a hash, a device or another word that no event named/);
      expect(history.indexed?.provenAt).to.equal(undefined);
      expect(index.queries.filter(({ fromBlock, page }) => fromBlock === "0" && page === "1")).to.have.length(2);
      // The index is honest again: the next run asks it again by itself.
      index.believe(undefined);
      expect((await read()).completeness.isComplete).to.equal(true);
    });

    it("believes an index that leaves out an addition only the first time", async () => {
      let times = 0;
      index.believe((logs) => {
        times += 1;
        return times <= 3 ? without(isAbout(added, 50))(logs) : logs;
      });
      const history = await read();
      expect(history.completeness.isComplete).to.equal(true);
      expect(plain(history.changes)).to.deep.equal(plain(whole.changes));
    });

    it("tells when a removal is missing", async () => {
      index.believe(without(isAbout(removed, 7)));
      const history = await read();
      expect(kindsOf(history)).to.have.members(["composeHashDiffers", "stateUnproven"]);
      expect(reasonsOf(history)[0]).to.include({ composeHash: hash(7), byEvents: true, onChain: false });
    });

    it("tells when an addition is invented", async () => {
      const block = Number(whole.createdInBlock) + 3;
      index.believe((logs) => inOrder([...logs, ...invented(logs, added, 60, 9999, block)]));
      const history = await read();
      expect(kindsOf(history)).to.have.members(["composeHashDiffers", "stateUnproven"]);
      expect(history.indexed?.provenAt).to.equal(undefined);
    });

    it("cannot tell when a change and its undoing are invented, so it says that events are not proven", async () => {
      const block = Number(whole.createdInBlock) + 3;
      index.believe((logs) =>
        inOrder([...logs, ...invented(logs, added, 60, 9999, block), ...invented(logs, removed, 7, 9999, block + 1)]),
      );
      const history = await read();
      expect(history.completeness.isComplete).to.equal(true);
      expect(history.changes).to.have.length(whole.changes.length + 2);
      expect(allowedAt(history.changes).composeHashes.size).to.equal(allowedAt(whole.changes).composeHashes.size);
      expect(history.indexed?.ranges).to.have.length(1);
      // The scan has the events of the chain, and nothing of the index.
      expect(await read({ index: undefined })).to.deep.equal(whole);
    });

    it("tells when a flag or the owner is another one", async () => {
      const transferred = toEventSelector("event OwnershipTransferred(address,address)");
      index.believe((logs) => logs.filter(({ topics }) => topics[0] !== transferred));
      const history = await read();
      expect(kindsOf(history)).to.have.members(["addressDiffers", "stateUnproven"]);
      expect(
        reasonsOf(history)
          .map(({ message }) => message)
          .join(),
      ).to.include(dstack.owner.address);
    });

    it("tells that nothing is proven if the endpoint offers no proof", async () => {
      provider.behave(({ method }) =>
        method === "eth_getProof" ? { error: { code: -32601, message: "the method does not exist" } } : undefined,
      );
      const history = await read();
      expect(kindsOf(history)).to.deep.equal(["stateUnproven"]);
      expect(index.queries.filter(({ fromBlock, page }) => fromBlock === "0" && page === "1")).to.have.length(1);
    });
  });

  describe("that answers wrongly is asked again, and then named", () => {
    const first = (change: (log: object) => object) => (page: readonly object[]) =>
      page.map((log, at) => (at === 0 ? change(log) : log));
    for (const [what, garble, words] of [
      [
        "with a log of another contract",
        first((log) => ({ ...log, address: `0x${"11".repeat(20)}` })),
        /another contract/,
      ],
      ["with a log of another block", first((log) => ({ ...log, blockNumber: "0xfffffff" })), /another block/],
      ["in another order", (page: readonly object[]) => page.toReversed(), /ascending order/],
      ["with a log twice", (page: readonly object[]) => [...page.slice(0, 1), ...page], /twice/],
      ["with a topic that is none", first((log) => ({ ...log, topics: ["0x12"] })), /not a mined log/],
      ["with a number that is none", first((log) => ({ ...log, logIndex: "first" })), /not a mined log/],
      ["with an empty object for a log", (page: readonly object[]) => [...page.slice(1), {}], /not a mined log/],
    ] as const)
      it(what, async () => {
        index.garble(garble);
        const { message, code } = await failure();
        expect(message).to.match(words);
        expect(code).to.equal("DSTK-2104");
        expect(index.queries).to.have.length(2);
        index.garble(undefined);
        expect((await read()).completeness.isComplete).to.equal(true);
      });

    for (const [what, answer, requests, words] of [
      ["with a web page", { body: "<!doctype html><title>Checking your browser</title>" }, 3, /HTML page.*Checking/],
      ["with JSON of another form", { body: '{"jsonrpc":"2.0","result":[]}' }, 3, /no list of logs/],
      [
        "that its key is wrong",
        { body: '{"status":"0","message":"NOTOK","result":"Invalid API Key"}' },
        1,
        /Invalid API Key/,
      ],
      [
        "that its limit of the day is reached",
        { body: '{"status":"0","message":"NOTOK","result":"Max daily rate limit reached"}' },
        1,
        /daily/,
      ],
      [
        "that it does not serve the chain",
        { body: '{"status":"0","message":"NOTOK","result":"Free API access is not supported for this chain."}' },
        1,
        /not supported for this chain/,
      ],
      [
        "that something is wrong",
        { body: '{"status":"0","message":"Something went wrong.","result":null}' },
        3,
        /went wrong/,
      ],
      ["HTTP 404", { status: 404, body: "not here" }, 1, /HTTP 404/],
    ] as const)
      it(what, async () => {
        index.behave(() => answer);
        const { message } = await failure();
        expect(message).to.match(words);
        expect(index.queries).to.have.length(requests);
      });

    it("with a redirect, which is not followed", async () => {
      let visits = 0;
      const elsewhere = createServer((_, response) => {
        visits += 1;
        response.end("{}");
      });
      await new Promise<void>((resolve) => elsewhere.listen(0, "127.0.0.1", resolve));
      try {
        const location = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/?apikey=${apiKey}`;
        index.behave(() => ({ status: 302, headers: { location }, body: "" }));
        const { message } = await failure();
        expect(message).to.match(/redirect/);
        expect(message).to.not.include(apiKey);
        expect([visits, index.queries.length]).to.deep.equal([0, 1]);
      } finally {
        elsewhere.close();
      }
    });

    it("with logs without end", async () => {
      // Each page is full, and begins where the last one ended.
      index.behave(({ fromBlock, toBlock, page }) => {
        if (Number(fromBlock) === Number(toBlock) && page === "1") return undefined;
        const entry = (at: number) => ({
          ...{ address: dstack.appId, topics: [added], data: hash(1), timeStamp: "0x1" },
          blockNumber: numberToHex(Number(fromBlock)),
          logIndex: numberToHex(Number(page) * 100 + at),
          transactionHash: hash(at),
        });
        return {
          body: JSON.stringify({
            status: "1",
            message: "OK",
            result: Array.from({ length: 100 }, (_, at) => entry(at)),
          }),
        };
      });
      const { message } = await failure();
      expect(message).to.match(/more logs than it delivers/);
      expect(index.queries).to.have.length(10);
    });

    it("with a body that does not end", async function () {
      this.timeout(30_000);
      const endless = createServer((_, response) => {
        response.writeHead(200, { "content-type": "application/json" });
        const chunk = `"${"a".repeat(1024 * 1024)}",`;
        const more = () => {
          while (!response.destroyed && response.write(chunk));
        };
        response.on("drain", more);
        more();
      });
      await new Promise<void>((resolve) => endless.listen(0, "127.0.0.1", resolve));
      try {
        const url = `http://127.0.0.1:${(endless.address() as AddressInfo).port}/api`;
        const stop = new AbortController();
        const reason = new Error("Enough.");
        setTimeout(() => stop.abort(reason), 500).unref();
        const fault = await rejection(read({ index: createLogIndex({ url }), signal: stop.signal }));
        expect(fault === reason || fault instanceof LogIndexError).to.equal(true);
      } finally {
        endless.closeAllConnections();
        endless.close();
      }
    });
  });

  it("waits as long as an index asks for, and goes on", async () => {
    const refusals = [
      { body: '{"status":"0","message":"NOTOK","result":"Max rate limit reached"}' },
      { body: '{"status":"0","message":"NOTOK","result":"Max calls per sec rate limit reached (50/sec)"}' },
      {
        status: 429,
        headers: { "retry-after": "0" },
        body: '{"message":"Too many requests","status":"0","result":null}',
      },
      { status: 503, body: "<h1>Busy</h1>" },
    ];
    index.behave(() => refusals.shift());
    const start = performance.now();
    expect((await read()).completeness.isComplete).to.equal(true);
    const pages = index.queries.length - 4;
    expect(performance.now() - start).to.be.at.least((pages - 1) * 20 * 0.9);
  });

  it("asks for fewer blocks where the index refuses so many", async () => {
    const refusals = [
      '{"status":"0","message":"Result window is too large, PageNo x Offset size must be less than or equal to 10000","result":null}',
      '{"status":"0","message":"NOTOK","result":"Query Timeout occured. Please select a smaller result dataset"}',
    ];
    index.behave(({ fromBlock, toBlock }) =>
      Number(toBlock) - Number(fromBlock) > 40 ? { body: refusals[index.queries.length % 2] ?? "" } : undefined,
    );
    const history = await read();
    expect(history.completeness.isComplete).to.equal(true);
    expect(plain(history.changes)).to.deep.equal(plain(whole.changes));
  });

  it("shows the API key in no error, whatever the index answers", async () => {
    for (const answer of [
      { body: JSON.stringify({ status: "0", message: "NOTOK", result: `Invalid API Key (#err2)|${apiKey}` }) },
      { status: 404, body: `no such page: /v2/api?apikey=${apiKey}` },
      { body: `<html>${apiKey}` },
      {
        body: JSON.stringify({ status: "0", message: `apikey=${encodeURIComponent(apiKey)} is unknown`, result: null }),
      },
    ]) {
      index.behave(() => answer);
      const fault = await failure();
      const told = JSON.stringify(fault) + String(fault.stack) + String(Object(fault.cause).message);
      expect(told).to.not.include(apiKey);
    }
  });

  it("refuses an address with a key in it, and a key that cannot be one", async () => {
    for (const url of [
      `${index.url}?apikey=${apiKey}`,
      "https://user:word@index.example/api",
      "file:///etc/passwd",
      "x",
    ]) {
      const fault = await rejection((async () => createLogIndex({ url }))());
      expect(isDstackError(fault) && fault.name).to.equal("InvalidArgumentError");
      expect(JSON.stringify(fault)).to.not.include(apiKey);
    }
    const fault = await rejection((async () => createLogIndex({ url: index.url, apiKey: "two words" }))());
    expect(isDstackError(fault) && fault.name).to.equal("InvalidArgumentError");
  });
});
