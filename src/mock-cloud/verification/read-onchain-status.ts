import type { PublicClient } from "viem";
import { dstackAppAbi } from "../../abi/index.ts";
import type { AppId, ComposeHash, DeviceId } from "../../core/ids.ts";
import { contractFault } from "./contract-fault.ts";
import { requireJudgeable } from "./generation.ts";

export interface OnchainStatus {
  readonly isHashAllowed: boolean;
  /** By its own entry, or because any device is. */
  readonly isDeviceAllowed: boolean;
  readonly isAnyDeviceAllowed: boolean;
  /** By its own entry alone. */
  readonly isDeviceListed: boolean;
}

/**
 * Whether an app's contract allows a document and a device. Where there is no such contract nothing is allowed.
 *
 * @throws ApiError 468 for a contract of a later generation, and when the chain cannot be read
 */
export async function readOnchainStatus(
  client: PublicClient,
  { appId, composeHash, deviceId }: { appId: AppId; composeHash: ComposeHash; deviceId: DeviceId },
): Promise<OnchainStatus> {
  const contract = { address: appId, abi: dstackAppAbi } as const;
  const [isHashAllowed, isAnyDeviceAllowed, isDeviceListed] = await Promise.all([
    orFalse(client.readContract({ ...contract, functionName: "allowedComposeHashes", args: [composeHash] })),
    orFalse(client.readContract({ ...contract, functionName: "allowAnyDevice" })),
    orFalse(client.readContract({ ...contract, functionName: "allowedDeviceIds", args: [deviceId] })),
    requireJudgeable(client, appId),
  ]);
  const isDeviceAllowed = isAnyDeviceAllowed || isDeviceListed;
  return { isHashAllowed, isDeviceAllowed, isAnyDeviceAllowed, isDeviceListed };
}

async function orFalse(reading: Promise<boolean>): Promise<boolean> {
  try {
    return await reading;
  } catch (error) {
    if (contractFault(error) !== undefined) return false;
    throw error;
  }
}
