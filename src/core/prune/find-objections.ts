import type { Objection } from "../../errors/index.ts";
import type { ComposeHash } from "../ids.ts";
import { describeReason } from "./keep-reason.ts";
import { type PrunePlan, planPrune, removalsOf } from "./plan-prune.ts";
import type { PruneFacts } from "./prune-facts.ts";

/**
 * What stands against carrying out a plan, by facts that are newer than it. A plan whose removals all would be planned
 * again has none: what else could be removed by now does not matter, since only what was agreed to goes.
 *
 * @param removals of the plan, where not all are about to go
 */
export function findObjections(
  plan: PrunePlan,
  facts: PruneFacts,
  removals: readonly ComposeHash[] = removalsOf(plan),
): readonly Objection[] {
  const rows = new Map(planPrune(facts, plan.policy).rows.map((row) => [row.composeHash, row]));
  return [
    ...(facts.chainId === plan.chainId ? [] : [{ problem: `the plan is for chain ${plan.chainId}` }]),
    ...(facts.appId === plan.appId ? [] : [{ problem: `the plan is for app ${plan.appId}` }]),
    ...(facts.owner.toLowerCase() === plan.owner.toLowerCase()
      ? []
      : [{ problem: `the owner changed from ${plan.owner} to ${facts.owner}` }]),
    ...removals.flatMap((composeHash): Objection[] => {
      const row = rows.get(composeHash);
      if (row === undefined) return [{ composeHash, problem: "is no longer on the list" }];
      return row.reasons.map((reason) => ({ composeHash, problem: describeReason(reason) }));
    }),
  ];
}
