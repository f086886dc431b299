import type { IncomingMessage } from "node:http";
import { isIPv4, isIPv6 } from "node:net";
import type { FastifyInstance } from "fastify";
import { InvalidArgumentError } from "../../errors/index.ts";
import { ApiError } from "../errors.ts";

export interface PageGuardOptions {
  /** Host names that the server accepts besides loopback names and IP addresses, without a port. */
  readonly allowedHosts?: readonly string[] | undefined;
  /** Origins whose pages may call the server, such as `https://wallet.example`. */
  readonly allowedOrigins?: readonly string[] | undefined;
}

/** Tells a local server which requests come from a web page that may not use it. */
export interface PageGuard {
  /** Why the server refuses the request, in one sentence. Undefined if the request may pass. */
  refusalOf(request: IncomingMessage): string | undefined;
  /** The request's origin, if `allowedOrigins` contains it. */
  namedOriginOf(request: IncomingMessage): string | undefined;
}

/**
 * A browser runs on the user's machine, so every page it shows can reach loopback. Three headers tell a page's requests
 * from a program's. A page cannot set these headers:
 *
 * - `Host` is the page's own host name after DNS rebinding. Loopback names, IP addresses and `allowedHosts` pass.
 * - `Origin` is the page that sends the request. Requests without one, with the server's own origin or with one of
 *   `allowedOrigins` pass. `null` never passes.
 * - `Sec-Fetch-Site` shows that another site sends the request, if a GET has no `Origin`. Following a link is allowed.
 *
 * @throws InvalidArgumentError
 */
export function createPageGuard({ allowedHosts = [], allowedOrigins = [] }: PageGuardOptions): PageGuard {
  const hosts = new Set(parseAllowedHosts(allowedHosts));
  const origins = new Set(parseAllowedOrigins(allowedOrigins));

  const namedOriginOf = (request: IncomingMessage) => {
    const [origin, ...more] = valuesOf(request, "origin");
    return origin !== undefined && more.length === 0 && origins.has(origin.toLowerCase()) ? origin : undefined;
  };
  return {
    namedOriginOf,
    refusalOf: (request) => {
      const named = valuesOf(request, "host");
      if (named.length > 1) return "The request has more than one Host header.";
      const [host] = named;
      // Only HTTP/1.0 requests have no Host header. Every browser sends one.
      if (host !== undefined && !isServed(host, hosts)) return foreignHost;
      const target = authorityOf(request.url ?? "/");
      if (target !== undefined && !isServed(target, hosts)) return foreignHost;
      if (namedOriginOf(request) !== undefined) return undefined;
      // A server without a name has no origin of its own.
      const own = host === undefined ? undefined : `http://${host.toLowerCase()}`;
      if (valuesOf(request, "origin").some((origin) => origin.toLowerCase() !== own)) return foreignOrigin;
      return isFromAnotherSite(request) ? foreignOrigin : undefined;
    },
  };
}

/** Refuses pages before any other work. The header stops browsers from guessing the content type of an answer. */
export function registerPageGuard(app: FastifyInstance, guard: PageGuard): void {
  app.addHook("onRequest", async (request, reply) => {
    reply.header("X-Content-Type-Options", "nosniff");
    const refusal = guard.refusalOf(request.raw);
    if (refusal !== undefined) throw new ApiError(403, undefined, refusal);
  });
}

const foreignHost =
  "This server accepts only loopback names, IP addresses and the names that it was started with (--allowed-hosts).";
const foreignOrigin =
  "Web pages of other origins may not call this server, unless it was started with their origin (--allowed-origins).";

/**
 * @param parameter name of the option, for the error message
 * @throws InvalidArgumentError
 */
export function parseAllowedHosts(names: readonly string[], parameter = "allowedHosts"): string[] {
  return names.map((name) => {
    if (/^(?!-)[a-z0-9-]+(?:\.[a-z0-9-]+)*\.?$/i.test(name)) return normalName(name);
    throw new InvalidArgumentError(`${parameter} needs host names, without scheme, port or wildcard.`, {
      nextStep: "Give a name such as cloud.example.",
      context: { name },
    });
  });
}

/**
 * @param parameter name of the option, for the error message
 * @throws InvalidArgumentError
 */
export function parseAllowedOrigins(origins: readonly string[], parameter = "allowedOrigins"): string[] {
  return origins.map((origin) => {
    // Browser extensions, such as wallets, have origins with their own schemes.
    const [, scheme = "", authority = ""] = /^([a-z][a-z0-9+.-]*):\/\/([^\s/?#@,*]+)\/?$/i.exec(origin) ?? [];
    if (/^https?$/i.test(scheme) && URL.canParse(origin)) return new URL(origin).origin;
    if (authority !== "" && !/^https?$/i.test(scheme)) return `${scheme}://${authority}`.toLowerCase();
    throw new InvalidArgumentError(`${parameter} needs origins: a scheme and a host, without path or wildcard.`, {
      nextStep: "Give an origin such as https://wallet.example.",
      context: { origin },
    });
  });
}

/** Splits a comma-separated option. */
export function splitList(list: string | undefined): string[] {
  return (list ?? "").split(",").flatMap((entry) => entry.trim() || []);
}

/** Every value of a header, as sent. Node merges repeated headers, and the rule differs by header. */
function valuesOf({ rawHeaders }: IncomingMessage, name: string): string[] {
  return rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name);
}

/** The host of a request in absolute form. It takes precedence over the Host header. */
function authorityOf(url: string): string | undefined {
  return /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(url)?.[1];
}

function isServed(host: string, allowed: ReadonlySet<string>): boolean {
  const [, address, rawName = ""] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::\d{0,5})?$/.exec(host) ?? [];
  if (address !== undefined) return isIPv6(address) && !address.includes("%");
  const name = normalName(rawName);
  return isIPv4(name) || name === "localhost" || name.endsWith(".localhost") || allowed.has(name);
}

function normalName(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}

function isFromAnotherSite({ method, headers }: IncomingMessage): boolean {
  const site = headers["sec-fetch-site"];
  if (site === undefined || site === "same-origin" || site === "none") return false;
  // A person follows a link. Embedded content has another `Sec-Fetch-Dest`.
  const isLink = headers["sec-fetch-mode"] === "navigate" && headers["sec-fetch-dest"] === "document";
  return !(isLink && (method === "GET" || method === "HEAD"));
}
