import type { KeepRule } from "./keep-rule.ts";

/** What a CVM runs, or would boot next if it is stopped: without the hash its next boot gets no keys. */
export const runningRule: KeepRule = {
  name: "running",
  prepare:
    ({ running }) =>
    ({ composeHash }) =>
      running.filter((use) => use.composeHash === composeHash).map(({ cvm }) => ({ rule: "running", cvm })),
};
