import { encodeFunctionData } from "viem";
import type { AppId, ComposeHash, TransactionHash } from "../core/ids.ts";
import { dstackAppAbi } from "../generated/abi.ts";
import type { ChainClient } from "./client.ts";
import { sendContractCall, type WriteParameters } from "./transactions/broadcast.ts";

export interface AddComposeHashParameters extends WriteParameters {
  readonly appId: AppId;
  readonly composeHash: ComposeHash;
}

export type AddComposeHashReturnType = TransactionHash;

/**
 * Allows a compose hash on an app. Always emits ComposeHashAdded, even if the hash is already allowed.
 *
 * @throws the errors of sendContractCall
 *
 * @example
 * import { addComposeHash } from "dstack-toolkit/chain";
 * import { appId, client, composeHash } from "./app.js";
 * const transactionHash = await addComposeHash(client, { appId, composeHash });
 */
export async function addComposeHash(
  client: ChainClient,
  { appId, composeHash, ...write }: AddComposeHashParameters,
): Promise<AddComposeHashReturnType> {
  const functionName = "addComposeHash";
  const data = encodeFunctionData({ abi: dstackAppAbi, functionName, args: [composeHash] });
  return sendContractCall(client, { ...write, to: appId, data, abi: dstackAppAbi, functionName });
}
