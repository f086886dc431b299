import type { AppId, DeviceId, TransactionHash } from "../core/ids.ts";
import { removeDeviceCall } from "../core/owner-calls.ts";
import type { ChainClient } from "./client.ts";
import { sendOwnerCall, type WriteParameters } from "./transactions/send-call.ts";

export interface RemoveDeviceParameters extends WriteParameters {
  readonly appId: AppId;
  readonly deviceId: DeviceId;
}

export type RemoveDeviceReturnType = TransactionHash;

/**
 * Removes a device from an app's list. This has no effect on boots while the app allows any device.
 *
 * @throws the errors of sendCall
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
  return sendOwnerCall(client, removeDeviceCall({ appId, deviceId }), write);
}
