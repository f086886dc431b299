import type { AppId, DeviceId, TransactionHash } from "../core/ids.ts";
import { addDeviceCall } from "../core/owner-calls.ts";
import type { ChainClient } from "./client.ts";
import { sendOwnerCall, type WriteParameters } from "./transactions/send-call.ts";

export interface AddDeviceParameters extends WriteParameters {
  readonly appId: AppId;
  readonly deviceId: DeviceId;
}

export type AddDeviceReturnType = TransactionHash;

/**
 * Allows a device to boot an app. Always emits DeviceAdded, even if the device is already listed.
 *
 * @throws the errors of sendCall
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
  return sendOwnerCall(client, addDeviceCall({ appId, deviceId }), write);
}
