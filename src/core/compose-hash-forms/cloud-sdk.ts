import { normaliseAppCompose } from "../normalise-app-compose.ts";
import { parseJsonTree, toJsonObject } from "../parse-json-tree.ts";
import type { ComposeHashForm } from "./compose-hash-form.ts";
import { sortAsSdk } from "./sort-as-sdk.ts";

export const cloudSdkForm: ComposeHashForm = {
  name: "cloud-sdk",
  description: "four spaces of indentation, written by the cloud SDK's getCvmComposeFile().getHash()",
  normalisation: "always",
  write(text) {
    const root = parseJsonTree(text);
    if (root.kind !== "object") return undefined;
    const document = toJsonObject(root);
    // The replacement reaches into strings too. That loss of a space is what this form exists to reproduce.
    return JSON.stringify(sortAsSdk(normaliseAppCompose(document)), null, 4).replaceAll('": ', '":');
  },
};
