export {
  type Addition,
  type AllowedHash,
  type AllowlistUse,
  type CvmReference,
  defaultKeep,
  type HashUse,
  type KeepRules,
  type Pin,
  type PinnedBlock,
  type PreparedHash,
  type QueuedCall,
  type UnknownFact,
  type UnknownKind,
  type unknownKinds,
} from "./allowlist-use.ts";
export { type ApplyPrunePlanParameters, applyPrunePlan, type PruneResult } from "./apply-prune-plan.ts";
export { describeReason, type KeepReason, type KeepRuleName } from "./keep-rules.ts";
export { type JudgedUnknown, type PrunePlan, type PruneRow, planPrune, removalsOf } from "./plan-prune.ts";
export {
  type PruneSource,
  type ReadAllowlistUseParameters,
  readAllowlistUse,
  readAllowlistUseFrom,
} from "./read-allowlist-use.ts";
