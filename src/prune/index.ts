export type { KeepReason, KeepRuleName } from "../core/prune/keep-reason.ts";
export { describeReason } from "../core/prune/keep-reason.ts";
export { type JudgedUnknown, type PrunePlan, type PruneRow, planPrune, removalsOf } from "../core/prune/plan-prune.ts";
export type * from "../core/prune/prune-facts.ts";
export { defaultKeep, type Pin, type PrunePolicy, type QueuedCall } from "../core/prune/prune-policy.ts";
export { type ApplyPrunePlanParameters, applyPrunePlan, type PruneResult } from "./apply-prune-plan.ts";
export { type GatherPruneFactsParameters, gatherPruneFacts } from "./gather-prune-facts.ts";
export { loadPlan, savePlan } from "./plan-file.ts";
export { type PruneSource, readPruneFacts } from "./prune-source.ts";
