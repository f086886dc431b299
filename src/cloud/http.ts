import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import { z } from "zod";
import { withRetry } from "../core/retry.ts";
import { createSecretCleaner, hideLikelySecrets, type SecretCleaner } from "../core/secrets.ts";
import { cleanText, findNetworkFailure, firstWords, mediaTypeOf, parseJson, readBody } from "../core/text.ts";
import {
  type CloudAnswer,
  CloudProtocolError,
  CloudResponseError,
  CloudUnreachableError,
  CvmBusyError,
  CvmNotFoundError,
  HashExpiredError,
  HashNotAllowedError,
  TransactionNotVerifiedError,
  UnauthorizedError,
} from "../errors/index.ts";
import { type ApiVersion, errorCodes, headerNames, statusCodes, validationErrorBodySchema } from "./protocol.ts";

export interface Transport {
  readonly baseUrl: string;
  readonly fetch: typeof fetch;
  readonly timeoutMs: number;
  readonly retry: RetrySettings;
  /** Knows the API key, which no error shows, even if the API's own text contains it. */
  readonly secrets: SecretCleaner;
}

/** A request with everything that the client adds. */
export type SentRequest = CloudRequest & { readonly apiVersion: ApiVersion };

/** Why an attempt failed, for the decision on a retry, and the error for the caller. */
interface FailedAttempt {
  readonly failure: Failure;
  readonly error: Error;
}

/** @throws CloudUnreachableError, CloudProtocolError, CloudResponseError and its subclasses */
export function sendRequest(request: SentRequest, client: Transport): Promise<CloudReply> {
  const transport = withSecrets(client, request.secrets);
  let failure: Failure | undefined;
  const pauseAfter = (error: unknown, attempt: number) => {
    const { method } = request;
    const pause = failure && planRetry({ method, attempt, failure, random: Math.random() }, transport.retry);
    if (pause === undefined) throw error;
    return pause;
  };
  return withRetry({ clock: { sleep: (milliseconds) => sleep(milliseconds) }, pauseAfter }, async () => {
    failure = undefined;
    const result = await attemptOnce(request, transport);
    if (!("error" in result)) return result;
    failure = result.failure;
    throw result.error;
  });
}

/** Also hides what only this request holds. */
function withSecrets(transport: Transport, values: readonly string[] | undefined): Transport {
  if (values === undefined) return transport;
  const own = createSecretCleaner([{ values }]);
  const { clean, cleanDeep } = transport.secrets;
  const secrets = {
    clean: (text: string) => own.clean(clean(text)),
    cleanDeep: (value: unknown) => own.cleanDeep(cleanDeep(value)),
  };
  return { ...transport, secrets };
}

async function attemptOnce(request: SentRequest, transport: Transport): Promise<CloudReply | FailedAttempt> {
  const { method, path } = request;
  const { clean } = transport.secrets;
  const timeout = AbortSignal.timeout(transport.timeoutMs);
  let response: Response;
  let text: string;
  try {
    [response, text] = await Promise.race([exchange(request, transport, timeout), whenAborted(timeout)]);
  } catch (error) {
    if (error instanceof RangeError) throw new CloudProtocolError(method, path, error.message);
    return {
      failure: { kind: timeout.aborted ? "timeout" : "network" },
      error: unreachable(request, transport, { error, isLate: timeout.aborted }),
    };
  }
  const { status } = response;
  const requestId = requestIdOf(response.headers, clean);
  if (response.ok || request.alsoExpected?.includes(status)) {
    const contentType = response.headers.get("content-type") ?? undefined;
    return { method, path, status, contentType, text, apiVersion: request.apiVersion, requestId, clean };
  }
  return describeRefusal(request, transport, response, text);
}

/** The error of a request without an answer, with its cause unless that shows a secret. */
export function unreachable(
  { method, path }: Pick<SentRequest, "method" | "path">,
  { secrets, timeoutMs }: Pick<Transport, "secrets" | "timeoutMs">,
  { error, isLate = false }: { readonly error: unknown; readonly isLate?: boolean },
): CloudUnreachableError {
  return new CloudUnreachableError(method, path, {
    ...causeWithout(secrets.clean, error),
    ...(isLate ? { timeoutMs } : { failure: findNetworkFailure(error) }),
  });
}

/** @throws CloudProtocolError for a redirect */
export function describeRefusal(
  { method, path }: SentRequest,
  transport: Transport,
  { status, headers }: Response,
  text: string,
): FailedAttempt {
  if (status >= 300 && status < 400) {
    throw new CloudProtocolError(method, path, `a redirect (${status}${targetOf(headers, transport)})`);
  }
  const { clean, cleanDeep } = transport.secrets;
  const correlationId = requestIdOf(headers, clean);
  // Parsed first: JSON may spell a key with escapes.
  const answer = describeAnswer({ method, path, status, correlationId }, cleanDeep(parseJson(text)), {
    contentType: headers.get("content-type") ?? undefined,
    words: () => firstWords(text, (said) => hideLikelySecrets(clean(said))),
  });
  const retryAfterMs = parseRetryAfter(headers.get("retry-after"), Date.now());
  return {
    failure: { kind: "status", status, hasErrorCode: answer.errorCode !== undefined, retryAfterMs },
    error: refusalOf(answer),
  };
}

