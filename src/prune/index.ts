export { type ApplyPrunePlanParameters, applyPrunePlan, type PruneResult } from "./apply-prune-plan.ts";
export {
  type Addition,
  type AllowedHash,
  type CvmReference,
  defaultKeep,
  type HashUse,
  type Pin,
  type PinnedBlock,
  type PreparedHash,
  type PruneFacts,
  type PrunePolicy,
  type QueuedCall,
  type UnknownFact,
  type UnknownKind,
  type unknownKinds,
} from "./facts.ts";
export { describeReason, type KeepReason, type KeepRuleName } from "./keep-rules.ts";
export { loadPlan, savePlan } from "./plan-file.ts";
export { type JudgedUnknown, type PrunePlan, type PruneRow, planPrune, removalsOf } from "./plan-prune.ts";
export {
  type GatherPruneFactsParameters,
  gatherPruneFacts,
  type PruneSource,
  readPruneFacts,
} from "./read-prune-facts.ts";
