import { nameOfCvm } from "../core/ids.ts";
import type { AllowedHash, CvmReference, PruneFacts, PrunePolicy } from "./facts.ts";

/** Why a hash stays allowed. Each kind is one rule's. */
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

/** The reason in words, as the end of a sentence that begins with the hash. */
export function describeReason(reason: KeepReason): string {
  switch (reason.rule) {
    case "running":
      return reason.cvm.status === "running"
        ? `runs on ${nameOfCvm(reason.cvm)}`
        : `boots next on ${nameOfCvm(reason.cvm)}, which is ${reason.cvm.status}`;
    case "moving-to":
      return `${nameOfCvm(reason.cvm)} is being moved to it`;
    case "prepared":
      return `an update of ${nameOfCvm(reason.cvm)}, or a CVM made after it, is prepared with it until ${reason.expiresAt}`;
    case "queued":
      return `is named in ${reason.source}`;
    case "newest":
      return `is number ${reason.rank} of the newest ${reason.keep}`;
    case "young":
      return reason.ageSeconds === undefined
        ? "nobody knows how old it is"
        : `is ${describeAge(reason.ageSeconds)} old, younger than ${describeAge(reason.olderThanSeconds)}`;
    case "pinned":
      return `is pinned by ${reason.source}`;
    case "last":
      return "would be the last one removed, and a list without a hash lets nothing boot";
  }
}

/** Whole days from two days on, else hours, minutes or seconds. */
export function describeAge(seconds: number): string {
  const [size, unit] = [[86_400, "d"] as const, [3_600, "h"] as const, [60, "min"] as const, [1, "s"] as const].find(
    ([size]) => seconds >= 2 * size,
  ) ?? [1, "s"];
  return `${Math.floor(seconds / size)} ${unit}`;
}

/** One reason for which a hash stays. Rules never overrule each other: one reason is enough. */
export interface KeepRule {
  readonly name: KeepRuleName;
  /** Looks at the facts once and answers for each hash. */
  prepare(facts: PruneFacts, policy: PrunePolicy): (hash: AllowedHash) => readonly KeepReason[];
}

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

/** What was added less than the wanted time before the pinned block, by the chain's clock alone. */
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

/** What an operation under way will boot: the cloud has accepted it and asks the contract only at the boot. */
export const movingToRule: KeepRule = {
  name: "moving-to",
  prepare:
    ({ movingTo }) =>
    ({ composeHash }) =>
      movingTo.filter((use) => use.composeHash === composeHash).map(({ cvm }) => ({ rule: "moving-to", cvm })),
};

/** What a Safe's or a timelock's waiting call names, whatever it does with it: its signers have agreed on this list. */
export const queuedRule: KeepRule = {
  name: "queued",
  prepare:
    (_facts, { queued }) =>
    ({ composeHash }) =>
      queued
        .filter(({ composeHashes }) => composeHashes.includes(composeHash))
        .map(({ source }) => ({ rule: "queued", source })),
};

/** What somebody may still commit: the token lives up to 14 days, and the commit demands that the hash is allowed. */
export const preparedRule: KeepRule = {
  name: "prepared",
  prepare:
    ({ prepared }) =>
    ({ composeHash }) =>
      prepared
        .filter((use) => use.composeHash === composeHash)
        .map(({ cvm, expiresAt }) => ({ rule: "prepared", cvm, expiresAt })),
};

/** What a CVM runs, or would boot next if it is stopped: without the hash its next boot gets no keys. */
export const runningRule: KeepRule = {
  name: "running",
  prepare:
    ({ running }) =>
    ({ composeHash }) =>
      running.filter((use) => use.composeHash === composeHash).map(({ cvm }) => ({ rule: "running", cvm })),
};

/** What the operator named. */
export const pinnedRule: KeepRule = {
  name: "pinned",
  prepare:
    (_facts, { pins }) =>
    ({ composeHash }) =>
      pins.filter((pin) => pin.composeHash === composeHash).map(({ source }) => ({ rule: "pinned", source })),
};

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

/** By when each was added last. One without a date may be the newest of all, so it comes first. */
export function newestFirst(allowed: readonly AllowedHash[]): readonly AllowedHash[] {
  return [...allowed].sort((one, other) => compare(other, one));
}

function compare({ added: one }: AllowedHash, { added: other }: AllowedHash): number {
  if (one === undefined || other === undefined) return Number(one === undefined) - Number(other === undefined);
  if (one.blockNumber !== other.blockNumber) return one.blockNumber < other.blockNumber ? -1 : 1;
  return one.logIndex - other.logIndex;
}
