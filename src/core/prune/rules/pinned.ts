import type { KeepRule } from "./keep-rule.ts";

/** What the operator named. */
export const pinnedRule: KeepRule = {
  name: "pinned",
  prepare:
    (_facts, { pins }) =>
    ({ composeHash }) =>
      pins.filter((pin) => pin.composeHash === composeHash).map(({ source }) => ({ rule: "pinned", source })),
};
