import type { Address } from "viem";
import type { Hex } from "./ids.ts";
import { buildOwnerCall, type OwnerCall } from "./owner-calls.ts";

interface OnKms {
  readonly kms: Address;
}

/**
 * Allows an OS image for every app of the KMS.
 *
 * @example
 * import { addOsImageHashCall } from "dstack-toolkit/batch";
 * import { kms, osImageHash } from "./app.js";
 * const call = addOsImageHashCall({ kms, osImageHash });
 */
export function addOsImageHashCall({ kms, osImageHash }: OnKms & { readonly osImageHash: Hex }): OwnerCall {
  return onKms(kms, "addOsImageHash", osImageHash);
}

/**
 * Removes an OS image from the list, for every app of the KMS.
 *
 * @example
 * import { removeOsImageHashCall } from "dstack-toolkit/batch";
 * import { kms, osImageHash } from "./app.js";
 * const call = removeOsImageHashCall({ kms, osImageHash });
 */
export function removeOsImageHashCall({ kms, osImageHash }: OnKms & { readonly osImageHash: Hex }): OwnerCall {
  return onKms(kms, "removeOsImageHash", osImageHash);
}

/**
 * Allows KMS nodes with this aggregated measurement.
 *
 * @example
 * import { addKmsAggregatedMrCall } from "dstack-toolkit/batch";
 * import { kms, mrAggregated } from "./app.js";
 * const call = addKmsAggregatedMrCall({ kms, mrAggregated });
 */
export function addKmsAggregatedMrCall({ kms, mrAggregated }: OnKms & { readonly mrAggregated: Hex }): OwnerCall {
  return onKms(kms, "addKmsAggregatedMr", mrAggregated);
}

/**
 * Removes an aggregated measurement of KMS nodes from the list.
 *
 * @example
 * import { removeKmsAggregatedMrCall } from "dstack-toolkit/batch";
 * import { kms, mrAggregated } from "./app.js";
 * const call = removeKmsAggregatedMrCall({ kms, mrAggregated });
 */
export function removeKmsAggregatedMrCall({ kms, mrAggregated }: OnKms & { readonly mrAggregated: Hex }): OwnerCall {
  return onKms(kms, "removeKmsAggregatedMr", mrAggregated);
}

/**
 * Allows a device to run KMS nodes.
 *
 * @example
 * import { addKmsDeviceCall } from "dstack-toolkit/batch";
 * import { deviceId, kms } from "./app.js";
 * const call = addKmsDeviceCall({ kms, deviceId });
 */
export function addKmsDeviceCall({ kms, deviceId }: OnKms & { readonly deviceId: Hex }): OwnerCall {
  return onKms(kms, "addKmsDevice", deviceId);
}

/**
 * Removes a device of KMS nodes from the list.
 *
 * @example
 * import { removeKmsDeviceCall } from "dstack-toolkit/batch";
 * import { deviceId, kms } from "./app.js";
 * const call = removeKmsDeviceCall({ kms, deviceId });
 */
export function removeKmsDeviceCall({ kms, deviceId }: OnKms & { readonly deviceId: Hex }): OwnerCall {
  return onKms(kms, "removeKmsDevice", deviceId);
}

/**
 * Sets the code of apps that the factory creates from now on.
 *
 * @example
 * import { setAppImplementationCall } from "dstack-toolkit/batch";
 * import { implementation, kms } from "./app.js";
 * const call = setAppImplementationCall({ kms, implementation });
 */
export function setAppImplementationCall({ kms, implementation }: OnKms & { readonly implementation: Address }) {
  return onKms(kms, "setAppImplementation", implementation);
}

/**
 * Offers the KMS to a new owner.
 *
 * @example
 * import { transferKmsOwnershipCall } from "dstack-toolkit/batch";
 * import { kms, safe } from "./app.js";
 * const call = transferKmsOwnershipCall({ kms, newOwner: safe });
 */
export function transferKmsOwnershipCall({ kms, newOwner }: OnKms & { readonly newOwner: Address }): OwnerCall {
  return onKms(kms, "transferOwnership", newOwner);
}

/**
 * Accepts an offered ownership of the KMS. The pending owner must send the call.
 *
 * @example
 * import { acceptKmsOwnershipCall } from "dstack-toolkit/batch";
 * import { kms } from "./app.js";
 * const call = acceptKmsOwnershipCall({ kms });
 */
export function acceptKmsOwnershipCall({ kms }: OnKms): OwnerCall {
  return onKms(kms, "acceptOwnership");
}

function onKms(kms: Address, functionName: string, ...args: readonly unknown[]): OwnerCall {
  return buildOwnerCall({ contract: "kms", to: kms, functionName, args });
}
