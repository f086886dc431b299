import { encodeFunctionData } from "viem";
import type { AppId, TransactionHash } from "../core/ids.ts";
import { dstackAppAbi } from "../generated/abi.ts";
import type { ChainClient } from "./client.ts";
import { sendContractCall, type WriteParameters } from "./transactions/broadcast.ts";

export interface SetAllowAnyDeviceParameters extends WriteParameters {
  readonly appId: AppId;
  readonly allowAnyDevice: boolean;
}

export type SetAllowAnyDeviceReturnType = TransactionHash;

/**
 * Lets an app boot on any machine that the KMS trusts, or only on the listed ones. The list itself does not change.
 *
 * @throws the errors of sendContractCall
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
  const functionName = "setAllowAnyDevice";
  const data = encodeFunctionData({ abi: dstackAppAbi, functionName, args: [allowAnyDevice] });
  return sendContractCall(client, { ...write, to: appId, data, abi: dstackAppAbi, functionName });
}
