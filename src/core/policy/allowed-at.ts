import type { Address } from "viem";
import type { ComposeHash, DeviceId } from "../ids.ts";
import { compareChanges, type PolicyChange } from "./policy-change.ts";

type ChangeOf<kind extends PolicyChange["kind"]> = Extract<PolicyChange, { kind: kind }>;
export type ComposeHashChange = ChangeOf<"composeHashAdded" | "composeHashRemoved">;
export type DeviceChange = ChangeOf<"deviceAdded" | "deviceRemoved">;

/** The flags an app was created with. Its creation logs no event for them. */
export interface InitialFlags {
  readonly allowAnyDevice?: boolean | undefined;
  readonly requireTcbUpToDate?: boolean | undefined;
  readonly upgradesDisabled?: boolean | undefined;
}

/** What an app allowed at one block. A flag or address is undefined where the changes given do not tell. */
export interface AllowedAtReturnType {
  /** Each allowed hash with the change that allowed it: the first add since its last removal. */
  readonly composeHashes: ReadonlyMap<ComposeHash, ComposeHashChange>;
  /** Each listed device, in the same way. They count only while `allowAnyDevice` is false. */
  readonly devices: ReadonlyMap<DeviceId, DeviceChange>;
  readonly allowAnyDevice: boolean | undefined;
  readonly requireTcbUpToDate: boolean | undefined;
  readonly upgradesDisabled: boolean | undefined;
  readonly owner: Address | undefined;
  /** Who may accept the ownership; undefined if nobody is invited. */
  readonly pendingOwner: Address | undefined;
  readonly implementation: Address | undefined;
}

/**
 * Replays an app's changes up to and including a block.
 *
 * @param blockNumber all changes if absent
 * @param initial what the app's creation set without an event
 */
export function allowedAt(
  changes: readonly PolicyChange[],
  blockNumber?: bigint,
  initial: InitialFlags = {},
): AllowedAtReturnType {
  const composeHashes = new Map<ComposeHash, ComposeHashChange>();
  const devices = new Map<DeviceId, DeviceChange>();
  let { allowAnyDevice, requireTcbUpToDate, upgradesDisabled } = initial;
  let owner: Address | undefined;
  let pendingOwner: Address | undefined;
  let implementation: Address | undefined;
  for (const change of changes.toSorted(compareChanges)) {
    if (blockNumber !== undefined && change.blockNumber > blockNumber) break;
    switch (change.kind) {
      case "composeHashAdded":
        // Adding an allowed hash again is a transaction like any other; it changes nothing.
        if (!composeHashes.has(change.composeHash)) composeHashes.set(change.composeHash, change);
        break;
      case "composeHashRemoved":
        composeHashes.delete(change.composeHash);
        break;
      case "deviceAdded":
        if (!devices.has(change.deviceId)) devices.set(change.deviceId, change);
        break;
      case "deviceRemoved":
        devices.delete(change.deviceId);
        break;
      case "allowAnyDeviceSet":
        allowAnyDevice = change.enabled;
        break;
      case "requireTcbUpToDateSet":
        requireTcbUpToDate = change.enabled;
        break;
      case "upgradesDisabled":
        upgradesDisabled = true;
        break;
      case "upgraded":
        implementation = change.implementation;
        break;
      case "ownershipTransferStarted":
        pendingOwner = change.to;
        break;
      case "ownershipTransferred":
        owner = change.to;
        pendingOwner = undefined;
        break;
    }
  }
  return {
    composeHashes,
    devices,
    allowAnyDevice,
    requireTcbUpToDate,
    upgradesDisabled,
    owner,
    pendingOwner: pendingOwner === undefined || BigInt(pendingOwner) === 0n ? undefined : pendingOwner,
    implementation,
  };
}
