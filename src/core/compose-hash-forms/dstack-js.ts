import { isJsonObject } from "../json.ts";
import { normaliseAppCompose } from "../normalise-app-compose.ts";
import type { ComposeHashForm } from "./compose-hash-form.ts";
import { parseJson } from "./parse-json.ts";
import { sortAsSdk } from "./sort-as-sdk.ts";

export const dstackJsForm: ComposeHashForm = {
  name: "dstack-js",
  description: "compact JSON, written by getComposeHash of the dstack SDK and of the cloud SDK for JavaScript",
  normalisation: "optional",
  write(text, { normalise = false } = {}) {
    const document = parseJson(text);
    if (!isJsonObject(document)) return undefined;
    return JSON.stringify(sortAsSdk(normalise ? normaliseAppCompose(document) : document));
  },
};
