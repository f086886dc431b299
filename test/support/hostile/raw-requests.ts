import { connect } from "node:net";

/** Bytes as a hostile program of any kind sends them, made for one path of a server. */
export function rawRequests(path: string, host: string): string[] {
  const crlf = "\r\n";
  const head = (line: string, ...headers: string[]) => [line, `Host: ${host}`, ...headers, "", ""].join(crlf);
  const post = (body: string, ...headers: string[]) =>
    head(
      `POST ${path} HTTP/1.1`,
      "Content-Type: application/json",
      `Content-Length: ${Buffer.byteLength(body)}`,
      ...headers,
    ) + body;
  const methods = ["GET", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PUT", "DELETE", "PATCH", "PROPFIND", "QUERY", "BREW"];
  const paths = [
    path,
    "*",
    "",
    "//",
    "/..%2f..%2fetc/passwd",
    "/%",
    "/%00",
    "/%ff%fe",
    "/\u0001",
    `/${"a".repeat(70_000)}`,
    `${path}/${"%2e".repeat(4000)}`,
    `${path}?${"a=1&".repeat(3000)}`,
    "http://evil.example/",
    `http://${host}${path}`,
    "/__proto__",
    "/api/v1/cvms/__proto__",
    "/api/v1/cvms/constructor/state?interval=1e999",
    "/api/v1/cvms/%F0%9F%98%80",
    "/commit/x?token=",
    "/openapi.json/..",
  ];
  const ids = ["null", "true", "{}", "[]", "1e999", '"\\ud800"', deep(5000), `"${"x".repeat(100_000)}"`];
  const bodies = [
    "",
    "null",
    "0",
    "[]",
    "{}",
    "[[]]",
    '"x"',
    "{",
    "\u0000",
    "\ufeff{}",
    "NaN",
    deep(200_000),
    `{"a":`.repeat(50_000),
    `{"__proto__":{"method":"eth_chainId"}}`,
    `{"constructor":{"prototype":{}}}`,
    `{"method":"__proto__"}`,
    `{"method":"toString","params":[]}`,
    `{"method":"eth_call","params":{"__proto__":[]}}`,
    `{"method":"eth_call","params":[${deep(20_000)}]}`,
    `[${Array(2000).fill("1").join(",")}]`,
    `[${Array(40_000).fill('{"id":1,"method":"eth_chainId"}').join(",")}]`,
    ...ids.map((id) => `{"id":${id},"method":"eth_chainId"}`),
    ...ids.map((id) => `[{"id":${id},"method":${id}}]`),
  ];
  const types = [
    "",
    "text/plain",
    "multipart/form-data",
    "multipart/form-data; boundary=",
    "application/json; charset=utf-7",
    "application/x-www-form-urlencoded",
    `application/${"j".repeat(8000)}`,
    "\u00ff/\u00ff",
  ];
  return [
    ...methods.flatMap((method) => [
      head(`${method} ${path} HTTP/1.1`, "Content-Length: 0"),
      head(`${method} ${path} HTTP/1.0`),
    ]),
    ...paths.flatMap((target) => [
      head(`GET ${target} HTTP/1.1`),
      head(`POST ${target} HTTP/1.1`, "Content-Length: 0"),
    ]),
    ...bodies.map((body) => post(body)),
    ...types.map((type) => `${head(`POST ${path} HTTP/1.1`, `Content-Type: ${type}`, "Content-Length: 2")}{}`),
    // Framing that lies or never ends.
    `${head(`POST ${path} HTTP/1.1`, "Content-Type: application/json", "Content-Length: 1000")}{`,
    head(`POST ${path} HTTP/1.1`, "Content-Type: application/json", "Content-Length: -1"),
    head(`POST ${path} HTTP/1.1`, "Content-Type: application/json", "Content-Length: 99999999999999999999"),
    `${head(`POST ${path} HTTP/1.1`, "Content-Length: 2", "Content-Length: 3")}{}`,
    `${head(`POST ${path} HTTP/1.1`, "Content-Length: 2", "Transfer-Encoding: chunked")}{}`,
    `${head(`POST ${path} HTTP/1.1`, "Content-Type: application/json", "Transfer-Encoding: chunked")}zz${crlf}`,
    `${head(`POST ${path} HTTP/1.1`, "Content-Type: application/json", "Transfer-Encoding: chunked")}ffffffff${crlf}{`,
    head(`POST ${path} HTTP/1.1`, "Content-Type: application/json", "Transfer-Encoding: gzip, chunked"),
    head(`POST ${path} HTTP/1.1`, "Content-Type: application/json", "Content-Encoding: gzip", "Content-Length: 2") +
      "{}",
    head(`POST ${path} HTTP/1.1`, "Expect: 100-continue", "Content-Type: application/json", "Content-Length: 2"),
    head(`POST ${path} HTTP/1.1`, "Expect: a-miracle", "Content-Length: 0"),
    // Upgrades, headers and lines.
    head(
      `GET ${path} HTTP/1.1`,
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    ),
    head(
      `GET ${path} HTTP/1.1`,
      "Connection: Upgrade, HTTP2-Settings",
      "Upgrade: h2c",
      "HTTP2-Settings: AAMAAABkAAQAAP__",
    ),
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    head(`GET ${path} HTTP/1.1`, `X-Large: ${"x".repeat(70_000)}`),
    head(`GET ${path} HTTP/1.1`, ...Array<string>(3000).fill("X-Many: 1")),
    head(`GET ${path} HTTP/1.1`, "Host: evil.example"),
    head(
      `GET ${path} HTTP/1.1`,
      "X-API-Key: a",
      "X-API-Key: b",
      "X-Phala-Version: \u00e9",
      "Accept: text/event-stream",
    ),
    head(`GET ${path} HTTP/1.1`, "No colon here"),
    head(`GET ${path} HTTP/1.1`, " folded: header"),
    `GET ${path} HTTP/1.1${crlf}${crlf}`,
    `GET ${path}${crlf}${crlf}`,
    `GET ${path} HTTP/9.9${crlf}${crlf}`,
    `GET ${path} HTTP/1.1\nHost: ${host}\n\n`,
    "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003", // a TLS greeting
    "\u0000".repeat(5000),
    crlf.repeat(5000),
    "G",
    "",
    // Several at once, the last one cut off.
    `${post("{}").repeat(50)}POST`,
  ];
}

/** Sends bytes, hangs up at once, soon or once the server has nothing more to say, and never fails. */
export function sendRaw(url: string, bytes: string, hangUpAfterMs: number): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    let timer: NodeJS.Timeout | undefined;
    socket.on("connect", () => {
      socket.write(Buffer.from(bytes, "latin1"));
      timer = setTimeout(() => socket.destroy(), hangUpAfterMs);
    });
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks).toString("latin1"));
    });
  });
}

function deep(levels: number): string {
  return "[".repeat(levels) + "]".repeat(levels);
}
