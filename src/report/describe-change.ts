import type { PolicyChange } from "../history/policy.ts";

/** What a change did, in words. */
export function describeChange(change: PolicyChange): string {
  switch (change.kind) {
    case "composeHashAdded":
      return `allowed compose hash ${change.composeHash}`;
    case "composeHashRemoved":
      return `removed compose hash ${change.composeHash}`;
    case "deviceAdded":
      return `allowed device ${change.deviceId}`;
    case "deviceRemoved":
      return `removed device ${change.deviceId}`;
    case "allowAnyDeviceSet":
      return change.enabled ? "allowed any device" : "allowed listed devices only";
    case "requireTcbUpToDateSet":
      return change.enabled ? "required an up-to-date TCB" : "accepted any TCB status";
    case "upgradesDisabled":
      return "disabled upgrades, for good";
    case "upgraded":
      return `runs implementation ${change.implementation}`;
    case "ownershipTransferStarted":
      return `offered the ownership to ${change.to}`;
    case "ownershipTransferred":
      return BigInt(change.to) === 0n ? "renounced the ownership" : `made ${change.to} the owner`;
    case "initialized":
      return `initialised, version ${change.version}`;
    case "otherPolicyChanged":
      return `PolicyChanged ${change.policy} ${change.value} ${change.enabled}, without its event`;
  }
}
