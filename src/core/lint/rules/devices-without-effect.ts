import type { LintRule } from "../lint-rule.ts";

export const devicesWithoutEffect: LintRule = {
  name: "devices-without-effect",
  severity: "note",
  summary: "The app lists devices and lets any device boot.",
  check: ({ app }) => {
    const { allowAnyDevice, devices = [] } = app?.policy ?? {};
    return allowAnyDevice === true && devices.length > 0
      ? [
          {
            message: `Any device may boot, so the ${devices.length} on the list decide nothing.`,
            advice: "Switch to the list (dstack device allow-any off) once it is complete.",
          },
        ]
      : [];
  },
};
