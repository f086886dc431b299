import { hash } from "node:crypto";
import { type AppCompose, normaliseAppCompose } from "./app-compose.ts";
import { type AppId, type ComposeHash, type DeviceId, parseComposeHash } from "./ids.ts";
import { writeCanonicalJson } from "./json.ts";

/**
 * Writes the canonical text of a manifest, the only form this package writes: normalised, keys sorted at every depth,
 * four spaces of indentation, no space after a colon.
 *
 * The platform's SDK writes the same text, with two exceptions. If the JSON form of a string contains `": `, the SDK
 * drops that space, so two documents can have the same hash. And the SDK does not sort an object that has a key named
 * `constructor`.
 *
 * @example
 * import { writeFile } from "node:fs/promises";
 * import { writeAppCompose } from "dstack-toolkit";
 * import { document } from "./app.js";
 * await writeFile("app-compose.json", writeAppCompose(document));
 */
export function writeAppCompose(document: AppCompose): string {
  return writeCanonicalJson(normaliseAppCompose(document));
}

/**
 * Returns the SHA-256 of exactly these bytes. A CVM measures its file in the same way.
 *
 * @example
 * import { readFile } from "node:fs/promises";
 * import { hashAppComposeText } from "dstack-toolkit";
 * const composeHash = hashAppComposeText(await readFile("app-compose.json"));
 */
export function hashAppComposeText(text: string | Uint8Array): ComposeHash {
  return parseComposeHash(hash("sha256", text));
}

/**
 * The hash of the canonical text.
 *
 * @example
 * import { computeComposeHash } from "dstack-toolkit";
 * import { document } from "./app.js";
 * const composeHash = computeComposeHash(document);
 */
export function computeComposeHash(document: AppCompose): ComposeHash {
  return hashAppComposeText(writeAppCompose(document));
}

/** A compose hash that the owner must allow on chain before the cloud continues. */
export interface HashToAllow {
  readonly kind: "registrationRequired";
  readonly composeHash: ComposeHash;
  readonly appId: AppId;
  /** Device the CVM will boot on. The app's contract must allow it too. */
  readonly deviceId: DeviceId | undefined;
  /** For a support ticket. */
  readonly correlationId: string | undefined;
}
