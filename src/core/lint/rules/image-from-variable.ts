import type { LintRule } from "../lint-rule.ts";
import { listImages } from "../list-images.ts";

export const imageFromVariable: LintRule = {
  name: "image-from-variable",
  severity: "error",
  summary: "An image is named by a variable of allowed_envs, so that the compose hash proves nothing about the code.",
  check: ({ document }) =>
    listImages(document).flatMap(({ service, image, variables, isPinned }) =>
      (isPinned ? [] : variables).map((variable) =>
        document?.allowed_envs?.includes(variable)
          ? {
              message: `Service ${service} runs ${image}: whoever sets ${variable} chooses the code, under this hash.`,
              advice: `Write the image and its digest into the compose file, or take ${variable} out of allowed_envs.`,
            }
          : {
              message: `Service ${service} runs ${image}, and ${variable} is not in allowed_envs.`,
              advice: "Write the image and its digest into the compose file.",
              severity: "warning",
            },
      ),
    ),
};
