import type { LintRule } from "../lint-rule.ts";

export const cvmWouldNotBoot: LintRule = {
  name: "cvm-would-not-boot",
  severity: "warning",
  summary: "A CVM runs a compose hash, or on a device, that is no longer allowed: its next boot will be refused.",
  check: ({ app, cvms = [] }) => {
    const { composeHashes, devices, allowAnyDevice } = app?.policy ?? {};
    const lacks = (list: readonly string[] | undefined, value: string | undefined) =>
      list !== undefined && value !== undefined && !list.some((item) => item.toLowerCase() === value.toLowerCase());
    return cvms.flatMap(({ name, composeHash, deviceId }) => [
      ...(lacks(composeHashes, composeHash)
        ? [
            {
              message: `${name} runs compose hash ${composeHash}, which is not allowed.`,
              advice: "It runs until it is restarted. Allow the hash, or update the CVM.",
            },
          ]
        : []),
      ...(allowAnyDevice === false && lacks(devices, deviceId)
        ? [
            {
              message: `${name} runs on device ${deviceId}, which is not allowed.`,
              advice: "It runs until it is restarted. Allow the device.",
            },
          ]
        : []),
    ]);
  },
};
