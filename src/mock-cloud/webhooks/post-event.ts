import type { Webhook, WebhookDelivery } from "../store/webhooks.ts";
import { signBody } from "./sign-body.ts";

const keptResponseBytes = 4096;

export interface PostedEvent {
  readonly isAccepted: boolean;
  readonly responseStatus: number | null;
  readonly responseBody: string | null;
  /** Why there is no answer. */
  readonly error: string | null;
}

/** Makes one attempt. Only 2xx accepts; redirects are answers like any other. Rejects only when `signal` aborts. */
export async function postEvent(
  webhook: Webhook,
  delivery: WebhookDelivery,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<PostedEvent> {
  // Receivers compare this with their own clock, which nobody advances.
  const timestamp = String(Math.floor(Date.now() / 1000));
  try {
    const response = await fetch(webhook.url, {
      method: "POST",
      redirect: "manual",
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      headers: {
        "Content-Type": "application/json",
        "User-Agent": "PhalaCloud-Webhook/1.0",
        "X-Webhook-Id": delivery.eventId,
        "X-Webhook-Event": delivery.event,
        "X-Webhook-Timestamp": timestamp,
        "X-Webhook-Signature": signBody(webhook.secret, timestamp, delivery.body),
      },
      body: delivery.body,
    });
    const responseBody = await readStart(response);
    return { isAccepted: response.ok, responseStatus: response.status, responseBody, error: null };
  } catch (error) {
    signal.throwIfAborted();
    return { isAccepted: false, responseStatus: null, responseBody: null, error: describe(error, timeoutMs) };
  }
}

async function readStart(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= keptResponseBytes) break; // ends the connection
  }
  return Buffer.concat(chunks).subarray(0, keptResponseBytes).toString("utf8");
}

function describe(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return `No answer within ${timeoutMs / 1000} seconds.`;
  const { cause } = error;
  return cause instanceof Error && "code" in cause ? `${error.message}: ${String(cause.code)}` : error.message;
}
