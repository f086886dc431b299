import { createHmac } from "node:crypto";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import type { Webhook, WebhookDelivery } from "../store/webhooks.ts";
import { ForbiddenTargetError, isForbiddenHost, lookupAllowed } from "./target-address.ts";

export interface PostEventOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Whether private and link-local addresses may be called. */
  readonly isPrivateAllowed: boolean;
}

export interface PostedEvent {
  readonly isAccepted: boolean;
  readonly responseStatus: number | null;
  /** Why the target gave no answer. */
  readonly error: string | null;
}

/**
 * Sends an event once. Only a 2xx status counts as accepted; a redirect is not followed. The rest of the answer is not
 * read: the URL can name any service on this machine, and not every holder of an API key may read that service's
 * content. Rejects only when `signal` aborts.
 */
export async function postEvent(
  webhook: Webhook,
  delivery: WebhookDelivery,
  { timeoutMs, signal, isPrivateAllowed }: PostEventOptions,
): Promise<PostedEvent> {
  // Real time, because receivers compare this with their own clock, which tests do not advance.
  const timestamp = String(Math.floor(Date.now() / 1000));
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const status = await post(new URL(webhook.url), delivery.body, {
      isPrivateAllowed,
      signal: AbortSignal.any([signal, timeout]),
      headers: {
        "Content-Type": "application/json",
        "User-Agent": "PhalaCloud-Webhook/1.0",
        "X-Webhook-Id": delivery.eventId,
        "X-Webhook-Event": delivery.event,
        "X-Webhook-Timestamp": timestamp,
        "X-Webhook-Signature": signBody(webhook.secret, timestamp, delivery.body),
      },
    });
    return { isAccepted: status >= 200 && status < 300, responseStatus: status, error: null };
  } catch (error) {
    signal.throwIfAborted();
    const problem = timeout.aborted ? `No answer within ${timeoutMs / 1000} seconds.` : describe(error);
    return { isAccepted: false, responseStatus: null, error: problem };
  }
}

interface PostOptions extends Pick<PostEventOptions, "signal" | "isPrivateAllowed"> {
  readonly headers: Readonly<Record<string, string | number>>;
}

/**
 * Uses Node's HTTP client, not `fetch`: it does not follow redirects, and it lets us check the address it connects to.
 * Settles on every outcome: the client emits neither `response` nor `error` when the target answers 101.
 */
function post(url: URL, body: string, { signal, isPrivateAllowed, headers }: PostOptions): Promise<number> {
  if (!isPrivateAllowed && isForbiddenHost(url.hostname)) throw new ForbiddenTargetError(url.hostname);
  const request = url.protocol === "https:" ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    request(url, {
      method: "POST",
      // A new connection for each request, so that a connection to another target's address is never reused.
      agent: false,
      signal,
      headers: { ...headers, "Content-Length": Buffer.byteLength(body) },
      ...(!isPrivateAllowed && { lookup: lookupAllowed }),
    })
      .once("response", (response) => {
        resolve(response.statusCode ?? 0);
        response.on("error", () => {}).destroy();
      })
      .once("upgrade", (response, socket) => {
        resolve(response.statusCode ?? 0);
        socket.on("error", () => {}).destroy();
      })
      .on("error", reject)
      .once("close", () => reject(new Error("The target closed the connection without an answer.")))
      .end(body);
  });
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message === "" && "code" in error ? String(error.code) : error.message;
}

/**
 * The value of `X-Webhook-Signature` for a body and a time.
 *
 * @param secret with its prefix `whsec_`
 * @param timestamp seconds since 1970, the value of `X-Webhook-Timestamp`
 */
export function signBody(secret: string, timestamp: string, body: string): string {
  return `sha256=${createHmac("sha256", secret).update(`${timestamp}.${body}`).digest("hex")}`;
}
