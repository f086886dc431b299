import type { Abi } from "viem";
import { dstackAppAbi, dstackKmsAbi } from "../../abi/index.ts";

/** Which of the two contracts a call is for: an app's DstackApp or the DstackKms. */
export type PolicyContract = "app" | "kms";

/** One function only an owner (or the invited next owner) may call, and what it leaves behind when it worked. */
export interface PolicyFunction {
  /** The event that proves it; several where versions of the contract differ. */
  readonly eventNames: readonly string[];
  /** Arguments of that event which the call decides. */
  readonly provenBy: (args: readonly unknown[]) => Readonly<Record<string, unknown>>;
  /** What it does, for people: "allow compose hash 0x…". */
  readonly describe: (args: readonly unknown[]) => string;
}

export const policyAbis: Readonly<Record<PolicyContract, Abi>> = { app: dstackAppAbi, kms: dstackKmsAbi };

const ownership = {
  // One-step contracts of the first versions log the second event and change hands at once.
  transferOwnership: onValue(["OwnershipTransferStarted", "OwnershipTransferred"], "newOwner", "offer ownership to"),
  acceptOwnership: { eventNames: ["OwnershipTransferred"], provenBy: () => ({}), describe: () => "accept ownership" },
  renounceOwnership: {
    eventNames: ["OwnershipTransferred"],
    provenBy: () => ({ newOwner: `0x${"00".repeat(20)}` }),
    describe: () => "renounce ownership, for good",
  },
  upgradeToAndCall: onValue(["Upgraded"], "implementation", "upgrade to implementation"),
};

/** The calls this package can put into a batch, by contract and function name. */
export const policyFunctions: Readonly<Record<PolicyContract, Readonly<Record<string, PolicyFunction>>>> = {
  app: {
    addComposeHash: onValue(["ComposeHashAdded"], "composeHash", "allow compose hash"),
    removeComposeHash: onValue(["ComposeHashRemoved"], "composeHash", "remove compose hash"),
    addDevice: onValue(["DeviceAdded"], "deviceId", "allow device"),
    removeDevice: onValue(["DeviceRemoved"], "deviceId", "remove device"),
    setAllowAnyDevice: onSwitch("AllowAnyDeviceSet", "allowAny", ["allow any device", "allow listed devices only"]),
    setRequireTcbUpToDate: onSwitch("RequireTcbUpToDateSet", "requireUpToDate", [
      "require an up-to-date TCB",
      "accept any TCB status",
    ]),
    disableUpgrades: {
      eventNames: ["UpgradesDisabled"],
      provenBy: () => ({}),
      describe: () => "disable upgrades, for good",
    },
    ...ownership,
  },
  kms: {
    addOsImageHash: onValue(["OsImageHashAdded"], "osImageHash", "allow OS image"),
    removeOsImageHash: onValue(["OsImageHashRemoved"], "osImageHash", "remove OS image"),
    addKmsAggregatedMr: onValue(["KmsAggregatedMrAdded"], "mrAggregated", "allow KMS measurement"),
    removeKmsAggregatedMr: onValue(["KmsAggregatedMrRemoved"], "mrAggregated", "remove KMS measurement"),
    addKmsDevice: onValue(["KmsDeviceAdded"], "deviceId", "allow KMS device"),
    removeKmsDevice: onValue(["KmsDeviceRemoved"], "deviceId", "remove KMS device"),
    setAppImplementation: onValue(["AppImplementationSet"], "implementation", "use app implementation"),
    ...ownership,
  },
};

/** A function whose first argument is what its event repeats. */
function onValue(eventNames: readonly string[], argument: string, verb: string): PolicyFunction {
  return { eventNames, provenBy: ([value]) => ({ [argument]: value }), describe: ([value]) => `${verb} ${value}` };
}

function onSwitch(eventName: string, argument: string, [on, off]: readonly [string, string]): PolicyFunction {
  return {
    eventNames: [eventName],
    provenBy: ([value]) => ({ [argument]: value }),
    describe: ([value]) => (value === true ? on : off),
  };
}
