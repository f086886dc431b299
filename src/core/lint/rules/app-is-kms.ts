import type { LintRule } from "../lint-rule.ts";

export const appIsKms: LintRule = {
  name: "app-is-kms",
  severity: "error",
  summary: "The address given as the app is a DstackKms.",
  check: ({ app, kms }) =>
    app !== undefined && (app.isKms || app.appId.toLowerCase() === kms?.address.toLowerCase())
      ? [{ message: `${app.appId} is a DstackKms, not an app.`, advice: "Give the address of the app's own contract." }]
      : [],
};
