import type { LintRule } from "../lint-rule.ts";

export const implementationDrift: LintRule = {
  name: "implementation-drift",
  severity: "warning",
  summary: "The app runs other code than the KMS gives new apps.",
  check: ({ app, kms }) => {
    const { implementation, upgradesDisabled } = app?.policy ?? {};
    const current = kms?.appImplementation;
    if (implementation === undefined || current === undefined) return [];
    if (BigInt(current) === 0n || implementation.toLowerCase() === current.toLowerCase()) return [];
    return [
      {
        message: `The app runs ${implementation}; the KMS deploys ${current} now.`,
        advice: upgradesDisabled
          ? "Upgrades are disabled: this app stays as it is."
          : "Compare the two, and upgrade if the newer one cures something.",
        severity: upgradesDisabled ? "note" : "warning",
      },
    ];
  },
};
