import type { LintRule } from "../lint-rule.ts";

export const nothingBoots: LintRule = {
  name: "nothing-boots",
  severity: "warning",
  summary: "No compose hash or no device is allowed, so nothing can boot.",
  check: ({ app }) => {
    const { composeHashes, devices, allowAnyDevice } = app?.policy ?? {};
    const advice = "Allow one before the next restart.";
    return [
      ...(composeHashes?.length === 0 ? [{ message: "No compose hash is allowed: no CVM can boot.", advice }] : []),
      ...(allowAnyDevice === false && devices?.length === 0
        ? [{ message: "No device is allowed: no CVM can boot.", advice }]
        : []),
    ];
  },
};
