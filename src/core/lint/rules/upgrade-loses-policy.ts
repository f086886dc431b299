import type { LintRule } from "../lint-rule.ts";

/** Advice for an app with `appId()`, instead of any advice to upgrade. */
export const doNotUpgrade =
  "Do not upgrade: the app is of v0.4.2 to v0.5.3, and later code would find none of its hashes, devices and switches.";

export const upgradeLosesPolicy: LintRule = {
  name: "upgrade-loses-policy",
  severity: "error",
  summary: "The app is of v0.4.2 to v0.5.3 (it has `appId()`): an upgrade to later code would lose its whole policy.",
  check: ({ app, calls }) => {
    const shiftedAppId = app?.policy?.shiftedAppId;
    if (shiftedAppId === undefined) return [];
    const isUpgraded = calls?.some(({ functionName }) => functionName === "upgradeToAndCall") === true;
    return [
      {
        message: isUpgraded
          ? "The upgrade would succeed, and the app would allow nothing afterwards."
          : `The app keeps its app id, ${shiftedAppId}, where later code looks for its hashes.`,
        advice: `${doNotUpgrade} For later code, deploy a new app.`,
        severity: isUpgraded ? "error" : "note",
      },
    ];
  },
};
