import type { Address } from "viem";
import type { Hex } from "../hex.ts";
import type { AppId, ComposeHash, DeviceId } from "../ids.ts";
import { buildPolicyCall, type PolicyCall } from "./policy-call.ts";

interface OnApp {
  readonly appId: AppId;
}

/** Allows a compose hash. */
export function addComposeHashCall({ appId, composeHash }: OnApp & { readonly composeHash: ComposeHash }): PolicyCall {
  return onApp(appId, "addComposeHash", composeHash);
}

/** Takes a compose hash off the list: stops the next boot, not a CVM that runs. */
export function removeComposeHashCall({
  appId,
  composeHash,
}: OnApp & { readonly composeHash: ComposeHash }): PolicyCall {
  return onApp(appId, "removeComposeHash", composeHash);
}

/** Allows a device. */
export function addDeviceCall({ appId, deviceId }: OnApp & { readonly deviceId: DeviceId }): PolicyCall {
  return onApp(appId, "addDevice", deviceId);
}

/** Takes a device off the list. Without effect on boots while any device is allowed. */
export function removeDeviceCall({ appId, deviceId }: OnApp & { readonly deviceId: DeviceId }): PolicyCall {
  return onApp(appId, "removeDevice", deviceId);
}

/** Switches between any device and the listed ones. */
export function setAllowAnyDeviceCall({ appId, allowAny }: OnApp & { readonly allowAny: boolean }): PolicyCall {
  return onApp(appId, "setAllowAnyDevice", allowAny);
}

/** Switches whether a boot needs an up-to-date TCB. Contracts of the first versions do not have it. */
export function setRequireTcbUpToDateCall({
  appId,
  requireUpToDate,
}: OnApp & { readonly requireUpToDate: boolean }): PolicyCall {
  return onApp(appId, "setRequireTcbUpToDate", requireUpToDate);
}

/** Closes the upgrade path. Nobody can open it again. */
export function disableUpgradesCall({ appId }: OnApp): PolicyCall {
  return onApp(appId, "disableUpgrades");
}

/** Replaces the code behind the proxy and makes one call to the new one; `data` is empty for none. */
export function upgradeCall({
  appId,
  implementation,
  data = "0x",
}: OnApp & { readonly implementation: Address; readonly data?: Hex }): PolicyCall {
  return onApp(appId, "upgradeToAndCall", implementation, data);
}

/** Offers ownership; contracts of the first versions hand it over at once. */
export function transferOwnershipCall({ appId, newOwner }: OnApp & { readonly newOwner: Address }): PolicyCall {
  return onApp(appId, "transferOwnership", newOwner);
}

/** Takes an offered ownership, as the invited owner. */
export function acceptOwnershipCall({ appId }: OnApp): PolicyCall {
  return onApp(appId, "acceptOwnership");
}

/** Leaves the app without an owner: nobody can change anything again. */
export function renounceOwnershipCall({ appId }: OnApp): PolicyCall {
  return onApp(appId, "renounceOwnership");
}

function onApp(appId: AppId, functionName: string, ...args: readonly unknown[]): PolicyCall {
  return buildPolicyCall({ contract: "app", to: appId, functionName, args });
}
