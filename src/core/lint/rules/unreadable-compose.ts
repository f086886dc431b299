import type { LintRule } from "../lint-rule.ts";
import { composeProblem } from "../list-images.ts";

export const unreadableCompose: LintRule = {
  name: "unreadable-compose",
  severity: "warning",
  summary: "The compose file in force is one that cannot be checked, so that nothing is known of its images.",
  check: ({ document }) => {
    const problem = composeProblem(document);
    if (problem === undefined) return [];
    return [
      {
        message: `No image was checked. ${problem}`,
        advice: "Update the app to a compose file of one YAML document that `docker compose config` accepts.",
      },
    ];
  },
};
