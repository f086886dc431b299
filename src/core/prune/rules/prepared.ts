import type { KeepRule } from "./keep-rule.ts";

/** What somebody may still commit: the token lives up to 14 days, and the commit demands that the hash is allowed. */
export const preparedRule: KeepRule = {
  name: "prepared",
  prepare:
    ({ prepared }) =>
    ({ composeHash }) =>
      prepared
        .filter((use) => use.composeHash === composeHash)
        .map(({ cvm, expiresAt }) => ({ rule: "prepared", cvm, expiresAt })),
};
