import type { LintRule } from "../lint-rule.ts";
import { listImages } from "../list-images.ts";

export const mutableImage: LintRule = {
  name: "mutable-image",
  severity: "warning",
  summary: "An image is named by a tag, which can point to other code tomorrow under the same compose hash.",
  check: ({ document }) =>
    listImages(document)
      .filter(({ image, variables }) => variables.length === 0 && !/@sha256:[0-9a-f]{64}$/.test(image))
      .map(({ service, image }) => ({
        message: `Service ${service} runs ${image}, which is a tag and not a digest.`,
        advice: `Pin it: ${image.replace(/:[^:/]*$/, "")}@sha256:…`,
      })),
};
