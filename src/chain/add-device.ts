import { encodeFunctionData } from "viem";
import type { AppId, DeviceId, TransactionHash } from "../core/ids.ts";
import { dstackAppAbi } from "../generated/abi.ts";
import type { ChainClient } from "./client.ts";
import { sendContractCall, type WriteParameters } from "./transactions/broadcast.ts";

export interface AddDeviceParameters extends WriteParameters {
  readonly appId: AppId;
  readonly deviceId: DeviceId;
}

export type AddDeviceReturnType = TransactionHash;

/**
 * Allows a device to boot an app. Always emits DeviceAdded, even if the device is already listed.
 *
 * @throws the errors of sendContractCall
 *
 * @example
 * import { addDevice } from "dstack-toolkit/chain";
 * import { appId, client, deviceId } from "./app.js";
 * const transactionHash = await addDevice(client, { appId, deviceId });
 */
export async function addDevice(
  client: ChainClient,
  { appId, deviceId, ...write }: AddDeviceParameters,
): Promise<AddDeviceReturnType> {
  const functionName = "addDevice";
  const data = encodeFunctionData({ abi: dstackAppAbi, functionName, args: [deviceId] });
  return sendContractCall(client, { ...write, to: appId, data, abi: dstackAppAbi, functionName });
}
