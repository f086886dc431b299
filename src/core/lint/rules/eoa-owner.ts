import type { LintRule } from "../lint-rule.ts";

export const eoaOwner: LintRule = {
  name: "eoa-owner",
  severity: "note",
  summary: "One key alone decides what boots.",
  check: ({ app }) =>
    app?.policy?.owner.kind === "eoa"
      ? [
          {
            message: "The owner is one key: whoever holds it decides what boots, at once.",
            advice: "For production, transfer the app to a Safe or a timelock.",
          },
        ]
      : [],
};
