import type { KeepReason, KeepRuleName } from "../keep-reason.ts";
import type { AllowedHash, PruneFacts } from "../prune-facts.ts";
import type { PrunePolicy } from "../prune-policy.ts";

/** One reason for which a hash stays. Rules never overrule each other: one reason is enough. */
export interface KeepRule {
  readonly name: KeepRuleName;
  /** Looks at the facts once and answers for each hash. */
  prepare(facts: PruneFacts, policy: PrunePolicy): (hash: AllowedHash) => readonly KeepReason[];
}
