import { createHash } from "node:crypto";
import type { AppCompose } from "./app-compose.ts";
import { type ComposeHash, parseComposeHash } from "./ids.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "./json.ts";
import { compareAsJavaScript } from "./key-order.ts";
import { normaliseAppCompose } from "./normalise-app-compose.ts";

/**
 * The canonical text of a manifest, the one form this package writes: normalised, keys sorted at every depth, four
 * spaces of indentation, no space after a colon. The platform's SDK writes the same for every document in which no
 * string, as JSON writes it, holds `": `; from such strings the SDK drops the space, so two documents can share a hash.
 */
export function writeAppCompose(document: AppCompose): string {
  return write(normaliseAppCompose(document), "\n");
}

/** SHA-256 of exactly these bytes, which is what a CVM measures of the file it was given. */
export function hashAppComposeText(text: string | Uint8Array): ComposeHash {
  return parseComposeHash(createHash("sha256").update(text).digest("hex"));
}

/** The hash of the canonical text. */
export function computeComposeHash(document: AppCompose): ComposeHash {
  return hashAppComposeText(writeAppCompose(document));
}

function write(value: JsonValue, lineBreak: string): string {
  const inner = `${lineBreak}    `;
  if (Array.isArray(value)) {
    if (value.length === 0) return "[]";
    return `[${inner}${value.map((item) => write(item, inner)).join(`,${inner}`)}${lineBreak}]`;
  }
  if (isJsonObject(value)) {
    const members = writeMembers(value, inner);
    return members.length === 0 ? "{}" : `{${inner}${members.join(`,${inner}`)}${lineBreak}}`;
  }
  return JSON.stringify(value);
}

function writeMembers(object: JsonObject, lineBreak: string): string[] {
  const members: string[] = [];
  for (const key of Object.keys(object).sort(compareAsJavaScript)) {
    const value = object[key];
    if (value !== undefined) members.push(`${JSON.stringify(key)}:${write(value, lineBreak)}`);
  }
  return members;
}
