import type { LintRule } from "../lint-rule.ts";
import { listValues } from "../values.ts";

export const zeroValue: LintRule = {
  name: "zero-value",
  severity: "error",
  summary: "A hash or device id is zero, which is what a missing value looks like.",
  check: (subject) =>
    listValues(subject)
      .filter(({ value }) => BigInt(value) === 0n)
      .map(({ what, isNew }) => ({
        message: `The ${what} is zero.`,
        advice: isNew ? "Look where the value comes from." : "Remove it: nothing honest has this value.",
        severity: isNew ? "error" : "warning",
      })),
};
