import { request as httpRequest, type IncomingMessage } from "node:http";
import { startServer, type TestServer } from "../update/http-server.ts";

/** One false answer of the cloud. */
export interface Lie {
  readonly method?: string;
  /** Of the path below the API's prefix, without the query. */
  readonly path: RegExp;
  /** Lies only at this version of the API, as the client asks for it. */
  readonly apiVersion?: string;
  /** Number of true answers before it. @default 0 */
  readonly after?: number;
  /** Changes the body of a JSON answer with any status. */
  readonly tell: (truth: Body) => unknown;
}

// biome-ignore lint/suspicious/noExplicitAny: a lie may change anything in any answer
type Body = any;

export interface LyingCloud extends TestServer {
  /** The base URL in place of the real cloud's. */
  readonly baseUrl: string;
  /** How often each false answer was given, in the order of the lies. */
  readonly told: readonly number[];
}

/**
 * Stands in front of a real mock cloud and changes chosen answers: by method, path, version and occasion. Everything else
 * passes as it is. Record of what was asked: `received`.
 */
export async function startLyingCloud(baseUrl: string, lies: readonly Lie[]): Promise<LyingCloud> {
  const upstream = new URL(baseUrl);
  const asked = lies.map(() => 0);
  const told = lies.map(() => 0);
  const server = await startServer(async (response, { method, url, headers, body }) => {
    const answer = await forward(upstream, { method, url, headers, body });
    const path = new URL(url, upstream).pathname.slice(upstream.pathname.length);
    const index = lies.findIndex((lie, at) => {
      if ((lie.method ?? "GET") !== method || !lie.path.test(path)) return false;
      if (lie.apiVersion !== undefined && headers["x-phala-version"] !== lie.apiVersion) return false;
      asked[at] = (asked[at] ?? 0) + 1;
      return asked[at] > (lie.after ?? 0);
    });
    const lie = lies[index];
    const text = lie === undefined ? answer.text : JSON.stringify(lie.tell(JSON.parse(answer.text)));
    if (lie !== undefined) told[index] = (told[index] ?? 0) + 1;
    const { "content-length": _, "transfer-encoding": __, connection: ___, ...kept } = answer.headers;
    response.writeHead(answer.status, kept).end(text);
  });
  return { ...server, baseUrl: `${server.url}${upstream.pathname}`, told };
}

interface Forwarded {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

function forward(upstream: URL, { method, url, headers, body }: Forwarded) {
  return new Promise<{ status: number; headers: IncomingMessage["headers"]; text: string }>((resolve, reject) => {
    const { host: _, connection: __, "transfer-encoding": ___, ...kept } = headers;
    const outgoing = httpRequest(new URL(url, upstream.origin), { method, headers: kept }, async (incoming) => {
      const chunks: Buffer[] = [];
      for await (const chunk of incoming) chunks.push(chunk);
      const text = Buffer.concat(chunks).toString();
      resolve({ status: incoming.statusCode ?? 500, headers: incoming.headers, text });
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}
