import type { OwnerCall } from "./owner-calls.ts";

/** The view function that tells whether a call would change anything, and the value it returns if not. */
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

const scheduled = { view: "isOperation", alreadySo: true };
const executed = { view: "isOperationDone", alreadySo: true };
/** By function of the timelock. The argument of each view is the operation's id. */
const operationEffects: Readonly<Record<string, Omit<CallEffect, "args">>> = {
  schedule: scheduled,
  scheduleBatch: scheduled,
  execute: executed,
  executeBatch: executed,
  cancel: { view: "isOperationPending", alreadySo: false },
};

/** Returns undefined when no single view function can tell whether the call would change state. */
export function effectOf({ contract, functionName, args, proof }: OwnerCall): CallEffect | undefined {
  const operationEffect = contract === "timelock" ? operationEffects[functionName] : undefined;
  if (operationEffect !== undefined) return { ...operationEffect, args: [proof.args.id] };
  const [, verb, list = ""] = /^(add|remove)(.+)$/.exec(functionName) ?? [];
  const view = lists[list];
  if (view !== undefined) return { view, args, alreadySo: verb === "add" };
  const flag = switches[functionName];
  return flag === undefined ? undefined : { view: flag, args: [], alreadySo: args[0] === true };
}
