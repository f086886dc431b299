import { isJsonObject } from "../json.ts";
import { normaliseAppCompose } from "../normalise-app-compose.ts";
import type { ComposeHashForm } from "./compose-hash-form.ts";
import { parseJson } from "./parse-json.ts";
import { sortAsSdk } from "./sort-as-sdk.ts";

export const cloudSdkForm: ComposeHashForm = {
  name: "cloud-sdk",
  description: "four spaces of indentation, written by the cloud SDK's getCvmComposeFile().getHash()",
  normalisation: "always",
  write(text) {
    const document = parseJson(text);
    if (!isJsonObject(document)) return undefined;
    // The replacement reaches into strings too. That loss of a space is what this form exists to reproduce.
    return JSON.stringify(sortAsSdk(normaliseAppCompose(document)), null, 4).replaceAll('": ', '":');
  },
};
