import type { PrunePlan } from "../prune/plan-prune.ts";
import type { ChangePlan } from "./change-plan.ts";

/** The prune that a plan describes; undefined for a plan of another task. */
export function prunePlanOf({ chainId, appId, owner, pinned, prune }: ChangePlan): PrunePlan | undefined {
  if (prune === undefined || appId === undefined) return undefined;
  const isExecutable = prune.unknowns.every(({ isAccepted }) => isAccepted);
  return { chainId, appId, owner: owner.address, pinned, ...prune, isExecutable };
}
