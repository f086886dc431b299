import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { expect } from "chai";
import { type CreateCloudClientParameters, createCloudClient } from "../../../../src/cloud/create-client.ts";
import { type WatchCvmStateParameters, watchCvmState } from "../../../../src/cloud/watch-cvm-state.ts";
import {
  CloudProtocolError,
  CloudResponseError,
  CloudUnreachableError,
  CvmNotFoundError,
  type DstackError,
} from "../../../../src/errors/index.ts";
import { catchError } from "../../../support/update/catch-error.ts";
import { type ReceivedRequest, sendJson, startServer, type TestServer } from "../../../support/update/http-server.ts";

const apiKey = "key-SECRET-of-the-tests";
const running = { name: "my-app", status: "running" };

function sendEvents(response: ServerResponse, ...events: readonly (readonly [event: string, data: unknown])[]): void {
  if (!response.headersSent) response.writeHead(200, { "content-type": "text/event-stream" });
  for (const [event, data] of events) response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}

describe("watchCvmState", () => {
  const servers: TestServer[] = [];
  afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())));

  async function serve(
    answer: (response: ServerResponse, request: ReceivedRequest) => void,
    settings: Partial<CreateCloudClientParameters> = {},
  ) {
    const server = await startServer(answer);
    servers.push(server);
    return { client: createCloudClient({ apiKey, baseUrl: server.url, ...settings }), server };
  }

  /** Reads the whole stream. Notes the statuses in `seen` as they come. */
  async function read(
    { client }: Awaited<ReturnType<typeof serve>>,
    parameters: Partial<WatchCvmStateParameters> = {},
    seen: string[] = [],
  ): Promise<string[]> {
    const watched = watchCvmState(client, { cvm: "my-app", target: "running", ...parameters });
    for await (const { status, bootError } of watched) seen.push(bootError === undefined ? status : bootError);
    return seen;
  }

  it("asks for a stream and yields each state until the target is reached", async () => {
    const served = await serve((response) => {
      sendEvents(response, ["state", { ...running, status: "updating" }], ["note", 1], ["state", running]);
      sendEvents(response, ["complete", running], ["state", { ...running, status: "too late" }]);
    });
    expect(await read(served, { timeoutMs: 60_000 })).to.deep.equal(["updating", "running", "running"]);
    const [request] = served.server.received;
    expect(request?.url).to.equal("/api/v1/cvms/my-app/state?target=running&interval=5&timeout=60");
    expect(request?.headers).to.include({ accept: "text/event-stream", "x-api-key": apiKey });
  });

  it("ends when the cloud ends the stream, with or without an event", async () => {
    for (const last of ["timeout", undefined]) {
      const served = await serve((response) => {
        sendEvents(response, ["state", running]);
        if (last === undefined) response.end();
        else sendEvents(response, [last, {}]);
      });
      expect(await read(served)).to.deep.equal(["running"]);
    }
  });

  it("closes the connection when the loop ends early, and when the signal is aborted", async () => {
    for (const isAborted of [true, false]) {
      const responses: ServerResponse[] = [];
      const { client } = await serve((response) => {
        responses.push(response);
        sendEvents(response, ["state", running]);
      });
      const reason = new Error("enough");
      const stopping = new AbortController();
      const watching = async () => {
        for await (const _ of watchCvmState(client, { cvm: "a", target: "stopped", signal: stopping.signal })) {
          if (!isAborted) return;
          stopping.abort(reason);
        }
      };
      if (isAborted) expect(await catchError(watching(), Error)).to.equal(reason);
      else await watching();
      const [response] = responses;
      if (response?.closed === false) await once(response, "close");
      expect(responses).to.have.lengthOf(1);
    }
  });

  const refusals: readonly [
    what: string,
    answer: (response: ServerResponse) => void,
    error: new (...args: never[]) => DstackError,
    problem?: RegExp,
  ][] = [
    ["404", (response) => sendJson(response, 404, { detail: "No such CVM" }), CvmNotFoundError],
    ["406", (response) => sendJson(response, 406, { detail: `no ${apiKey}` }), CloudResponseError],
    ["429", (response) => sendJson(response, 429, {}, { "retry-after": "5" }), CloudResponseError],
    ["503", (response) => sendJson(response, 503, {}), CloudResponseError],
    ["a redirect", (response) => response.writeHead(302, { location: "/elsewhere" }).end(), CloudProtocolError],
    ["plain JSON", (response) => sendJson(response, 200, running), CloudProtocolError, /no stream of events/],
    ["nothing", (response) => response.destroy(), CloudUnreachableError],
  ];
  for (const [what, answer, error, problem] of refusals) {
    it(`asks once, and reports it, when the cloud answers ${what}`, async () => {
      const served = await serve(answer);
      const refusal = await catchError(read(served), error);
      if (problem !== undefined) expect(refusal.message).to.match(problem);
      expect(refusal.message).to.not.include(apiKey);
      expect(served.server.received).to.have.lengthOf(1);
    });
  }

  const faults: readonly [
    what: string,
    events: (response: ServerResponse) => void,
    error: new (...args: never[]) => DstackError,
    problem: RegExp,
  ][] = [
    ["garbage", (response) => response.write("event: state\ndata: <html>\n\n"), CloudProtocolError, /not JSON/],
    ["another shape", (response) => sendEvents(response, ["state", { status: 7 }]), CloudProtocolError, /status/],
    ["an error", (response) => sendEvents(response, ["error", { error: apiKey }]), CloudProtocolError, /an error/],
    ["a line without end", (response) => response.write("x".repeat(100_000)), CloudProtocolError, /longer/],
    ["more than it can need", (response) => response.write(":\n".repeat(600_000)), CloudProtocolError, /longer/],
    ["a cut", (response) => response.destroy(), CloudUnreachableError, /did not answer/],
  ];
  for (const [what, send, error, problem] of faults) {
    it(`yields the states before ${what}, and then fails`, async () => {
      const served = await serve((response) => {
        sendEvents(response, ["state", running]);
        setTimeout(() => send(response), 20);
      });
      const seen: string[] = [];
      const fault = await catchError(read(served, {}, seen), error);
      expect(fault.message).to.match(problem);
      expect(fault.message).to.not.include(apiKey);
      expect(seen).to.deep.equal(["running"]);
    });
  }

  it("keeps the API key out of what it yields", async () => {
    const served = await serve((response) => {
      sendEvents(response, ["complete", { ...running, boot_error: `no ${apiKey}` }]);
    });
    expect(await read(served)).to.deep.equal(["no [api key]"]);
  });

  it("gives up on a cloud that does not answer, falls silent, or drips for ever", async () => {
    const timers: NodeJS.Timeout[] = [];
    const silent = await serve(() => {}, { timeoutMs: 50 });
    await catchError(read(silent), CloudUnreachableError);
    const slowRefusal = await serve((response) => response.writeHead(404).write("{"), { timeoutMs: 50 });
    await catchError(read(slowRefusal), CloudUnreachableError);
    const quiet = await serve((response) => sendEvents(response, ["state", running]));
    await catchError(read(quiet, { intervalMs: 20 }), CloudUnreachableError);
    const dripping = await serve((response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      timers.push(setInterval(() => response.write(":\n"), 5));
    });
    await catchError(read(dripping, { intervalMs: 50, timeoutMs: 100 }), CloudUnreachableError);
    for (const timer of timers) clearInterval(timer);
  });

  it("gives up in time with a fetch that ignores its signal", async () => {
    const deaf: typeof fetch = (input, init) => fetch(input, { ...init, signal: null });
    const quiet = await serve((response) => sendEvents(response, ["state", running]), { fetch: deaf });
    const seen: string[] = [];
    await catchError(read(quiet, { intervalMs: 20 }, seen), CloudUnreachableError);
    expect(seen).to.deep.equal(["running"]);
  });
});
