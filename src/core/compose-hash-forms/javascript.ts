import { normaliseAppCompose } from "../app-compose.ts";
import { parseJsonTree, toJsonObject } from "../json.ts";
import type { ComposeHashForm } from "./form.ts";

export const cloudSdkForm: ComposeHashForm = {
  name: "cloud-sdk",
  description: "four spaces of indentation, written by the cloud SDK's getCvmComposeFile().getHash()",
  normalisation: "always",
  write(text) {
    const root = parseJsonTree(text);
    if (root.kind !== "object") return undefined;
    const document = toJsonObject(root);
    // The SDK's replacement also changes strings. This form must reproduce that lost space.
    return JSON.stringify(sortAsSdk(normaliseAppCompose(document)), null, 4).replaceAll('": ', '":');
  },
};

export const dstackJsForm: ComposeHashForm = {
  name: "dstack-js",
  description: "compact JSON, written by getComposeHash of the dstack SDK and of the cloud SDK for JavaScript",
  normalisation: "optional",
  write(text, { normalise = false } = {}) {
    const root = parseJsonTree(text);
    if (root.kind !== "object") return undefined;
    const document = toJsonObject(root);
    return JSON.stringify(sortAsSdk(normalise ? normaliseAppCompose(document) : document));
  },
};

/**
 * Sorts keys as the official JavaScript SDKs do: by assigning them one by one to a new object. Therefore array indices
 * come first, `__proto__` is lost, and an object with a key named `constructor` is not recognised and stays unsorted.
 */
export function sortAsSdk(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortAsSdk);
  if (typeof value !== "object" || value === null || value.constructor !== Object) return value;
  const sorted: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value).sort(byKey)) sorted[key] = sortAsSdk(member);
  return sorted;
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}
