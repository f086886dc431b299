import { createHash } from "node:crypto";

/** What the store keeps of an API key. Keys are long and random, so a plain hash gives nothing away. */
export function hashApiKey(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}
