import { encodeFunctionData } from "viem";
import type { AppId, DeviceId, TransactionHash } from "../core/ids.ts";
import { dstackAppAbi } from "../generated/abi.ts";
import type { ChainClient } from "./client.ts";
import { sendContractCall, type WriteParameters } from "./transactions/broadcast.ts";

export interface RemoveDeviceParameters extends WriteParameters {
  readonly appId: AppId;
  readonly deviceId: DeviceId;
}

export type RemoveDeviceReturnType = TransactionHash;

/**
 * Removes a device from an app's list. This has no effect on boots while the app allows any device.
 *
 * @throws the errors of sendContractCall
 *
 * @example
 * import { removeDevice } from "dstack-toolkit/chain";
 * import { appId, client, deviceId } from "./app.js";
 * const transactionHash = await removeDevice(client, { appId, deviceId });
 */
export async function removeDevice(
  client: ChainClient,
  { appId, deviceId, ...write }: RemoveDeviceParameters,
): Promise<RemoveDeviceReturnType> {
  const functionName = "removeDevice";
  const data = encodeFunctionData({ abi: dstackAppAbi, functionName, args: [deviceId] });
  return sendContractCall(client, { ...write, to: appId, data, abi: dstackAppAbi, functionName });
}
