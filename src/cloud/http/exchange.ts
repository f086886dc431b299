import type { ApiVersion } from "../protocol.ts";
import type { HttpMethod } from "./retry.ts";

export interface CloudRequest {
  readonly method: HttpMethod;
  /** Below the base URL, with encoded segments: see `apiPath`. */
  readonly path: string;
  readonly json?: unknown;
  /** A raw body; its type is `text/yaml` or `text/plain`. */
  readonly text?: { readonly contentType: string; readonly content: string } | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly apiVersion?: ApiVersion | undefined;
  /** Statuses beside 2xx that are answers here, such as 465. */
  readonly alsoExpected?: readonly number[] | undefined;
}

export interface CloudReply {
  readonly method: HttpMethod;
  readonly path: string;
  readonly status: number;
  readonly text: string;
  readonly apiVersion: ApiVersion;
  /** Of the X-Request-ID header. */
  readonly requestId: string | undefined;
}
