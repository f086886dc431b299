import { createHmac } from "node:crypto";

/**
 * What `X-Webhook-Signature` says of a body sent at a time.
 *
 * @param secret with its prefix `whsec_`
 * @param timestamp seconds since 1970, as `X-Webhook-Timestamp` says it
 */
export function signBody(secret: string, timestamp: string, body: string): string {
  return `sha256=${createHmac("sha256", secret).update(`${timestamp}.${body}`).digest("hex")}`;
}
