import { type Address, isAddressEqual } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { readAllowlist, readAppSettings } from "../chain/read-app.ts";
import type { AppId, ComposeHash, DeviceId, Hex } from "../core/ids.ts";
import { allowedAt, type InitialFlags } from "../core/policy/allowed-at.ts";
import type { PolicyChange } from "../core/policy/policy-change.ts";
import { patiently } from "./ask.ts";
import type { IncompletenessReason } from "./history.ts";
import type { Patience } from "./pause.ts";
import { readAllowedKeys } from "./read-allowed-keys.ts";

export interface CompareWithStateParameters extends Patience {
  readonly appId: AppId;
  readonly blockNumber: bigint;
  readonly changes: readonly PolicyChange[];
  readonly initialFlags: InitialFlags;
}

/**
 * Replays an app's changes and says where the contract's own answers at that block differ: every hash and device that
 * was ever named, the flags, the owners and the implementation.
 *
 * @throws NoContractError, ContractRevertedError, RpcUnavailableError, the signal's reason
 */
export async function compareWithState(
  client: ChainClient,
  { appId, blockNumber, changes, initialFlags, ...patience }: CompareWithStateParameters,
): Promise<IncompletenessReason[]> {
  const expected = allowedAt(changes, blockNumber, initialFlags);
  const doing = "comparing the history with the contract";
  const owners = await patiently(patience, doing, () => readAllowlist(client, { appId, blockNumber }));
  const settings = await patiently(patience, doing, () => readAppSettings(client, { appId, blockNumber }));
  const everNamed = <key extends Hex>(keyOf: (change: PolicyChange) => key | undefined) => [
    ...new Set(changes.map(keyOf).filter((key) => key !== undefined)),
  ];
  const composeHashes = everNamed((change) => ("composeHash" in change ? change.composeHash : undefined));
  const devices = everNamed((change) => ("deviceId" in change ? change.deviceId : undefined));
  const at = { appId, blockNumber, ...patience };
  const allowedHashes = await readAllowedKeys(client, { ...at, view: "allowedComposeHashes", keys: composeHashes });
  const allowedDevices = await readAllowedKeys(client, { ...at, view: "allowedDeviceIds", keys: devices });

  const reasons: IncompletenessReason[] = [];
  const words = (is: boolean) => (is ? "allowed" : "not allowed");
  for (const composeHash of composeHashes) {
    const sides = { byEvents: expected.composeHashes.has(composeHash), onChain: allowedHashes.has(composeHash) };
    if (sides.byEvents !== sides.onChain)
      reasons.push(differing({ kind: "composeHashDiffers", composeHash, ...sides }));
  }
  for (const deviceId of devices) {
    const sides = { byEvents: expected.devices.has(deviceId), onChain: allowedDevices.has(deviceId) };
    if (sides.byEvents !== sides.onChain) reasons.push(differing({ kind: "deviceDiffers", deviceId, ...sides }));
  }
  for (const flag of ["allowAnyDevice", "requireTcbUpToDate", "upgradesDisabled"] as const) {
    const byEvents = expected[flag];
    const onChain = settings[flag];
    if (byEvents === undefined || byEvents === onChain) continue;
    const message = `${flag} is ${byEvents} by the events, but ${onChain} in the contract.`;
    reasons.push({ kind: "flagDiffers", flag, byEvents, onChain, message });
  }
  const addresses = { owner: owners.owner, pendingOwner: owners.pendingOwner, implementation: settings.implementation };
  for (const what of ["owner", "pendingOwner", "implementation"] as const) {
    const byEvents = expected[what];
    const onChain = addresses[what];
    if (isSame(byEvents, onChain)) continue;
    const message = `The ${what} is ${byEvents ?? "nobody"} by the events, but ${onChain ?? "nobody"} in the contract.`;
    reasons.push({ kind: "addressDiffers", what, byEvents, onChain, message });
  }
  return reasons;

  function differing(
    difference:
      | { kind: "composeHashDiffers"; composeHash: ComposeHash; byEvents: boolean; onChain: boolean }
      | { kind: "deviceDiffers"; deviceId: DeviceId; byEvents: boolean; onChain: boolean },
  ): IncompletenessReason {
    const name =
      "composeHash" in difference ? `Compose hash ${difference.composeHash}` : `Device ${difference.deviceId}`;
    const message = `${name} is ${words(difference.byEvents)} by the events, but ${words(difference.onChain)} in the contract.`;
    return { ...difference, message };
  }
}

function isSame(one: Address | undefined, other: Address | undefined): boolean {
  return one === undefined || other === undefined ? one === other : isAddressEqual(one, other);
}
