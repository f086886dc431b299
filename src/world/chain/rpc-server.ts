import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createTransport, type EIP1193RequestFn, RpcRequestError, type Transport } from "viem";
import { createPageGuard, type PageGuard, type PageGuardOptions } from "../../mock-cloud/http/page-guard.ts";

/** Answers one JSON-RPC call. Its errors may have a numeric `code` and `data`, which are sent to the caller. */
export type AnswerRpc = (method: string, params: readonly unknown[]) => Promise<unknown>;

export interface RpcServer {
  readonly url: string;
  /** Also closes open connections, because a client that keeps one alive must not keep the process alive. */
  close(): Promise<void>;
}

interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

const revertCode = 3;
const maximumBodyBytes = 8 * 1024 * 1024;
/** The limit of go-ethereum, and the largest batch that viem sends by default. */
const maximumBatch = 1000;
/** Calls of a batch that run in parallel. In a fork, each may wait for the upstream endpoint. */
const callsAtOnce = 20;
/** Limit for all answers of one batch. */
const maximumAnswerBytes = 32 * 1024 * 1024;
/** Levels of lists and objects. EDR and JSON.stringify fail on thousands of them. */
const maximumDepth = 64;
/** A page may send other content types to another origin without a preflight, so only these are accepted. */
const jsonTypes = /^application\/(?:json|json-rpc|jsonrequest)\s*(?:;|$)/i;

/**
 * Serves JSON-RPC over HTTP on loopback, for single calls and batches. Hardhat's own server is not used, because it
 * ends the process when its port is taken, and at its close it waits for its clients to disconnect.
 *
 * @throws InvalidArgumentError
 */
export async function serveRpc(answer: AnswerRpc, port: number, options: PageGuardOptions = {}): Promise<RpcServer> {
  const guard = createPageGuard(options);
  const limits = { requestTimeout: 30_000, headersTimeout: 10_000, connectionsCheckingInterval: 5_000 };
  const server = createServer(limits, (request, response) => {
    handle({ answer, guard, request, response }).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else send(response, 500, failure(null, toRpcError(error)));
    });
  });
  // With Node's 5 s, clients may reuse a connection at the moment it closes.
  server.keepAliveTimeout = 65_000;
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  // A failing accept(), for example without free file descriptors, ends the process unless a listener handles it.
  server.on("error", () => {});
  const { port: listeningOn } = server.address() as AddressInfo; // listening on TCP
  return {
    url: `http://127.0.0.1:${listeningOn}`,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()));
        server.closeAllConnections();
      }),
  };
}

/**
 * The chain for clients of the same process: each call is answered as `serveRpc` answers it, without HTTP.
 *
 * @param url where the chain is served; viem's errors name it
 */
export function inProcessTransport(answer: AnswerRpc, url: string): Transport {
  const request = async ({ method, params = [] }: { method: string; params?: readonly unknown[] }) => {
    try {
      return await answer(method, params);
    } catch (error) {
      throw new RpcRequestError({ body: { method, params }, error: toRpcError(error), url });
    }
  };
  return () =>
    createTransport(
      {
        key: "in-process",
        name: "In process",
        type: "in-process",
        retryCount: 0,
        request: request as EIP1193RequestFn,
      },
      { url },
    );
}

interface Exchange {
  readonly answer: AnswerRpc;
  readonly guard: PageGuard;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

async function handle({ answer, guard, request, response }: Exchange): Promise<void> {
  const refuse = (status: number, message: string) => {
    // The server does not wait for the rest of the request.
    response.setHeader("connection", "close");
    send(response, status, failure(null, { code: -32600, message }));
  };
  response.setHeader("x-content-type-options", "nosniff");
  const refusal = guard.refusalOf(request);
  if (refusal !== undefined) return refuse(403, refusal);
  const origin = guard.namedOriginOf(request);
  if (origin !== undefined) {
    response.setHeader("access-control-allow-origin", origin);
    response.setHeader("vary", "origin");
  }
  if (request.method === "OPTIONS") return preflight(response, origin !== undefined);
  if (request.method !== "POST") {
    response.setHeader("allow", "POST, OPTIONS");
    return refuse(405, "Send JSON-RPC calls by POST.");
  }
  if (!jsonTypes.test(request.headers["content-type"] ?? "")) {
    return refuse(415, "JSON-RPC calls need the content type application/json.");
  }
  const text = await readBody(request);
  if (text === undefined) return refuse(413, `A request has at most ${maximumBodyBytes} bytes.`);
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    return send(response, 200, failure(null, { code: -32700, message: `Parse error: ${String(error)}` }));
  }
  if (!Array.isArray(body) || body.length === 0) return sendText(response, 200, await answerCall(answer, body));
  if (body.length > maximumBatch) {
    const message = `A batch has at most ${maximumBatch} calls, this one ${body.length}.`;
    return send(response, 200, failure(null, { code: -32600, message }));
  }
  sendText(response, 200, await answerBatch(answer, body, response));
}

