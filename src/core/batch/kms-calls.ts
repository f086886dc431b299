import type { Address } from "viem";
import type { Hex } from "../hex.ts";
import { buildPolicyCall, type PolicyCall } from "./policy-call.ts";

interface OnKms {
  readonly kms: Address;
}

/** Allows an OS image for every app of the KMS. */
export function addOsImageHashCall({ kms, osImageHash }: OnKms & { readonly osImageHash: Hex }): PolicyCall {
  return onKms(kms, "addOsImageHash", osImageHash);
}

/** Takes an OS image off the list, for every app of the KMS. */
export function removeOsImageHashCall({ kms, osImageHash }: OnKms & { readonly osImageHash: Hex }): PolicyCall {
  return onKms(kms, "removeOsImageHash", osImageHash);
}

/** Allows KMS nodes with this aggregated measurement. */
export function addKmsAggregatedMrCall({ kms, mrAggregated }: OnKms & { readonly mrAggregated: Hex }): PolicyCall {
  return onKms(kms, "addKmsAggregatedMr", mrAggregated);
}

/** Takes an aggregated measurement of KMS nodes off the list. */
export function removeKmsAggregatedMrCall({ kms, mrAggregated }: OnKms & { readonly mrAggregated: Hex }): PolicyCall {
  return onKms(kms, "removeKmsAggregatedMr", mrAggregated);
}

/** Allows a device to run KMS nodes. */
export function addKmsDeviceCall({ kms, deviceId }: OnKms & { readonly deviceId: Hex }): PolicyCall {
  return onKms(kms, "addKmsDevice", deviceId);
}

/** Takes a device of KMS nodes off the list. */
export function removeKmsDeviceCall({ kms, deviceId }: OnKms & { readonly deviceId: Hex }): PolicyCall {
  return onKms(kms, "removeKmsDevice", deviceId);
}

/** Chooses the code of apps the factory creates from now on. */
export function setAppImplementationCall({ kms, implementation }: OnKms & { readonly implementation: Address }) {
  return onKms(kms, "setAppImplementation", implementation);
}

/** Offers the KMS to a new owner. */
export function transferKmsOwnershipCall({ kms, newOwner }: OnKms & { readonly newOwner: Address }): PolicyCall {
  return onKms(kms, "transferOwnership", newOwner);
}

/** Takes an offered ownership of the KMS, as the invited owner. */
export function acceptKmsOwnershipCall({ kms }: OnKms): PolicyCall {
  return onKms(kms, "acceptOwnership");
}

function onKms(kms: Address, functionName: string, ...args: readonly unknown[]): PolicyCall {
  return buildPolicyCall({ contract: "kms", to: kms, functionName, args });
}
