import { keccak256, stringToHex } from "viem";
import { privateKeyToAccount } from "viem/accounts";

/** Who owns an app of the upstream. */
export type OwnerKind = "key" | "safe" | "timelock" | "timelockOfSafe" | "mute";

export interface AppCase {
  /** The code behind the app's proxy. */
  readonly contract: "DstackApp" | "DstackAppV059" | "DstackAppV054" | "AppAuthV042";
  readonly owner: OwnerKind;
  /** The KMS in which its CVM is. The live one registers every app. */
  readonly kms: "live" | "current";
  /** Policy events before the document that its CVM runs. */
  readonly events: number;
  readonly hasUpgradesDisabled?: boolean;
  /** Upgraded to an app with key epochs, after its CVM was created. */
  readonly hasKeyEpochs?: boolean;
  /** The image that its CVM booted. @default images.used */
  readonly osImage?: keyof typeof images;
  /** A second CVM, on another node, with another document. */
  readonly hasSecondCvm?: boolean;
  readonly isStopped?: boolean;
}

/** The apps of the upstream: every public layout, every kind of owner, and what can go wrong with them. */
export const appCases = {
  /** The live generation: one step, no PolicyChanged. It has most of the history. */
  "one-step": { contract: "DstackAppV059", owner: "key", kms: "live", events: 240, hasSecondCvm: true },
  "two-step": { contract: "DstackApp", owner: "key", kms: "current", events: 20 },
  "layout-054": { contract: "DstackAppV054", owner: "key", kms: "live", events: 10, isStopped: true },
  /** Loses its policy in an upgrade. */
  "layout-042": { contract: "AppAuthV042", owner: "key", kms: "live", events: 10 },
  /** Can never be upgraded. The KMS no longer allows the OS image that its CVM booted. */
  frozen: {
    contract: "DstackAppV059",
    owner: "key",
    kms: "live",
    events: 8,
    hasUpgradesDisabled: true,
    osImage: "past",
  },
  "of-safe": { contract: "DstackAppV059", owner: "safe", kms: "live", events: 10 },
  "of-timelock": { contract: "DstackApp", owner: "timelock", kms: "live", events: 6 },
  "of-timelock-of-safe": { contract: "DstackApp", owner: "timelockOfSafe", kms: "live", events: 6 },
  /** Its owner is a contract that calls no other contract: the app cannot be changed any more. */
  stranded: { contract: "DstackAppV059", owner: "mute", kms: "live", events: 4 },
  epochs: { contract: "DstackApp", owner: "key", kms: "live", events: 4, hasKeyEpochs: true },
} as const satisfies Readonly<Record<string, AppCase>>;

export type AppName = keyof typeof appCases;
export const appNames = Object.keys(appCases) as readonly AppName[];

/** The OS images of the upstream's cloud. They are not those of a local world. */
export const images = {
  used: { name: "dstack-0.5.9", version: "0.5.9", osImageHash: hashOf("image dstack-0.5.9"), isDev: false },
  /** The live KMS allowed it once, and not any more. */
  past: { name: "dstack-0.5.3", version: "0.5.3", osImageHash: hashOf("image dstack-0.5.3"), isDev: false },
} as const;

export const nodes = [
  { id: 31, name: "prod31", deviceId: hashOf("machine prod31") },
  { id: 32, name: "prod32", deviceId: hashOf("machine prod32") },
] as const;

/** Seconds between scheduling and execution. */
export const timelockDelay = 172_800;
export const safeThreshold = 2;

/**
 * The keys that own the upstream's contracts. None of them is an account that a local chain funds or unlocks, so a
 * rehearsal gets no help from those.
 */
export const privateKeys = {
  /** Of the apps, and of the current KMS. */
  owner: hashOf("key of the owner of the apps"),
  /** They own the Safe, and two of them must sign. The Safe owns the live KMS too. */
  safeOwner1: hashOf("key of the first owner of the Safe"),
  safeOwner2: hashOf("key of the second owner of the Safe"),
  safeOwner3: hashOf("key of the third owner of the Safe"),
  /** Proposes in the timelock that no Safe stands behind. */
  proposer: hashOf("key of the proposer of the timelock"),
  stranger: hashOf("key of a stranger"),
} as const;
export type Person = keyof typeof privateKeys;
export const people = Object.keys(privateKeys) as readonly Person[];
export const safeOwners = ["safeOwner1", "safeOwner2", "safeOwner3"] as const;

export function addressOf(person: Person) {
  return privateKeyToAccount(privateKeys[person]).address;
}

export function hashOf(text: string) {
  return keccak256(stringToHex(`upstream: ${text}`));
}
