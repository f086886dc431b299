import type { LintRule } from "../lint-rule.ts";

export const pendingOwner: LintRule = {
  name: "pending-owner",
  severity: "note",
  summary: "A transfer of the ownership was begun and not accepted.",
  check: ({ app }) =>
    app?.policy?.pendingOwner === undefined
      ? []
      : [
          {
            message: `${app.policy.pendingOwner.address} may take the ownership at any time.`,
            advice: "Accept it (dstack owner accept), or transfer to the present owner to withdraw the offer.",
          },
        ],
};
