import { nameOfCvm } from "../ids.ts";
import type { CvmReference } from "./prune-facts.ts";

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
