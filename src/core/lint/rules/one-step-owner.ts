import type { LintRule } from "../lint-rule.ts";

export const oneStepOwner: LintRule = {
  name: "one-step-owner",
  severity: "note",
  summary: "The contract is of the first versions: a transfer takes effect at once, without the new owner's consent.",
  check: ({ app, newOwner }) =>
    app?.policy?.isTwoStep === false
      ? [
          {
            message: "Ownership of this contract moves in one step: a typo in a transfer loses the app.",
            severity: newOwner === undefined ? "note" : "warning",
            advice: "Upgrade the app to a version with two-step transfers before you transfer it.",
          },
        ]
      : [],
};
