import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Answers one JSON-RPC call. What it throws may carry a numeric `code` and `data`, which the caller gets. */
export type AnswerRpc = (method: string, params: readonly unknown[]) => Promise<unknown>;

export interface RpcServer {
  readonly url: string;
  /** Ends open connections too: a client that keeps one alive must not keep the world alive. */
  close(): Promise<void>;
}

interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

const revertCode = 3;
const maximumBodyBytes = 8 * 1024 * 1024;
/** Wallets in a browser may call. There is nothing behind this server that is not public. */
const corsHeaders = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "POST, OPTIONS",
  "access-control-allow-headers": "*",
};

/**
 * JSON-RPC over HTTP on loopback, single calls and batches. Hardhat's own server is not used because it ends the
 * process when its port is taken and waits for its clients to hang up first.
 */
export async function serveRpc(answer: AnswerRpc, port: number): Promise<RpcServer> {
  const server = createServer((request, response) => void handle(answer, request, response));
  // Node's 5 s let clients reuse a connection just as it is being closed.
  server.keepAliveTimeout = 65_000;
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
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

async function handle(answer: AnswerRpc, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method === "OPTIONS") return void response.writeHead(204, corsHeaders).end();
  if (request.method !== "POST") return void response.writeHead(405, { allow: "POST, OPTIONS" }).end();
  const text = await readBody(request).catch(() => undefined);
  if (text === undefined) return void response.destroy();
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    return send(response, failure(null, { code: -32700, message: `Parse error: ${String(error)}` }));
  }
  const isBatch = Array.isArray(body) && body.length > 0;
  send(response, isBatch ? await Promise.all((body as unknown[]).map(call)) : await call(body));

  async function call(message: unknown): Promise<object> {
    const { id = null, method, params = [] } = Object(message) as Record<string, unknown>;
    if (typeof method !== "string" || !Array.isArray(params)) {
      return failure(id, { code: -32600, message: "Not a JSON-RPC call with a list of parameters." });
    }
    try {
      return { jsonrpc: "2.0", id, result: await answer(method, params) };
    } catch (error) {
      return failure(id, toRpcError(error));
    }
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maximumBodyBytes) throw new RangeError(`The body is larger than ${maximumBodyBytes} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function send(response: ServerResponse, body: object): void {
  response.writeHead(200, { ...corsHeaders, "content-type": "application/json" }).end(JSON.stringify(body));
}

function failure(id: unknown, error: RpcError): object {
  return { jsonrpc: "2.0", id, error };
}

/** Libraries look for a revert's bytes directly in `data`, as geth and anvil send them; Hardhat nests them. */
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
