import type { KeepRule } from "./keep-rule.ts";

/** What an operation under way will boot: the cloud has accepted it and asks the contract only at the boot. */
export const movingToRule: KeepRule = {
  name: "moving-to",
  prepare:
    ({ movingTo }) =>
    ({ composeHash }) =>
      movingTo.filter((use) => use.composeHash === composeHash).map(({ cvm }) => ({ rule: "moving-to", cvm })),
};
