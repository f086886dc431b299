import { hash } from "node:crypto";
import { type AppCompose, normaliseAppCompose } from "./app-compose.ts";
import { type ComposeHash, parseComposeHash } from "./ids.ts";
import { writeCanonicalJson } from "./json.ts";

/**
 * The canonical text of a manifest, the one form this package writes: normalised, keys sorted at every depth, four
 * spaces of indentation, no space after a colon.
 *
 * The platform's SDK writes the same, with two exceptions. Where a string, as JSON writes it, holds `": `, the SDK drops
 * that space, so two documents can share a hash. And it does not sort an object that has a key named `constructor`.
 */
export function writeAppCompose(document: AppCompose): string {
  return writeCanonicalJson(normaliseAppCompose(document));
}

/** SHA-256 of exactly these bytes, which is what a CVM measures of the file it was given. */
export function hashAppComposeText(text: string | Uint8Array): ComposeHash {
  return parseComposeHash(hash("sha256", text));
}

/** The hash of the canonical text. */
export function computeComposeHash(document: AppCompose): ComposeHash {
  return hashAppComposeText(writeAppCompose(document));
}