function requestIdOf(headers: Headers, clean: SecretCleaner["clean"]): string | undefined {
  return clean(headers.get(headerNames.requestId) ?? "") || undefined;
}

async function exchange(
  request: SentRequest,
  transport: Transport,
  signal: AbortSignal,
): Promise<[response: Response, text: string]> {
  const response = await send(request, transport, signal);
  return [response, await readBody(response, maximumBodyBytes)];
}

export function send(request: SentRequest, { baseUrl, fetch }: Transport, signal: AbortSignal): Promise<Response> {
  return fetch(baseUrl + request.path, {
    method: request.method,
    headers: headersOf(request),
    // Following a redirect would send the API key and the request to another address.
    redirect: "manual",
    signal,
    ...bodyOf(request),
  });
}

/** A caller's own `fetch` may not listen to the signal. */
export function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/** Returns only the origin of a redirect's target: the rest is untrusted text. */
function targetOf(headers: Headers, { baseUrl, secrets }: Transport): string {
  const location = headers.get("location");
  const target = location === null ? null : URL.parse(location, baseUrl);
  return target?.host ? secrets.clean(` to ${target.protocol}//${target.host}`) : "";
}

function headersOf({ headers, apiVersion, json, text }: SentRequest): Record<string, string> {
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

const structuredSchema = z.looseObject({
  error_code: z.string().optional(),
  message: z.string().optional(),
  correlation_id: z.string().optional(),
  request_id: z.string().nullish(),
});

/** An answer that may be of another server than the API. */
interface PlainAnswer {
  readonly contentType: string | undefined;
  /** Its first words, cleaned. */
  readonly words: () => string;
}

/** Reads a refusal in any of the API's error shapes. A body in another shape is quoted, with its media type. */
export function describeAnswer(
  exchange: Pick<CloudAnswer, "method" | "path" | "status" | "correlationId">,
  body: unknown,
  plain?: PlainAnswer,
): CloudAnswer {
  const inner = z.looseObject({ detail: z.unknown() }).safeParse(body);
  const detail = inner.success ? inner.data.detail : undefined;
  const parsed = structuredSchema.safeParse(isObject(detail) ? detail : body);
  const { error_code, message, correlation_id, request_id } = parsed.success ? parsed.data : {};
  const said = message ?? (typeof detail === "string" ? detail : describeValidation(body));
  const contentType = said === undefined ? mediaTypeOf(plain?.contentType) : undefined;
  const quoted = said ?? ([contentType, plain?.words()].filter(Boolean).join(": ") || undefined);
  return {
    ...exchange,
    errorCode: error_code === undefined ? undefined : cleanText(error_code),
    apiMessage: quoted === undefined ? undefined : cleanText(quoted),
    ...(contentType !== undefined && { contentType }),
    // As the frameworks of the API and of most servers say it.
    ...(exchange.status === 404 &&
      error_code === undefined &&
      /^not found$/i.test(said ?? "not found") && { isUnknownPath: true }),
    correlationId: cleanText(correlation_id ?? request_id ?? exchange.correlationId ?? "") || undefined,
  };
}

/** Returns the specific error class for a refusal, so that callers can react to it. */
export function refusalOf(answer: CloudAnswer): CloudResponseError {
  switch (answer.status) {
    case 401:
    case 403:
      return new UnauthorizedError(answer);
    case 404:
      return isAboutCvm(answer) && !answer.isUnknownPath
        ? new CvmNotFoundError(answer)
        : new CloudResponseError(answer);
    case 409:
      return isConflictOfNames(answer) ? new CloudResponseError(answer) : new CvmBusyError(answer);
    case statusCodes.hashInvalidOrExpired:
      return new HashExpiredError(answer);
    case statusCodes.transactionNotVerified:
      return new TransactionNotVerifiedError(answer);
    case statusCodes.hashNotAllowed:
      return new HashNotAllowedError(answer);
    default:
      return new CloudResponseError(answer, isAmbiguous(answer) ? "Name one of them by its id, cvm_…" : undefined);
  }
}

function isAboutCvm({ path, errorCode }: CloudAnswer): boolean {
  return path.startsWith("/cvms/") && (errorCode === undefined || errorCode === errorCodes.cvmNotFound);
}

/** Replicas of an app may share their name. */
function isAmbiguous({ errorCode }: CloudAnswer): boolean {
  return errorCode === errorCodes.multipleCvmsSameName || errorCode === errorCodes.identifierMatchesSeveralCvms;
}

function isConflictOfNames({ errorCode }: CloudAnswer): boolean {
  return errorCode === errorCodes.duplicateCvmName || errorCode === errorCodes.cvmAppIdConflict;
}

function describeValidation(body: unknown): string | undefined {
  const parsed = validationErrorBodySchema.safeParse(body);
  if (!parsed.success) return undefined;
  return parsed.data.detail.map(({ loc, msg }) => `${loc.slice(1).join(".") || loc.join(".")}: ${msg}`).join("; ");
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export interface RetrySettings {
  /** Total number of attempts, including the first. */
  readonly attempts: number;
  /** Pause after the first failed attempt. Doubles after each further one. */
  readonly baseDelayMs: number;
  /** Longest pause. If a `Retry-After` asks for more, no further attempt is made. */
  readonly maxDelayMs: number;
}

export const defaultRetrySettings: RetrySettings = { attempts: 5, baseDelayMs: 500, maxDelayMs: 20_000 };

export type HttpMethod = "GET" | "POST" | "PATCH";

export type Failure =
  | { readonly kind: "network" | "timeout" }
  | {
      readonly kind: "status";
      readonly status: number;
      readonly hasErrorCode: boolean;
      /** Value of the `Retry-After` header, if present and valid. */
      readonly retryAfterMs: number | undefined;
    };

export interface RetryQuestion {
  readonly method: HttpMethod;
  /** 1 for the first. */
  readonly attempt: number;
  readonly failure: Failure;
  /** A random number in [0, 1). It spreads the retries of clients that failed at the same time. */
  readonly random: number;
}

/** Most attempts when the API is too slow: the user waits the whole timeout for each. */
const mostSlowAttempts = 2;

/** Returns the pause in ms before the next attempt, or `undefined` to give up. */
export function planRetry(failed: RetryQuestion, settings: RetrySettings): number | undefined {
  const attempts = failed.failure.kind === "timeout" ? mostSlowAttempts : settings.attempts;
  if (failed.attempt >= Math.min(attempts, settings.attempts) || !mayRepeat(failed.method, failed.failure))
    return undefined;
  const asked = failed.failure.kind === "status" ? failed.failure.retryAfterMs : undefined;
  if (asked !== undefined) return asked <= settings.maxDelayMs ? asked : undefined;
  const doubled = Math.min(settings.baseDelayMs * 2 ** (failed.attempt - 1), settings.maxDelayMs);
  return doubled * (0.5 + failed.random / 2);
}

function mayRepeat(method: HttpMethod, failure: Failure): boolean {
  const isLost = failure.kind !== "status";
  if (method === "GET") return isLost || [429, 502, 503, 504].includes(failure.status);
  // A change whose answer was lost may have happened. The answers below mean that it did not happen.
  if (isLost) return false;
  return (
    failure.status === 429 ||
    (failure.status === 409 && !failure.hasErrorCode) ||
    (failure.status === 503 && failure.retryAfterMs !== undefined)
  );
}

/** Returns the milliseconds that a `Retry-After` header asks for. The header has seconds or a date. */
export function parseRetryAfter(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const date = /^[A-Z][a-z]{2},/.test(header) ? Date.parse(header) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

export interface CloudRequest {
  readonly method: HttpMethod;
  /** Below the base URL, with encoded segments: see `apiPath`. */
  readonly path: string;
  readonly json?: unknown;
  /** A raw body; its type is `text/yaml` or `text/plain`. */
  readonly text?: { readonly contentType: string; readonly content: string } | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly apiVersion?: ApiVersion | undefined;
  /** Statuses other than 2xx that count as success, such as 465. */
  readonly alsoExpected?: readonly number[] | undefined;
  /** Values of the body that no error may show. */
  readonly secrets?: readonly string[] | undefined;
}

export interface CloudReply {
  readonly method: HttpMethod;
  readonly path: string;
  readonly status: number;
  /** Value of the Content-Type header. */
  readonly contentType: string | undefined;
  readonly text: string;
  readonly apiVersion: ApiVersion;
  /** Value of the X-Request-ID header. */
  readonly requestId: string | undefined;
  /** Removes the API key from text of this answer. */
  readonly clean: (text: string) => string;
}

/** Limit of an answer's body. The largest document in an answer is a 200 KiB compose file; this leaves ample room. */
export const maximumBodyBytes = 8 * 1024 * 1024;

/** Returns the error as a cause, or nothing if its text contains a secret. */
export function causeWithout(clean: (text: string) => string, error: unknown): { cause?: unknown } {
  const shown = inspect(error, { depth: 10, showHidden: true });
  return clean(shown) === shown ? { cause: error } : {};
}
