import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { memoryLedger } from "../../../../src/chain/transactions/ledger.ts";
import { createCloudClient } from "../../../../src/cloud/create-client.ts";
import { RolloverTimeoutError } from "../../../../src/errors/index.ts";
import { apiKey, type TestCvm } from "../../../support/mock-cloud/cloud-world.ts";
import { catchError } from "../../../support/update/catch-error.ts";
import { type ReceivedRequest, sendJson, startServer, type TestServer } from "../../../support/update/http-server.ts";
import {
  createCvmOffChain,
  offChain,
  startUpdateWorld,
  type UpdateChanges,
  type UpdateWorld,
  update,
} from "../../../support/update/update-world.ts";

const dockerCompose = "services:\n  app:\n    image: nginx:2\n";
const rolloverMs = 3_600_000;

/** Answers the request for the stream. `forward` opens the cloud's own. */
type Stream = (response: ServerResponse, forward: () => Promise<void>) => void | Promise<void>;

/** Stands between the update and the cloud. */
interface Front {
  readonly server: TestServer;
  /** Number of reads of the CVM since the update was accepted. */
  readonly looks: () => number;
  /** Calls `act` at this read. */
  atLook(count: number, act: () => void): void;
  readonly streams: ServerResponse[];
}

describe("an update and the cloud's event stream", () => {
  let world: UpdateWorld;
  let cvm: TestCvm;
  const servers: TestServer[] = [];
  before(async () => {
    world = await startUpdateWorld();
  });
  beforeEach(async () => {
    cvm = await createCvmOffChain(world);
    world.cloud.setFault({ kind: "slow-rollover", cvm: cvm.id, ms: rolloverMs, times: 1 });
  });
  afterEach(async () => {
    await finishRollover();
    await Promise.all(servers.splice(0).map((server) => server.close()));
  });
  after(() => world.close());

  async function finishRollover(): Promise<void> {
    await world.cloud.advance(rolloverMs);
    await world.cloud.whenIdle();
  }

  async function startFront(stream: Stream, delayMs = 0): Promise<Front> {
    let looks = Number.NaN;
    const acts = new Map<number, () => void>();
    const streams: ServerResponse[] = [];
    const server = await startServer(async (response, request) => {
      const forward = () => forwardTo(world.cloud.baseUrl, request, response);
      if (request.method === "PATCH") looks = 0;
      if (request.method === "GET" && /\/cvms\/[^/]+$/.test(request.url)) {
        looks += 1;
        acts.get(looks)?.();
      }
      await sleep(delayMs);
      if (request.headers.accept !== "text/event-stream") return forward();
      streams.push(response);
      return stream(response, forward);
    });
    servers.push(server);
    return { server, looks: () => looks, atLook: (count, act) => acts.set(count, act), streams };
  }

  function run({ server }: Front, changes: Partial<UpdateChanges> = {}) {
    const cloud = createCloudClient({ apiKey, baseUrl: server.url, retry: { baseDelayMs: 1 } });
    return update(world, cvm, { ...offChain(world, cvm), cloud, dockerCompose, ledger: memoryLedger(), ...changes });
  }

  it("asks again when the stream reports a change, and rarely before", async () => {
    let looksBefore = Number.NaN;
    const front = await startFront(async (_, forward) => {
      await forward();
      looksBefore = front.looks();
      await sleep(700);
      void finishRollover();
    });
    const { outcome } = await run(front, { pollCloudMs: 60_000 });
    expect(outcome).to.equal("updated");
    // The pause before the first event may end with a read, and the last event causes one.
    expect(front.looks() - looksBefore).to.be.within(1, 2);
  });

  it("closes the stream at the end", async () => {
    const front = await startFront((_, forward) => forward());
    front.atLook(1, () => void finishRollover());
    await run(front);
    const [stream] = front.streams;
    if (stream !== undefined && !stream.closed) await once(stream, "close");
    expect(front.streams).to.have.lengthOf(1);
  });

  const state = (status: string) => `event: state\ndata: ${JSON.stringify({ name: "my-app", status })}\n\n`;
  const open = (response: ServerResponse) => response.writeHead(200, { "content-type": "text/event-stream" });
  const broken: Readonly<Record<string, Stream>> = {
    "is not there": (response) => sendJson(response, 404, { detail: "Not Found" }),
    "is not acceptable": (response) => sendJson(response, 406, { detail: "Not Acceptable" }),
    "is one too many": (response) => sendJson(response, 429, { detail: "5 streams already" }, { "retry-after": "5" }),
    "is refused to this key": (response) => sendJson(response, 403, { detail: "No" }),
    "is plain JSON": (response) => sendJson(response, 200, { name: "my-app", status: "updating" }),
    "is never answered": () => {},
    "is cut off": (response) => void response.destroy(),
    "opens and says nothing": (response) => void open(response).write(":\n"),
    "drips comments": async (response) => {
      open(response);
      while (!response.closed) {
        response.write(":\n");
        await sleep(5);
      }
    },
    "ends early": (response) => void open(response).end(state("updating")),
    "breaks after an event": async (response) => {
      open(response).write(state("updating"));
      await sleep(20);
      response.destroy();
    },
    "sends garbage": (response) => void open(response).write("event: state\ndata: <html>\n\n"),
    "sends a line without end": (response) => void open(response).write("x".repeat(100_000)),
    "sends more than it can need": (response) => void open(response).write(state("updating").repeat(2_000)),
    "times out": (response) => void open(response).write("event: timeout\ndata: {}\n\n"),
    "says too early that all is done": (response) => {
      open(response).write(state("running"));
      response.write(state("running").replace("state", "complete"));
    },
    "says that the CVM is gone": (response) => void open(response).write('event: error\ndata: {"error":"gone"}\n\n'),
  };
  for (const [what, stream] of Object.entries(broken)) {
    it(`asks at intervals when the stream ${what}`, async () => {
      const front = await startFront(stream);
      front.atLook(5, () => void finishRollover());
      const { outcome, composeHash } = await run(front);
      expect(outcome).to.equal("updated");
      expect(composeHash).to.equal(world.cloud.readHistory(cvm.id).at(-1)?.composeHash);
      expect(front.looks()).to.be.at.least(5);
      expect(front.streams).to.have.lengthOf(1);
    });
  }

  it("waits for the CVM, even when the stream is wrong", async () => {
    const front = await startFront(async (response) => {
      open(response);
      for (const status of ["running", "updating", "stopped", "error", "running"]) {
        response.write(state(status));
        await sleep(10);
      }
    });
    front.atLook(5, () => void finishRollover());
    expect((await run(front)).outcome).to.equal("updated");
    expect(front.looks()).to.be.at.least(5);
  });

  it("updates on a cloud with slow answers", async () => {
    const front = await startFront((_, forward) => forward(), 100);
    front.atLook(1, () => void finishRollover());
    expect((await run(front)).outcome).to.equal("updated");
  });

  it("gives up in time on a CVM that stays busy, although the stream continues", async () => {
    const front = await startFront((_, forward) => forward());
    const timeouts = { rolloverMs: 400 };
    const error = await catchError(run(front, { timeouts }), RolloverTimeoutError);
    expect(error.context).to.include({ status: "updating" });
    expect(error.context.waitedMs).to.be.lessThan(4_000);
  });
});

async function forwardTo(baseUrl: string, request: ReceivedRequest, response: ServerResponse): Promise<void> {
  const { method, url, headers, body } = request;
  const closed = new AbortController();
  response.once("close", () => closed.abort());
  const names = ["accept", "content-type", "x-api-key", "x-phala-version", "x-compose-hash", "x-transaction-hash"];
  const kept = names.flatMap((name) => (typeof headers[name] === "string" ? [[name, headers[name]]] : []));
  const answer = await fetch(new URL(url, baseUrl), {
    method,
    headers: Object.fromEntries(kept),
    signal: closed.signal,
    ...(body === "" ? {} : { body }),
  });
  response.writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? "" });
  const pump = async () => {
    for await (const chunk of answer.body ?? []) response.write(chunk);
    response.end();
  };
  const pumped = pump().catch(() => response.destroy());
  if (headers.accept !== "text/event-stream") await pumped;
}
