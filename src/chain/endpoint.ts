import { type HttpTransport, http } from "viem";

export interface HttpEndpointParameters {
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** For one request, from sending it to the last byte of the answer. @default 30_000 */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Returns viem's HTTP transport for an untrusted endpoint. It follows no redirect and ends a request whose answer does
 * not end. viem itself limits the time of the headers and the size of the body, but not the time of the body.
 */
export function httpEndpoint(
  url: string,
  { headers, timeoutMs = defaultTimeoutMs, signal }: HttpEndpointParameters = {},
): HttpTransport {
  return http(url, {
    fetchFn: (input, init) => fetchBounded(input, init ?? {}, timeoutMs),
    fetchOptions: { ...(headers && { headers }), signal: signal ?? null },
    // viem repeats a request that it timed out itself, so the user would wait four times as long.
    timeout: 0,
  });
}

export const defaultTimeoutMs = 30_000;
/** Longest pause an endpoint may ask for, in seconds. viem would otherwise wait as long as it says, even for hours. */
const longestPause = 30;

/**
 * Returns a redirect instead of following it. Following it would send the request again to an address that the endpoint
 * chose, with the API key in its headers and the transaction in its body. Drops the redirect's body, so that it cannot be
 * mistaken for an answer. Removes a Retry-After that is too long, so that the error is reported after the usual few
 * attempts.
 */
async function fetchBounded(input: string | URL | Request, init: RequestInit, timeoutMs: number): Promise<Response> {
  const response = await fetch(input, {
    ...init,
    redirect: "manual",
    signal: AbortSignal.any([...(init.signal ? [init.signal] : []), signalOfTimeout(timeoutMs)]),
  });
  const { status, statusText, body } = response;
  const headers = new Headers(response.headers);
  const pause = headers.get("retry-after");
  if (pause !== null && !(Number(pause) <= longestPause)) headers.delete("retry-after");
  if (!isRedirect(status)) return new Response(body, { status, statusText, headers });
  await body?.cancel();
  const location = headers.get("location");
  return new Response(null, { status, statusText, headers: location === null ? {} : { location } });
}

/** viem repeats a request after every error except one with this name. */
function signalOfTimeout(timeoutMs: number): AbortSignal {
  const controller = new AbortController();
  const end = () => controller.abort(new DOMException(`no complete answer within ${timeoutMs / 1000} s`, "AbortError"));
  setTimeout(end, timeoutMs).unref();
  return controller.signal;
}

/** Describes an HTTP error that is a redirect, with only the origin of its target. Undefined for other errors. */
export function describeRedirect(error: object): string | undefined {
  const { status, headers, url } = error as { status?: unknown; headers?: unknown; url?: unknown };
  if (typeof status !== "number" || !isRedirect(status)) return undefined;
  const location = headers instanceof Headers ? headers.get("location") : null;
  const base = typeof url === "string" ? url : undefined;
  const target = location === null ? null : URL.parse(location, base);
  const where = target?.host ? ` to ${target.protocol}//${target.host}` : "";
  return `HTTP ${status}, a redirect${where}, which is not followed`;
}

function isRedirect(status: number): boolean {
  return status >= 300 && status < 400;
}
