import { encodeFunctionData } from "viem";
import type { AppId, ComposeHash, TransactionHash } from "../core/ids.ts";
import { dstackAppAbi } from "../generated/abi.ts";
import type { ChainClient } from "./client.ts";
import { sendContractCall, type WriteParameters } from "./transactions/broadcast.ts";

export interface RemoveComposeHashParameters extends WriteParameters {
  readonly appId: AppId;
  readonly composeHash: ComposeHash;
}

export type RemoveComposeHashReturnType = TransactionHash;

/**
 * Removes a compose hash from an app. CVMs that run it keep running until their next boot.
 *
 * @throws the errors of sendContractCall
 *
 * @example
 * import { removeComposeHash } from "dstack-toolkit/chain";
 * import { appId, client, composeHash } from "./app.js";
 * const transactionHash = await removeComposeHash(client, { appId, composeHash });
 */
export async function removeComposeHash(
  client: ChainClient,
  { appId, composeHash, ...write }: RemoveComposeHashParameters,
): Promise<RemoveComposeHashReturnType> {
  const functionName = "removeComposeHash";
  const data = encodeFunctionData({ abi: dstackAppAbi, functionName, args: [composeHash] });
  return sendContractCall(client, { ...write, to: appId, data, abi: dstackAppAbi, functionName });
}
