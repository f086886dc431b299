import type { ComposeHash } from "../core/ids.ts";
import type { Objection } from "../errors/index.ts";
import type { Addition, AllowedHash, AllowlistUse, KeepRules, PinnedBlock, UnknownFact } from "./allowlist-use.ts";
import { describeReason, type KeepReason, type KeepRule, keepRules, newestFirst } from "./keep-rules.ts";

export interface PrunePlan extends Pick<AllowlistUse, "chainId" | "appId" | "owner"> {
  /** The block whose state was judged. */
  readonly pinned: PinnedBlock;
  readonly policy: KeepRules;
  /** One per allowed hash, the newest first. */
  readonly rows: readonly PruneRow[];
  readonly unknowns: readonly JudgedUnknown[];
  /** Whether every unknown fact is accepted. Only then may anything be removed. */
  readonly isExecutable: boolean;
}

export interface PruneRow {
  readonly composeHash: ComposeHash;
  readonly added: Addition | undefined;
  readonly verdict: "keep" | "remove";
  /** Why it is kept. Empty if no rule keeps it; it is then removed. */
  readonly reasons: readonly KeepReason[];
}

export interface JudgedUnknown extends UnknownFact {
  readonly isAccepted: boolean;
}

/**
 * Judges every allowed hash. A hash that no rule keeps is to be removed.
 *
 * @param rules a subset, to show what one rule does
 *
 * @example
 * import { planPrune } from "dstack-toolkit/prune";
 * import { rules, use } from "./app.js";
 * const plan = planPrune(use, rules);
 */
export function planPrune(use: AllowlistUse, policy: KeepRules, rules: readonly KeepRule[] = keepRules): PrunePlan {
  const { chainId, appId, owner, pinned } = use;
  const judges = rules.map((rule) => rule.prepare(use, policy));
  const judged = newestFirst(use.allowed).map((hash) => ({ hash, reasons: judges.flatMap((judge) => judge(hash)) }));
  const isLastOneLeft = !policy.mayEmptyList && judged.every(({ reasons }) => reasons.length === 0);
  const unknowns = use.unknowns.map((fact) => ({ ...fact, isAccepted: policy.acceptedUnknowns.includes(fact.kind) }));
  return {
    chainId,
    appId,
    owner,
    pinned,
    policy,
    rows: judged.map(({ hash, reasons }, index) =>
      toRow(hash, isLastOneLeft && index === 0 ? [{ rule: "last" }] : reasons),
    ),
    unknowns,
    isExecutable: unknowns.every(({ isAccepted }) => isAccepted),
  };
}

function toRow({ composeHash, added }: AllowlistUse["allowed"][number], reasons: readonly KeepReason[]): PruneRow {
  return { composeHash, added, verdict: reasons.length > 0 ? "keep" : "remove", reasons };
}

/**
 * The unknown facts because of which a plan decides nothing. Nothing else is known to be removable, but an incomplete
 * list may hide hashes; the other unknown facts only matter for hashes that would be removed.
 */
export function openUnknowns(
  plan: Pick<PrunePlan, "rows" | "policy">,
  unknowns: readonly UnknownFact[],
): readonly UnknownFact[] {
  const isRemoving = removalsOf(plan).length > 0;
  return unknowns.filter(
    ({ kind }) =>
      !plan.policy.acceptedUnknowns.includes(kind) && (isRemoving || kind === "history" || kind === "proof"),
  );
}

/**
 * The hashes that the plan removes, the newest first.
 *
 * @example
 * import { removalsOf } from "dstack-toolkit/prune";
 * import { plan } from "./app.js";
 * const composeHashes = removalsOf(plan);
 */
export function removalsOf({ rows }: Pick<PrunePlan, "rows">): readonly ComposeHash[] {
  return rows.filter(({ verdict }) => verdict === "remove").map(({ composeHash }) => composeHash);
}

/** The removals, and the hashes kept as the newest in their place: a wrong date of one of these removes another hash. */
export function datedBy(
  plan: PrunePlan,
  use: AllowlistUse,
  removals: readonly ComposeHash[] = removalsOf(plan),
): readonly AllowedHash[] {
  return planPrune(use, plan.policy).rows.filter(
    ({ composeHash, reasons }) =>
      removals.includes(composeHash) || reasons.some(({ rule }) => rule === "newest" || rule === "last"),
  );
}

/**
 * Reasons not to execute a plan, from facts newer than the plan. There are none if the newer facts would lead to the
 * same removals, and every hash that the plan keeps is still on the list. Further hashes that could be removed now do not matter, because only the agreed hashes are removed.
 *
 * @param removals the plan's removals that are about to be sent, if not all
 */
export function findObjections(
  plan: PrunePlan,
  use: AllowlistUse,
  removals: readonly ComposeHash[] = removalsOf(plan),
): readonly Objection[] {
  const rows = new Map(planPrune(use, plan.policy).rows.map((row) => [row.composeHash, row]));
  return [
    ...(use.chainId === plan.chainId ? [] : [{ problem: `the plan is for chain ${plan.chainId}` }]),
    ...(use.appId === plan.appId ? [] : [{ problem: `the plan is for app ${plan.appId}` }]),
    ...(use.owner.toLowerCase() === plan.owner.toLowerCase()
      ? []
      : [{ problem: `the owner changed from ${plan.owner} to ${use.owner}` }]),
    ...plan.rows
      .filter(({ verdict, composeHash }) => verdict === "keep" && !rows.has(composeHash))
      .map(({ composeHash }) => ({ composeHash, problem: "is no longer on the list, and the plan keeps it" })),
    ...removals.flatMap((composeHash): Objection[] => {
      const row = rows.get(composeHash);
      if (row === undefined) return [{ composeHash, problem: "is no longer on the list" }];
      return row.reasons.map((reason) => ({ composeHash, problem: describeReason(reason, row) }));
    }),
  ];
}
