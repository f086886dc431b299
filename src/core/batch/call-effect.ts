import type { PolicyCall } from "./policy-call.ts";

/** The view of the called contract that says whether a call would change anything, and what it answers if not. */
export interface CallEffect {
  readonly view: string;
  readonly args: readonly unknown[];
  readonly alreadySo: boolean;
}

const lists: Readonly<Record<string, string>> = {
  ComposeHash: "allowedComposeHashes",
  Device: "allowedDeviceIds",
  OsImageHash: "allowedOsImages",
  KmsAggregatedMr: "kmsAllowedAggregatedMrs",
  KmsDevice: "kmsAllowedDeviceIds",
};
const switches: Readonly<Record<string, string>> = {
  setAllowAnyDevice: "allowAnyDevice",
  setRequireTcbUpToDate: "requireTcbUpToDate",
};

/** Undefined for calls whose effect no single view tells. */
export function effectOf({ functionName, args }: PolicyCall): CallEffect | undefined {
  const [, verb, list = ""] = /^(add|remove)(.+)$/.exec(functionName) ?? [];
  const view = lists[list];
  if (view !== undefined) return { view, args, alreadySo: verb === "add" };
  const flag = switches[functionName];
  return flag === undefined ? undefined : { view: flag, args: [], alreadySo: args[0] === true };
}
