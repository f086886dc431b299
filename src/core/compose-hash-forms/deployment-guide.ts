import { compareCodePoints } from "../key-order.ts";
import { parseJsonTree } from "../parse-json-tree.ts";
import type { ComposeHashForm } from "./compose-hash-form.ts";
import { writePythonJson } from "./python-json.ts";

export const deploymentGuideForm: ComposeHashForm = {
  name: "deployment-guide",
  description:
    "four spaces of indentation with only the top-level keys sorted, the Python recipe of a deployment guide",
  normalisation: "never",
  write(text) {
    const root = parseJsonTree(text);
    if (root.kind !== "object") return undefined;
    const members = new Map([...root.members].sort(([a], [b]) => compareCodePoints(a, b)));
    return writePythonJson({ ...root, members }, { indent: true, infinity: "Infinity" });
  },
};
