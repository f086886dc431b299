import { nameOfCvm } from "../core/ids.ts";
import type { AllowedHash, AllowlistUse, CvmReference, KeepRules } from "./allowlist-use.ts";

/** Why a hash stays allowed. Each kind belongs to one rule. */
export type KeepReason =
  | { readonly rule: "running"; readonly cvm: CvmReference }
  | { readonly rule: "moving-to"; readonly cvm: CvmReference }
  | { readonly rule: "prepared"; readonly cvm: CvmReference; readonly expiresAt: string }
  | { readonly rule: "queued"; readonly source: string }
  | { readonly rule: "newest"; readonly rank: number; readonly keep: number }
  | { readonly rule: "young"; readonly ageSeconds: number | undefined; readonly olderThanSeconds: number }
  | { readonly rule: "pinned"; readonly source: string }
  | { readonly rule: "last" };

export type KeepRuleName = KeepReason["rule"];

/**
 * The reason as the end of a sentence that starts with the hash.
 *
 * @param hash what is known about the hash; without `added`, it is not known when it was added
 *
 * @example
 * import { describeReason } from "dstack-toolkit/prune";
 * import { plan } from "./app.js";
 * for (const row of plan.rows)
 *   console.log(row.composeHash, row.reasons.map((reason) => describeReason(reason, row)));
 */
export function describeReason(reason: KeepReason, { added }: Pick<AllowedHash, "added">): string {
  switch (reason.rule) {
    case "running":
      return reason.cvm.status === "running"
        ? `runs on ${nameOfCvm(reason.cvm)}`
        : `boots next on ${nameOfCvm(reason.cvm)}, which is ${reason.cvm.status}`;
    case "moving-to":
      return `the cloud is updating ${nameOfCvm(reason.cvm)} to it`;
    case "prepared":
      return `a prepared update of ${nameOfCvm(reason.cvm)}, or a prepared copy of it, needs it until ${reason.expiresAt}`;
    case "queued":
      return `is named in ${reason.source}`;
    case "newest":
      return added === undefined
        ? `counts as one of the newest ${reason.keep}, because it is not known when it was added`
        : `is number ${reason.rank} of the newest ${reason.keep}`;
    case "young":
      return reason.ageSeconds === undefined
        ? "its age is not known"
        : `is ${describeAge(reason.ageSeconds)} old, less than ${describeAge(reason.olderThanSeconds)}`;
    case "pinned":
      return `is pinned by ${reason.source}`;
    case "last":
      return "is the last hash on the list, and no CVM can boot with an empty list";
  }
}

/** Whole days from two days on, else hours, minutes or seconds. */
export function describeAge(seconds: number): string {
  const [size, unit] = [[86_400, "d"] as const, [3_600, "h"] as const, [60, "min"] as const, [1, "s"] as const].find(
    ([size]) => seconds >= 2 * size,
  ) ?? [1, "s"];
  return `${Math.floor(seconds / size)} ${unit}`;
}

/** One rule that may keep a hash. One reason is enough: no rule overrides another. */
export interface KeepRule {
  readonly name: KeepRuleName;
  /** Reads the facts once; the returned function answers for each hash. */
  prepare(use: AllowlistUse, policy: KeepRules): (hash: AllowedHash) => readonly KeepReason[];
}

/** The newest hashes, in use or not, so that the operator can roll back to them. */
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

/** Hashes added too recently before the pinned block, by the chain's time only. */
export const youngRule: KeepRule = {
  name: "young",
  prepare:
    ({ pinned }, { olderThanSeconds }) =>
    ({ added }) => {
      if (olderThanSeconds === undefined) return [];
      const ageSeconds = added && Number(pinned.timestamp - added.timestamp);
      const isYoung = ageSeconds === undefined || ageSeconds < olderThanSeconds;
      return isYoung ? [{ rule: "young", ageSeconds, olderThanSeconds }] : [];
    },
};

/** Hashes that a running operation will boot. The cloud has accepted it and asks the contract only at the boot. */
export const movingToRule: KeepRule = {
  name: "moving-to",
  prepare:
    ({ movingTo }) =>
    ({ composeHash }) =>
      movingTo.filter((use) => use.composeHash === composeHash).map(({ cvm }) => ({ rule: "moving-to", cvm })),
};

/** Hashes named by a queued call of a Safe or a timelock, for any purpose: its signers agreed on the present list. */
export const queuedRule: KeepRule = {
  name: "queued",
  prepare:
    (use, { queued }) =>
    ({ composeHash }) =>
      [...use.queued, ...queued]
        .filter(({ composeHashes }) => composeHashes.includes(composeHash))
        .map(({ source }) => ({ rule: "queued", source })),
};

/** Hashes of prepared updates. The token lives up to 14 days, and the commit requires that the hash is allowed. */
export const preparedRule: KeepRule = {
  name: "prepared",
  prepare:
    ({ prepared }) =>
    ({ composeHash }) =>
      prepared
        .filter((use) => use.composeHash === composeHash)
        .map(({ cvm, expiresAt }) => ({ rule: "prepared", cvm, expiresAt })),
};

/** Hashes that CVMs run, or will boot next if stopped. Without its hash, the next boot gets no keys. */
export const runningRule: KeepRule = {
  name: "running",
  prepare:
    ({ running }) =>
    ({ composeHash }) =>
      running.filter((use) => use.composeHash === composeHash).map(({ cvm }) => ({ rule: "running", cvm })),
};

/** Hashes that the operator named. */
export const pinnedRule: KeepRule = {
  name: "pinned",
  prepare:
    (_facts, { pins }) =>
    ({ composeHash }) =>
      pins.filter((pin) => pin.composeHash === composeHash).map(({ source }) => ({ rule: "pinned", source })),
};

/** All rules, the most important first. A table shows reasons in this order. */
export const keepRules: readonly KeepRule[] = [
  runningRule,
  movingToRule,
  preparedRule,
  queuedRule,
  pinnedRule,
  newestRule,
  youngRule,
];

/** Sorts by the last addition, newest first. A hash without a date may be the newest, so it comes first. */
export function newestFirst(allowed: readonly AllowedHash[]): readonly AllowedHash[] {
  return [...allowed].sort((one, other) => compare(other, one));
}

function compare({ added: one }: AllowedHash, { added: other }: AllowedHash): number {
  if (one === undefined || other === undefined) return Number(one === undefined) - Number(other === undefined);
  if (one.blockNumber !== other.blockNumber) return one.blockNumber < other.blockNumber ? -1 : 1;
  return one.logIndex - other.logIndex;
}
