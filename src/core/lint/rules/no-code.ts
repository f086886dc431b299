import type { LintRule } from "../lint-rule.ts";

export const noCode: LintRule = {
  name: "no-code",
  severity: "error",
  summary: "There is no contract at the app's address; calls to it would succeed and do nothing.",
  check: ({ app }) =>
    app?.hasCode === false
      ? [{ message: `There is no contract at ${app.appId}.`, advice: "Check the address and the chosen network." }]
      : [],
};
