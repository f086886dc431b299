import type { LintRule } from "../lint-rule.ts";
import { doNotUpgrade } from "./upgrade-loses-policy.ts";

export const implementationDrift: LintRule = {
  name: "implementation-drift",
  severity: "warning",
  summary: "The app runs other code than the KMS gives new apps.",
  check: ({ app, kms }) => {
    const { implementation, upgradesDisabled, shiftedAppId } = app?.policy ?? {};
    const current = kms?.appImplementation;
    if (implementation === undefined || current === undefined) return [];
    if (BigInt(current) === 0n || implementation.toLowerCase() === current.toLowerCase()) return [];
    const stays = upgradesDisabled === true || shiftedAppId !== undefined;
    const advice = upgradesDisabled ? "Upgrades are disabled: this app stays as it is." : doNotUpgrade;
    return [
      {
        message: `The app runs ${implementation}; the KMS deploys ${current} now.`,
        advice: stays ? advice : "Compare the two, and upgrade if the newer one cures something.",
        severity: stays ? "note" : "warning",
      },
    ];
  },
};