function preflight(response: ServerResponse, isNamed: boolean): void {
  const allowed = { "access-control-allow-methods": "POST", "access-control-allow-headers": "content-type" };
  response.writeHead(204, { allow: "POST, OPTIONS", ...(isNamed && allowed) }).end();
}

async function answerBatch(answer: AnswerRpc, calls: readonly unknown[], response: ServerResponse): Promise<string> {
  const texts: string[] = [];
  let bytes = 0;
  for (let start = 0; start < calls.length && !response.destroyed; start += callsAtOnce) {
    const isFull = bytes > maximumAnswerBytes;
    const next = calls
      .slice(start, start + callsAtOnce)
      .map((call) => (isFull ? tooLarge(call) : answerCall(answer, call)));
    for (const text of await Promise.all(next)) {
      bytes += text.length;
      texts.push(text);
    }
  }
  return `[${texts.join(",")}]`;
}

function tooLarge(call: unknown): string {
  const message = `The answers to a batch have at most ${maximumAnswerBytes} bytes.`;
  return JSON.stringify(failure(idOf(call), { code: -32003, message }));
}

/** Returns the answer as JSON text, for valid and invalid calls, for results and errors. */
async function answerCall(answer: AnswerRpc, call: unknown): Promise<string> {
  const id = idOf(call);
  const { method, params = [] } = Object(call) as Record<string, unknown>;
  if (typeof method !== "string" || !Array.isArray(params)) {
    const message = "Not a JSON-RPC call with a list of parameters.";
    return JSON.stringify(failure(id, { code: -32600, message }));
  }
  if (isDeeperThan(maximumDepth, params)) {
    const message = `The parameters of a call have at most ${maximumDepth} levels.`;
    return JSON.stringify(failure(id, { code: -32602, message }));
  }
  try {
    return JSON.stringify({ jsonrpc: "2.0", id, result: await answer(method, params) });
  } catch (error) {
    return JSON.stringify(failure(id, toRpcError(error)));
  }
}

function isDeeperThan(depth: number, value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return depth === 0 || Object.values(value).some((child) => isDeeperThan(depth - 1, child));
}

/** Repeats only a valid id. JSON.stringify would fail on a document with thousands of levels. */
function idOf(call: unknown): string | number | null {
  const { id } = Object(call) as Record<string, unknown>;
  return typeof id === "string" || typeof id === "number" ? id : null;
}

/** Undefined if the body is too large. Rejects when the client disconnects. */
function readBody(request: IncomingMessage): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= maximumBodyBytes) return chunks.push(chunk);
      // The rest is read and dropped, so that the client can receive the answer.
      chunks.length = 0;
      resolve(undefined);
    });
    request.on("end", () => resolve(Buffer.concat(chunks).toString("utf8")));
    request.on("error", reject);
    request.on("close", () => reject(new Error("The client disconnected.")));
  });
}

function send(response: ServerResponse, status: number, body: object): void {
  sendText(response, status, JSON.stringify(body));
}

function sendText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "application/json" }).end(text);
}

function failure(id: string | number | null, error: RpcError): object {
  return { jsonrpc: "2.0", id, error };
}

/** Libraries expect a revert's bytes directly in `data`, as geth and anvil send them. Hardhat nests them. */
function toRpcError(error: unknown): RpcError {
  const { code, message, data } = Object(error) as Record<string, unknown>;
  const nested = Object(data) as Record<string, unknown>;
  const details = code === revertCode && typeof nested.data === "string" ? nested.data : data;
  return {
    code: typeof code === "number" ? code : -32603,
    message: typeof message === "string" ? message : String(error),
    ...(details !== undefined && { data: details }),
  };
}
