import type { LintRule } from "../lint-rule.ts";
import { listImages } from "../list-images.ts";

export const mutableImage: LintRule = {
  name: "mutable-image",
  severity: "warning",
  summary: "An image is named by a tag, which can point to other code tomorrow under the same compose hash.",
  check: ({ document }) =>
    listImages(document)
      .filter(({ variables, isPinned }) => variables.length === 0 && !isPinned)
      .map(({ service, image }) => {
        const problem = image.includes("@")
          ? "whose digest is not one of 64 small digits"
          : "which is a tag and not a digest";
        const name = image.replace(/@.*$/, "").replace(/:[^:/]*$/, "");
        return { message: `Service ${service} runs ${image}, ${problem}.`, advice: `Pin it: ${name}@sha256:…` };
      }),
};
