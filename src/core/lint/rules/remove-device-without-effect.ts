import type { LintRule } from "../lint-rule.ts";

export const removeDeviceWithoutEffect: LintRule = {
  name: "remove-device-without-effect",
  severity: "error",
  summary: "A device is removed while any device may boot, which bars nothing.",
  check: ({ app, calls = [] }) => {
    const switches = calls.filter(({ functionName }) => functionName === "setAllowAnyDevice");
    const allowsAny = switches.at(-1)?.args[0] ?? app?.policy?.allowAnyDevice;
    return allowsAny !== true
      ? []
      : calls
          .filter(({ functionName }) => functionName === "removeDevice")
          .map(({ args: [device] }) => ({
            message: `Removing device ${device} bars nothing: the app lets any device boot.`,
            advice: "Stop allowing any device (dstack device allow-any off), in the same batch or before.",
          }));
  },
};
