import { setTimeout as sleep } from "node:timers/promises";
import { CloudProtocolError, CloudUnreachableError } from "../../errors/index.ts";
import { type ApiVersion, headerNames } from "../protocol.ts";
import type { CloudReply, CloudRequest } from "./exchange.ts";
import { parseJson } from "./parse-json.ts";
import { readBody } from "./read-body.ts";
import { causeWithout, redact } from "./redact.ts";
import { describeAnswer, refusalOf } from "./refusal.ts";
import { type Failure, parseRetryAfter, planRetry, type RetrySettings } from "./retry.ts";

export interface Transport {
  readonly baseUrl: string;
  readonly fetch: typeof fetch;
  readonly timeoutMs: number;
  readonly retry: RetrySettings;
  /** Never shown in an error, whoever wrote the text. */
  readonly secret: string;
}

type VersionedRequest = CloudRequest & { readonly apiVersion: ApiVersion };
type Attempt = { readonly reply: CloudReply } | { readonly failure: Failure; readonly error: Error };

/** @throws CloudUnreachableError, CloudProtocolError, CloudResponseError and its subclasses */
export async function sendRequest(request: VersionedRequest, transport: Transport): Promise<CloudReply> {
  for (let attempt = 1; ; attempt++) {
    const result = await attemptOnce(request, transport);
    if ("reply" in result) return result.reply;
    const { failure, error } = result;
    const pause = planRetry({ method: request.method, attempt, failure, random: Math.random() }, transport.retry);
    if (pause === undefined) throw error;
    await sleep(pause);
  }
}

async function attemptOnce(request: VersionedRequest, transport: Transport): Promise<Attempt> {
  const { method, path } = request;
  let response: Response;
  let text: string;
  try {
    response = await transport.fetch(transport.baseUrl + path, {
      method,
      headers: headersOf(request),
      // A followed redirect would hand the API key and the request to another address.
      redirect: "manual",
      signal: AbortSignal.timeout(transport.timeoutMs),
      ...bodyOf(request),
    });
    text = await readBody(response);
  } catch (error) {
    if (error instanceof RangeError) throw new CloudProtocolError(method, path, error.message);
    return {
      failure: { kind: "network" },
      error: new CloudUnreachableError(method, path, causeWithout(transport.secret, error)),
    };
  }
  const { status } = response;
  const requestId = redact(response.headers.get(headerNames.requestId) ?? "", transport.secret) || undefined;
  if (response.ok || request.alsoExpected?.includes(status)) {
    return { reply: { method, path, status, text, apiVersion: request.apiVersion, requestId } };
  }
  if (status >= 300 && status < 400) {
    throw new CloudProtocolError(method, path, `a redirect (${status}${targetOf(response, transport)})`);
  }
  const exchange = { method, path, status, correlationId: requestId };
  const answer = describeAnswer(exchange, parseJson(redact(text, transport.secret)));
  const retryAfterMs = parseRetryAfter(response.headers.get("retry-after"), Date.now());
  return {
    failure: { kind: "status", status, hasErrorCode: answer.errorCode !== undefined, retryAfterMs },
    error: refusalOf(answer),
  };
}

/** No more of a redirect's target than its origin: the rest is the other side's text. */
function targetOf({ headers }: Response, { baseUrl, secret }: Transport): string {
  const location = headers.get("location");
  const target = location === null ? null : URL.parse(location, baseUrl);
  return target?.host ? redact(` to ${target.protocol}//${target.host}`, secret) : "";
}

function headersOf({ headers, apiVersion, json, text }: VersionedRequest): Record<string, string> {
  const contentType = json === undefined ? text?.contentType : "application/json";
  return {
    accept: "application/json, text/*;q=0.9",
    ...(contentType === undefined ? {} : { "content-type": contentType }),
    [headerNames.apiVersion]: apiVersion,
    ...headers,
  };
}

function bodyOf({ json, text }: CloudRequest): { body?: string } {
  if (json !== undefined) return { body: JSON.stringify(json) };
  return text === undefined ? {} : { body: text.content };
}
