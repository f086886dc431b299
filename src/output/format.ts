import type { Chain } from "viem";
import type { ReadOwnerReturnType } from "../chain/read-owner.ts";
import type { OwnerCall } from "../core/owner-calls.ts";
import { controlCharacters } from "../core/text.ts";
import { describeDelay } from "../core/timelock-calls.ts";
import type { ExaminedAccount, OwnerContractRole } from "../governance/examined-owner.ts";
import type { PolicyChange } from "../history/policy.ts";

export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 60_000
    ? `${(ms / 1000).toFixed(1)} s`
    : `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

/** First and last digits of a hash, for tables. Do not use it if a reader must copy the value. */
export function shortHash(hash: string): string {
  return hash.length <= 20 ? hash : `${hash.slice(0, 10)}…${hash.slice(-6)}`;
}

/** `2026-11-21 03:00:00`, in UTC. @param time seconds since 1970, or ISO 8601 */
export function formatTime(time: bigint | string): string {
  const date = new Date(typeof time === "string" ? time : Number(time) * 1000);
  return date.toISOString().replace("T", " ").slice(0, 19);
}

/** Page of the chain's block explorer; undefined if there is none, as for a local chain. */
export function explorerLink(
  chain: Pick<Chain, "blockExplorers"> | undefined,
  kind: "tx" | "address" | "block",
  id: string,
): string | undefined {
  const url = chain?.blockExplorers?.default.url;
  return url === undefined ? undefined : `${url.replace(/\/$/, "")}/${kind}/${id}`;
}

/**
 * One line of JSON. Bigints become decimal strings, maps become objects, sets become arrays, so no reader loses digits.
 * Characters that could control a terminal are escaped, even where JSON does not require it.
 */
export function toJson(value: unknown): string {
  const json = JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === "bigint") return part.toString();
    if (part instanceof Map) return Object.fromEntries(part);
    return part instanceof Set ? [...part] : part;
  });
  return json.replace(controlCharacters, escapeCharacter);
}

function escapeCharacter(character: string): string {
  return Array.from({ length: character.length }, (_, index) => {
    return `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`;
  }).join("");
}

/** Past tense and object of the functions that commands call. */
const callResults: Readonly<Record<string, readonly [verb: string, one: string, several: string]>> = {
  addComposeHash: ["allowed", "compose hash", "compose hashes"],
  removeComposeHash: ["removed", "compose hash", "compose hashes"],
  addDevice: ["allowed", "device", "devices"],
  removeDevice: ["removed", "device", "devices"],
  addOsImageHash: ["allowed", "OS image", "OS images"],
  removeOsImageHash: ["removed", "OS image", "OS images"],
  addKmsDevice: ["allowed", "KMS device", "KMS devices"],
  removeKmsDevice: ["removed", "KMS device", "KMS devices"],
  addKmsAggregatedMr: ["allowed", "KMS measurement", "KMS measurements"],
  removeKmsAggregatedMr: ["removed", "KMS measurement", "KMS measurements"],
};

type DoneCall = Pick<OwnerCall, "functionName" | "args">;

/** Past tense of the functions that change no list. */
const otherResults: Readonly<Record<string, (value: unknown) => string>> = {
  setAllowAnyDevice: (isOn) => (isOn === true ? "allowed any device" : "allowed only the listed devices"),
  setRequireTcbUpToDate: (isOn) => (isOn === true ? "required an up-to-date TCB" : "accepted any TCB status"),
  disableUpgrades: () => "disabled upgrades permanently",
  transferOwnership: (to) => (BigInt(`${to}`) === 0n ? "withdrew the offer of the ownership" : "offered the ownership"),
  acceptOwnership: () => "accepted the ownership",
  renounceOwnership: () => "renounced the ownership permanently",
  upgradeToAndCall: () => "upgraded the code",
  setAppImplementation: () => "set the code of new apps",
  schedule: () => "scheduled the timelock operation",
  scheduleBatch: () => "scheduled the timelock operation",
  execute: () => "executed the timelock operation",
  executeBatch: () => "executed the timelock operation",
  cancel: () => "cancelled the timelock operation",
};

/** What executed calls did: "Allowed 1 compose hash, removed 2 compose hashes". */
export function describeCalls(calls: readonly DoneCall[]): string {
  const text = [...new Set(calls.map(({ functionName }) => functionName))].map((functionName) => {
    const same = calls.filter((call) => call.functionName === functionName);
    const [verb, one, several] = callResults[functionName] ?? [];
    if (verb && one && several) return `${verb} ${formatCount(same.length, one, several)}`;
    return otherResults[functionName]?.(same.at(-1)?.args[0]) ?? `called ${functionName}`;
  });
  const [first = ""] = text;
  return `${first.charAt(0).toUpperCase()}${text.join(", ").slice(1)}`;
}

/** The hash, device or address of each executed call, with its verb if the calls did different things. */
export function listValues(calls: readonly DoneCall[]): readonly string[] {
  const valued = calls.filter(({ args: [value] }) => typeof value === "string");
  const isOneKind = new Set(valued.map(({ functionName }) => functionName)).size === 1;
  return valued.map(({ functionName, args: [value] }) => {
    const verb = isOneKind ? undefined : (callResults[functionName]?.[0] ?? functionName);
    return verb === undefined ? `${value}` : `${verb}  ${value}`;
  });
}

export function formatCount(number: number, one: string, several: string): string {
  return `${number} ${number === 1 ? one : several}`;
}

/** Describes what a change did. */
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
      return "disabled upgrades permanently";
    case "upgraded":
      return `upgraded to implementation ${change.implementation}`;
    case "ownershipTransferStarted":
      return BigInt(change.to) === 0n ? "withdrew the offer of the ownership" : `offered the ownership to ${change.to}`;
    case "ownershipTransferred":
      return BigInt(change.to) === 0n ? "renounced the ownership" : `made ${change.to} the owner`;
    case "initialized":
      return `initialised, version ${change.version}`;
    case "otherPolicyChanged":
      return `emitted PolicyChanged ${change.policy} ${change.value} ${change.enabled} without the matching event`;
  }
}

/** Describes an owner in a few words. */
export function describeOwner(owner: ReadOwnerReturnType): string {
  switch (owner.kind) {
    case "renounced":
      return "none: the ownership was renounced";
    case "eoa": {
      const delegation = owner.delegatedTo === undefined ? "" : `, delegates to ${owner.delegatedTo} (EIP-7702)`;
      return `one key${owner.isUsed ? "" : ", never used on this chain"}${delegation}`;
    }
    case "safe":
      return `Safe ${owner.version}, ${owner.threshold} of ${owner.owners.length} owners`;
    case "timelock":
      return owner.minDelaySeconds === 0n
        ? "timelock without a delay"
        : `timelock, delay ${describeDelay(owner.minDelaySeconds)}`;
    case "contract":
      return "a contract, neither a Safe nor a timelock";
  }
}

/** The address and its description, followed by the owners of a Safe. */
export function describeOwnerFully(owner: ReadOwnerReturnType): string {
  if (owner.kind === "renounced") return describeOwner(owner);
  const members = owner.kind === "safe" ? owner.owners.map((address) => `\n    ${address}`).join("") : "";
  return `${owner.address}  ${describeOwner(owner)}${members}`;
}

/** An examined owner with the accounts that act for it, each on a line below it. */
export function describeExamined(account: ExaminedAccount, indent = "    "): string {
  const below = (accounts: readonly ExaminedAccount[], does = "") =>
    accounts.map((one) => `\n${indent}${does}${describeExamined(one, `${indent}  `)}`).join("");
  const { address } = account;
  switch (account.kind) {
    case "renounced":
      return `${address}  the zero address`;
    case "eoa":
      return `${address}  ${describeOwner({ ...account, isUsed: account.nonce > 0 || account.balanceWei > 0n })}`;
    case "safe": {
      const owners = account.owners.map((one) => one.address);
      return `${address}  ${describeOwner({ ...account, owners })}${below(account.owners)}`;
    }
    case "timelock": {
      const { proposers, executors, isProposerOpen, isExecutorOpen } = account;
      const listed = (does: string, accounts: typeof proposers, isOpen: boolean) => {
        if (isOpen) return `\n${indent}${does} every account`;
        return accounts === undefined ? `\n${indent}${does} not known` : below(accounts, `${does} `);
      };
      const roles = [listed("proposes", proposers, isProposerOpen), listed("executes", executors, isExecutorOpen)];
      return `${address}  ${describeOwner(account)}${roles.join("")}`;
    }
    case "contract":
      return `${address}  ${contractRoles[account.role]}`;
    case "unread":
      return `${address}  ${account.why === "circular" ? "acts only through itself" : "not examined"}`;
  }
}

const contractRoles: Readonly<Record<OwnerContractRole, string>> = {
  target: "the contract itself",
  kms: "a DstackKms",
  app: "the contract of another app",
  implementation: "the code behind a proxy",
  open: "makes the calls of every account",
  shared: "a contract for all users",
  cannotCall: "a contract that cannot call",
  unknown: "a contract, neither a Safe nor a timelock",
};

/** A file name as one word of a command line. */
export function shellWord(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** "3 confirmations, 2 needed": owners may sign more often than their Safe demands. */
export function describeConfirmations(given: number, threshold: bigint): string {
  return `${given} ${given === 1 ? "confirmation" : "confirmations"}, ${threshold} needed`;
}
