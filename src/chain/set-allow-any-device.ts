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
 * Lets an app boot on any machine the KMS trusts, or only on those of its list. The list itself stays as it is.
 *
 * @throws what sendContractCall throws
 */
export async function setAllowAnyDevice(
  client: ChainClient,
  { appId, allowAnyDevice, ...write }: SetAllowAnyDeviceParameters,
): Promise<SetAllowAnyDeviceReturnType> {
  const functionName = "setAllowAnyDevice";
  const data = encodeFunctionData({ abi: dstackAppAbi, functionName, args: [allowAnyDevice] });
  return sendContractCall(client, { ...write, to: appId, data, abi: dstackAppAbi, functionName });
}
