import { type IncomingHttpHeaders, request as requestHttp } from "node:http";

/** A request with the headers that a browser sets and no page can change. */
export interface PageRequest {
  readonly what: string;
  readonly method?: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** What browsers send on behalf of pages that have no business with a server of this machine. @param host its own */
export function pageRequests(host: string): PageRequest[] {
  const port = host.split(":")[1] ?? "";
  const foreignHosts = [
    "evil.example",
    `evil.example:${port}`,
    `127.0.0.1.evil.example:${port}`,
    `localhost.evil.example:${port}`,
    `notlocalhost:${port}`,
    `2130706433:${port}`,
    `0x7f000001:${port}`,
    `127.1:${port}`,
    `user@127.0.0.1:${port}`,
    `127.0.0.1:${port}, evil.example`,
    `[::1%25eth0]:${port}`,
    `[evil.example]:${port}`,
    `xn--lcalhost-9za:${port}`,
    ":80",
  ];
  const foreignOrigins = [
    "null",
    "http://evil.example",
    `http://evil.example:${port}`,
    `https://${host}`,
    "http://127.0.0.1",
    `http://localhost:${port}`,
    `http://${host}.evil.example`,
    `http://${host}/`,
    `http://user@${host}`,
    "file://",
    "chrome-extension://abcdefgh",
    "",
  ];
  const sites = ["cross-site", "same-site", "cross-site, same-origin", "something-new"];
  return [
    ...foreignHosts.map((name) => ({ what: `the host "${name}"`, headers: { Host: name } })),
    // After rebinding a page is of the same origin as what it calls, by that name.
    {
      what: "a rebound page",
      headers: { Host: `evil.example:${port}`, Origin: `http://evil.example:${port}`, "Sec-Fetch-Site": "same-origin" },
    },
    ...foreignOrigins.map((origin) => ({ what: `the origin "${origin}"`, headers: { Host: host, Origin: origin } })),
    { what: "two origins", headers: { Host: host, Origin: [`http://${host}`, "http://evil.example"] } },
    ...sites.map((site) => ({ what: `Sec-Fetch-Site ${site}`, headers: { Host: host, "Sec-Fetch-Site": site } })),
    {
      what: "a frame",
      method: "GET",
      headers: { Host: host, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe" },
    },
    {
      what: "a form without an origin",
      method: "POST",
      headers: {
        Host: host,
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
      },
    },
    { what: "a preflight", method: "OPTIONS", headers: { Host: host, Origin: "http://evil.example" } },
  ];
}

export interface SendOptions {
  readonly method?: string | undefined;
  readonly headers?: PageRequest["headers"] | undefined;
  readonly body?: string | undefined;
}

/** Sends headers as they are, which `fetch` does not. */
export function send(url: string, { method = "GET", headers = {}, body }: SendOptions = {}): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    requestHttp(url, { method, headers, agent: false }, async (response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk);
      const { statusCode: status = 0, headers } = response;
      resolve({ status, headers, text: Buffer.concat(chunks).toString() });
    })
      .on("error", reject)
      .end(body);
  });
}
