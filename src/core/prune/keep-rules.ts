import type { KeepRule } from "./rules/keep-rule.ts";
import { movingToRule } from "./rules/moving-to.ts";
import { newestRule } from "./rules/newest.ts";
import { pinnedRule } from "./rules/pinned.ts";
import { preparedRule } from "./rules/prepared.ts";
import { queuedRule } from "./rules/queued.ts";
import { runningRule } from "./rules/running.ts";
import { youngRule } from "./rules/young.ts";

/** All of them, the weightiest first: a table shows reasons in this order. */
export const keepRules: readonly KeepRule[] = [
  runningRule,
  movingToRule,
  preparedRule,
  queuedRule,
  pinnedRule,
  newestRule,
  youngRule,
];
