import { normaliseAppCompose } from "../normalise-app-compose.ts";
import { parseJsonTree, toJsonObject } from "../parse-json-tree.ts";
import type { ComposeHashForm } from "./compose-hash-form.ts";
import { sortAsSdk } from "./sort-as-sdk.ts";

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
