import type { ReadOwnerReturnType } from "../chain/read-owner.ts";
import { formatDuration } from "./format.ts";

/** What stands behind an owner's address, in a few words. */
export function describeOwner(owner: ReadOwnerReturnType): string {
  switch (owner.kind) {
    case "renounced":
      return "nobody: the ownership was renounced";
    case "eoa": {
      const delegation = owner.delegatedTo === undefined ? "" : `, delegates to ${owner.delegatedTo} (EIP-7702)`;
      return `one key${owner.isUsed ? "" : ", never used on this chain"}${delegation}`;
    }
    case "safe":
      return `Safe ${owner.version}, ${owner.threshold} of ${owner.owners.length} owners`;
    case "timelock":
      return `timelock, delay ${formatDelay(owner.minDelaySeconds)}`;
    case "contract":
      return "a contract that is no Safe and no timelock";
  }
}

/** The address and what stands behind it; the owners of a Safe below. */
export function describeOwnerFully(owner: ReadOwnerReturnType): string {
  if (owner.kind === "renounced") return describeOwner(owner);
  const members = owner.kind === "safe" ? owner.owners.map((address) => `\n    ${address}`).join("") : "";
  return `${owner.address}  ${describeOwner(owner)}${members}`;
}

function formatDelay(seconds: bigint): string {
  if (seconds >= 172_800n) return `${Number((seconds * 10n) / 86_400n) / 10} days`;
  if (seconds >= 7_200n) return `${Number((seconds * 10n) / 3_600n) / 10} hours`;
  return seconds >= 60n ? `${seconds / 60n} min ${seconds % 60n} s` : formatDuration(Number(seconds) * 1000);
}
