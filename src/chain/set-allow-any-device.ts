import type { AppId, TransactionHash } from "../core/ids.ts";
import { setAllowAnyDeviceCall } from "../core/owner-calls.ts";
import type { ChainClient } from "./client.ts";
import { sendOwnerCall, type WriteParameters } from "./transactions/send-call.ts";

export interface SetAllowAnyDeviceParameters extends WriteParameters {
  readonly appId: AppId;
  readonly allowAnyDevice: boolean;
}

export type SetAllowAnyDeviceReturnType = TransactionHash;

/**
 * Lets an app boot on any machine that the KMS trusts, or only on the listed ones. The list itself does not change.
 *
 * @throws the errors of sendCall
 *
 * @example
 * import { setAllowAnyDevice } from "dstack-toolkit/chain";
 * import { appId, client } from "./app.js";
 * const transactionHash = await setAllowAnyDevice(client, { appId, allowAnyDevice: false });
 */
export async function setAllowAnyDevice(
  client: ChainClient,
  { appId, allowAnyDevice, ...write }: SetAllowAnyDeviceParameters,
): Promise<SetAllowAnyDeviceReturnType> {
  return sendOwnerCall(client, setAllowAnyDeviceCall({ appId, allowAny: allowAnyDevice }), write);
}
