import type { KeepRule } from "./keep-rule.ts";

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
