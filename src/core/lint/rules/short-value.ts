import type { LintRule } from "../lint-rule.ts";
import { listValues } from "../values.ts";

/** Eight zero bytes at one end: by chance once in 2^63 hashes. */
const padding = /^0x(?:0{16}|.*0{16}$)/;

export const shortValue: LintRule = {
  name: "short-value",
  severity: "error",
  summary: "A hash or device id is a shorter value that was filled up with zeros.",
  check: (subject) =>
    listValues(subject)
      .filter(({ value }) => padding.test(value) && BigInt(value) !== 0n)
      .map(({ value, what, isNew }) => ({
        message: `The ${what} ${value} looks like a shorter value filled up with zeros.`,
        advice: "Use the whole 32 bytes: no machine reports a shorter one.",
        severity: isNew ? "error" : "warning",
      })),
};
