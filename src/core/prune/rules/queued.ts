import type { KeepRule } from "./keep-rule.ts";

/** What a Safe's or a timelock's waiting call names, whatever it does with it: its signers have agreed on this list. */
export const queuedRule: KeepRule = {
  name: "queued",
  prepare:
    (_facts, { queued }) =>
    ({ composeHash }) =>
      queued
        .filter(({ composeHashes }) => composeHashes.includes(composeHash))
        .map(({ source }) => ({ rule: "queued", source })),
};
