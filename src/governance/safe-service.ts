import { setTimeout as sleep } from "node:timers/promises";
import {
  defaultRetrySettings,
  type Failure,
  parseRetryAfter,
  planRetry,
  type RetrySettings,
  whenAborted,
} from "../cloud/http.ts";
import { withRetry } from "../core/retry.ts";
import { createSecretCleaner, hideLikelySecrets } from "../core/secrets.ts";
import { describeHttpAnswer, findNetworkFailure, parseJson, problemOfBody, readBody } from "../core/text.ts";
import { InvalidArgumentError, SafeServiceError, SafeServiceUnreachableError } from "../errors/index.ts";

/** A hundred transactions with the calls of a large batch have less. */
const longestBody = 16 * 1024 * 1024;

export interface CreateSafeServiceParameters {
  /** Address of the service for one chain, such as `https://api.safe.global/tx-service/base`. It may end in /api. */
  readonly url: string;
  /** Sent to this address alone. @default none */
  readonly apiKey?: string | undefined;
  /** Timeout of one attempt, including the body. @default 30_000 */
  readonly timeoutMs?: number | undefined;
  readonly retry?: Partial<RetrySettings> | undefined;
}

export interface SafeServiceRequest {
  readonly method: "GET" | "POST";
  /** Below the address, with a slash at its end. */
  readonly path: string;
  readonly json?: unknown;
}

/** A Safe transaction service. It is not trusted: the actions that use it check each answer. */
export interface SafeService {
  /** Names the service in texts. */
  readonly host: string;
  /**
   * Sends one request and repeats it if it fails. Each request of this API can be repeated: the service keeps one
   * transaction per hash, and one confirmation per owner. Returns the parsed JSON; undefined for an empty body.
   *
   * @throws SafeServiceUnreachableError, SafeServiceError
   */
  request(request: SafeServiceRequest): Promise<unknown>;
}

/**
 * Creates a client of a Safe transaction service. It follows no redirect, because that would send the API key to
 * another address.
 *
 * @throws InvalidArgumentError if the address or the key cannot be one, or the key would be sent without TLS
 */
export function createSafeService(parameters: CreateSafeServiceParameters): SafeService {
  const { timeoutMs = 30_000 } = parameters;
  const { base, host } = parseServiceUrl(parameters.url);
  const apiKey = parseKey(parameters.apiKey, base);
  const retry = { ...defaultRetrySettings, ...parameters.retry };
  const cleaner = createSecretCleaner([{ values: apiKey === undefined ? [] : [apiKey] }], "[api key]");
  const clean = (text: string) => hideLikelySecrets(cleaner.clean(text));

  async function attempt({ method, path, json }: SafeServiceRequest): Promise<Attempt> {
    const timeout = AbortSignal.timeout(timeoutMs);
    const exchange = async (): Promise<[response: Response, body: string]> => {
      const response = await fetch(base + path, {
        method,
        headers: {
          accept: "application/json",
          ...(json !== undefined && { "content-type": "application/json" }),
          ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
        },
        redirect: "manual",
        signal: timeout,
        ...(json !== undefined && { body: JSON.stringify(json) }),
      });
      return [response, await readBody(response, longestBody)];
    };
    const told = (status: number, words: string) => new SafeServiceError({ host, method, path, status, words });
    let response: Response;
    let body: string;
    try {
      [response, body] = await Promise.race([exchange(), whenAborted(timeout)]);
    } catch (error) {
      if (error instanceof RangeError) throw told(200, error.message);
      const isLate = timeout.aborted;
      return {
        failure: { kind: isLate ? "timeout" : "network" },
        error: new SafeServiceUnreachableError(host, isLate ? { timeoutMs } : { failure: findNetworkFailure(error) }),
      };
    }
    const { status, headers } = response;
    const contentType = headers.get("content-type") ?? undefined;
    const words = (problem?: string) => describeHttpAnswer({ status, contentType, body: saidIn(body) }, clean, problem);
    if (status >= 300 && status < 400) throw told(status, `HTTP ${status}, a redirect, which is not followed`);
    if (!response.ok) {
      const retryAfterMs = parseRetryAfter(headers.get("retry-after"), Date.now());
      return { failure: { kind: "status", status, hasErrorCode: false, retryAfterMs }, error: told(status, words()) };
    }
    if (body.trim() === "") return { answer: undefined };
    const answer = parseJson(body);
    if (answer === undefined) throw told(status, words(problemOfBody(body, "JSON")));
    return { answer };
  }

  return Object.freeze({
    host,
    request: (request: SafeServiceRequest) => {
      let failure: Failure | undefined;
      const pauseAfter = (error: unknown, tries: number) => {
        const question = failure && { method: "GET" as const, attempt: tries, failure, random: Math.random() };
        const pause = question && planRetry(question, retry);
        if (pause === undefined) throw error;
        return pause;
      };
      return withRetry({ clock: { sleep: (milliseconds) => sleep(milliseconds) }, pauseAfter }, async () => {
        failure = undefined;
        const result = await attempt(request);
        if (!("error" in result)) return result.answer;
        failure = result.failure;
        throw result.error;
      });
    },
  });
}

/** The service names each wrong field, with a list of what is wrong with it. Other bodies are returned as they are. */
function saidIn(body: string): string {
  const parsed = parseJson(body);
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return body;
  const said = Object.entries(parsed).flatMap(([field, value]) => {
    const texts = (Array.isArray(value) ? value : []).filter((text) => typeof text === "string");
    return texts.map((text) => (field === "nonFieldErrors" ? text : `${field}: ${text}`));
  });
  return said.length === 0 ? body : said.join("; ");
}

type Attempt = { readonly answer: unknown } | { readonly failure: Failure; readonly error: Error };

function parseServiceUrl(raw: string): { readonly base: string; readonly host: string } {
  const url = URL.canParse(raw) ? new URL(raw) : undefined;
  const isHttp = url?.protocol === "https:" || url?.protocol === "http:";
  if (!isHttp || url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw new InvalidArgumentError(
      "The Safe transaction service must be an http(s) URL without credentials, query and fragment.",
      { nextStep: "Give an address such as https://api.safe.global/tx-service/base. The API key has its own setting." },
    );
  }
  const path = url.pathname.replace(/\/+$/, "");
  return { base: url.origin + (path.endsWith("/api") ? path : `${path}/api`), host: url.host };
}

function parseKey(raw = "", base: string): string | undefined {
  const apiKey = raw.trim();
  if (!/^[\x21-\x7e]*$/.test(apiKey)) {
    throw new InvalidArgumentError(
      "The API key of the Safe transaction service must be printable ASCII without spaces.",
      {
        nextStep: "Copy the key again, whole.",
      },
    );
  }
  const { protocol, hostname } = new URL(base);
  if (apiKey !== "" && protocol === "http:" && !/^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)) {
    throw new InvalidArgumentError("The API key of the Safe transaction service would be sent without TLS.", {
      nextStep: "Give the service's https address.",
    });
  }
  return apiKey || undefined;
}
