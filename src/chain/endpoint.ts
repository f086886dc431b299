import { createTransport, type EIP1193RequestFn, HttpRequestError, type HttpTransport, RpcRequestError } from "viem";
import { type HttpAnswer, parseJson, problemOfBody, readBody } from "../core/text.ts";
import { EndpointFault, EndpointTimeout, isRedirect, isResultOf } from "./rpc-errors.ts";

export interface HttpEndpointParameters {
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** For one request, from sending it to the last byte of the answer. @default 30_000 */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Returns a viem transport for an untrusted endpoint. Unlike viem's own, it follows no redirect, ends a request whose
 * answer does not end, accepts only the JSON-RPC answer to the request, and keeps the HTTP answer that is none.
 */
export function httpEndpoint(
  url: string,
  { headers = {}, timeoutMs = defaultTimeoutMs, signal }: HttpEndpointParameters = {},
): HttpTransport {
  const endpoint = { ...splitCredentials(url, headers), timeoutMs };
  const request = (call: RpcCall, options?: { readonly signal?: AbortSignal | undefined }) =>
    post(endpoint, call, [signal, options?.signal]);
  return ({ retryCount }) =>
    createTransport(
      // Callers check each result.
      { key: "http", name: "HTTP JSON-RPC", type: "http", retryCount, request: request as EIP1193RequestFn },
      // Their secrets are removed from every text.
      { url, fetchOptions: { headers } },
    );
}

export const defaultTimeoutMs = 30_000;
/** Longest pause an endpoint may ask for, in seconds. viem would otherwise wait as long as it says, even for hours. */
const longestPause = 30;
/** As viem limits it, in bytes. */
const longestBody = 10_485_760;

interface Endpoint {
  readonly url: string;
  readonly headers: Headers;
  readonly timeoutMs: number;
}

/** `fetch` refuses a URL with credentials. */
function splitCredentials(raw: string, given: Readonly<Record<string, string>>): Pick<Endpoint, "url" | "headers"> {
  const url = new URL(raw);
  const { username, password } = url;
  const headers = new Headers({ "content-type": "application/json" });
  if (username !== "" || password !== "") {
    const words = [username, password].map(decodeURIComponent).join(":");
    headers.set("authorization", `Basic ${Buffer.from(words).toString("base64")}`);
  }
  for (const [name, value] of Object.entries(given)) headers.set(name, value);
  [url.username, url.password] = ["", ""];
  return { url: url.href, headers };
}

interface RpcRequest {
  readonly id: number;
  readonly method: string;
  readonly params?: readonly unknown[];
}

type RpcCall = Omit<RpcRequest, "id">;

let lastId = 0;

/** Sends one request, and returns the result of its answer. viem repeats it after most errors. */
async function post(endpoint: Endpoint, call: RpcCall, ending: readonly (AbortSignal | undefined)[]): Promise<unknown> {
  const { url, timeoutMs } = endpoint;
  const id = ++lastId;
  const body = { jsonrpc: "2.0", id, ...call };
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(new EndpointTimeout(timeoutMs)), timeoutMs).unref();
  const signal = AbortSignal.any([timeout.signal, ...ending.filter((one) => one !== undefined)]);
  let answer: HttpAnswer & { readonly headers: Headers };
  try {
    answer = await exchange(endpoint, JSON.stringify(body), signal);
  } catch (error) {
    signal.throwIfAborted();
    const cause = error instanceof RangeError ? new EndpointFault("ResponseBodyTooLargeError", error.message) : error;
    throw new HttpRequestError({ url, body, cause: cause instanceof Error ? cause : new Error(String(cause)) });
  } finally {
    clearTimeout(timer);
  }
  const { status, headers, body: text } = answer;
  const parsed = parseJson(text);
  const fault = faultIn(parsed);
  const refusal = fault && new RpcRequestError({ body, url, error: fault });
  if (status < 200 || status >= 300)
    throw new HttpRequestError({ url, body, status, headers, details: text, ...(refusal && { cause: refusal }) });
  if (refusal !== undefined) throw refusal;
  const problem = parsed === undefined ? problemOfBody(text, "JSON-RPC") : problemOfAnswer(parsed, body);
  if (problem === undefined) return Reflect.get(Object(parsed), "result");
  throw new HttpRequestError({ url, body, cause: new EndpointFault("UnusableAnswer", problem, answer) });
}

/**
 * Returns a redirect without following it. Following it would send the request again to an address that the endpoint
 * chose, with the API key in its headers and the transaction in its body. Drops the redirect's body, so that it cannot be
 * mistaken for an answer. Removes a Retry-After that is too long, so that the error is reported after the usual few
 * attempts.
 */
async function exchange({ url, headers: sent }: Endpoint, body: string, signal: AbortSignal) {
  const response = await fetch(url, { method: "POST", headers: sent, body, redirect: "manual", signal });
  const { status } = response;
  const headers = new Headers(response.headers);
  const pause = headers.get("retry-after");
  if (pause !== null && !(Number(pause) <= longestPause)) headers.delete("retry-after");
  const contentType = headers.get("content-type") ?? undefined;
  if (!isRedirect(status)) return { status, headers, contentType, body: await readBody(response, longestBody) };
  await response.body?.cancel();
  const location = headers.get("location");
  return { status, headers: new Headers(location === null ? {} : { location }), contentType: undefined, body: "" };
}

function faultIn(answer: unknown): { code: number; message: string; data?: unknown } | undefined {
  const { error } = Object(answer) as { readonly error?: unknown };
  const { code, message, data } = Object(error) as Readonly<Record<string, unknown>>;
  return typeof code === "number" && typeof message === "string" ? { code, message, data } : undefined;
}

function problemOfAnswer(answer: unknown, { id, method, params }: RpcRequest): string | undefined {
  if (typeof answer !== "object" || answer === null || !("result" in answer)) return "JSON, but not JSON-RPC";
  if (Reflect.get(answer, "id") !== id) return "the answer to another request";
  return isResultOf(method, answer.result, params) ? undefined : `no result of ${method}`;
}
