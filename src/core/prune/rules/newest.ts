import { newestFirst } from "../newest-first.ts";
import type { KeepRule } from "./keep-rule.ts";

/** The last few versions, in use or not: they are what an operator rolls back to. */
export const newestRule: KeepRule = {
  name: "newest",
  prepare({ allowed }, { keep }) {
    const newest = newestFirst(allowed)
      .slice(0, keep)
      .map(({ composeHash }) => composeHash);
    return ({ composeHash }) => {
      const rank = newest.indexOf(composeHash) + 1;
      return rank === 0 ? [] : [{ rule: "newest", rank, keep }];
    };
  },
};
