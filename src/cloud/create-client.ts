import { createHmac } from "node:crypto";
import { createSecretCleaner } from "../core/secrets.ts";
import { InvalidArgumentError } from "../errors/index.ts";
import { type CloudStream, type CloudStreamRequest, openStream } from "./event-stream.ts";
import { type CloudReply, type CloudRequest, defaultRetrySettings, type RetrySettings, sendRequest } from "./http.ts";
import { type ApiVersion, apiBasePath, headerNames } from "./protocol.ts";

export type { CloudStream, CloudStreamRequest, ServerSentEvent } from "./event-stream.ts";
export type { CloudReply, CloudRequest } from "./http.ts";

export interface CreateCloudClientParameters {
  readonly apiKey: string;
  /** Address of the API, such as `https://cloud-api.phala.com/api/v1`. `/api/v1` is added to a plain origin. */
  readonly baseUrl: string;
  /** API version of requests whose action does not need a specific one. @default "2026-01-21" */
  readonly apiVersion?: ApiVersion | undefined;
  /** @default globalThis.fetch */
  readonly fetch?: typeof fetch | undefined;
  /** Timeout of one attempt, including the body. @default 30_000 */
  readonly timeoutMs?: number | undefined;
  readonly retry?: Partial<RetrySettings> | undefined;
}

/**
 * First parameter of every cloud action. The API key is stored in a closure, so that printing the client never shows
 * it.
 */
export interface CloudClient {
  readonly baseUrl: string;
  readonly apiVersion: ApiVersion;
  /** How often and how soon it repeats a request. */
  readonly retry: RetrySettings;
  /**
   * Sends one request and repeats it if that is safe. Returns answers with status 2xx or one of `alsoExpected`.
   *
   * @throws CloudUnreachableError, CloudProtocolError, CloudResponseError and its subclasses
   */
  request(request: CloudRequest): Promise<CloudReply>;
  /**
   * Opens a stream of server-sent events, once.
   *
   * @throws CloudUnreachableError, CloudProtocolError, CloudResponseError and its subclasses
   */
  stream(request: CloudStreamRequest): Promise<CloudStream>;
  /**
   * Returns a keyed digest of a text (HMAC-SHA256 with the API key, 64 hex digits). It recognises the same text later,
   * but a reader without the key cannot test guesses against it.
   */
  fingerprint(text: string): string;
}

/**
 * Creates a client of the cloud's API.
 *
 * @throws InvalidArgumentError if the API key or the address cannot be one
 *
 * @example
 * import { createCloudClient } from "dstack-toolkit/cloud";
 * const cloud = createCloudClient({
 *   baseUrl: "https://cloud-api.phala.com/api/v1",
 *   apiKey: process.env.PHALA_CLOUD_API_KEY ?? "",
 * });
 */
export function createCloudClient(parameters: CreateCloudClientParameters): CloudClient {
  const { apiVersion = "2026-01-21", timeoutMs = 30_000, fetch = globalThis.fetch } = parameters;
  const apiKey = parseApiKey(parameters.apiKey);
  const baseUrl = parseBaseUrl(parameters.baseUrl);
  const retry = { ...defaultRetrySettings, ...parameters.retry };
  const secrets = createSecretCleaner([{ values: [apiKey] }], "[api key]");
  const transport = { baseUrl, fetch, timeoutMs, retry, secrets };
  const added = { [headerNames.apiKey]: apiKey };
  return Object.freeze({
    baseUrl,
    apiVersion,
    retry,
    request: (request: CloudRequest) => {
      const headers = { ...request.headers, ...added };
      return sendRequest({ ...request, apiVersion: request.apiVersion ?? apiVersion, headers }, transport);
    },
    stream: (request: CloudStreamRequest) => openStream({ ...request, apiVersion, headers: added }, transport),
    fingerprint: (text: string) => createHmac("sha256", apiKey).update(text).digest("hex"),
  });
}

/** Rejects other characters, because fetch would throw an error that quotes the header's value. */
function parseApiKey(raw: string): string {
  const apiKey = raw.trim();
  if (!/^[\x21-\x7e]+$/.test(apiKey)) {
    throw new InvalidArgumentError("The API key must be printable ASCII without spaces.", {
      nextStep: "Copy the key again, whole.",
    });
  }
  return apiKey;
}

function parseBaseUrl(raw: string): string {
  const url = URL.canParse(raw) ? new URL(raw) : undefined;
  const isHttp = url?.protocol === "https:" || url?.protocol === "http:";
  if (!isHttp || url.username !== "" || url.search !== "" || url.hash !== "") {
    throw new InvalidArgumentError("The API address must be an http(s) URL without credentials, query and fragment.", {
      nextStep: "Give an address such as https://cloud-api.phala.com/api/v1.",
    });
  }
  const path = url.pathname.replace(/\/+$/, "");
  return url.origin + (path === "" ? apiBasePath : path);
}
