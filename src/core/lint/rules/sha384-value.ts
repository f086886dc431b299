import type { LintRule } from "../lint-rule.ts";

export const sha384Value: LintRule = {
  name: "sha384-value",
  severity: "error",
  summary: "A value has 48 bytes, like an MRTD or an RTMR; the contracts know 32-byte values only.",
  check: ({ inputs = [] }) =>
    inputs
      .filter(({ text }) => /^(?:0x)?[0-9a-f]{96}$/i.test(text.trim()))
      .map(({ what }) => ({
        message: `${what} has 48 bytes: a SHA-384, such as an MRTD or an RTMR.`,
        advice: "Give the 32-byte SHA-256; cutting or folding the longer one gives another value.",
      })),
};
