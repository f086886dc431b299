import type { LintRule } from "../lint-rule.ts";
import { doNotUpgrade } from "./upgrade-loses-policy.ts";

export const oneStepOwner: LintRule = {
  name: "one-step-owner",
  severity: "note",
  summary: "The contract is of the first versions: a transfer takes effect at once, without the new owner's consent.",
  check: ({ app, newOwner }) => {
    if (app?.policy?.isTwoStep !== false) return [];
    const { shiftedAppId, upgradesDisabled } = app.policy;
    const upgrade = "Upgrade the app to a version with two-step transfers before you transfer it.";
    const compare = "Upgrades are disabled, so compare the new owner's address with a second source before a transfer.";
    return [
      {
        message: "Ownership of this contract moves in one step: a typo in a transfer loses the app.",
        severity: newOwner === undefined ? "note" : "warning",
        advice: shiftedAppId !== undefined ? doNotUpgrade : upgradesDisabled ? compare : upgrade,
      },
    ];
  },
};
