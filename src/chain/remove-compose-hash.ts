import type { AppId, ComposeHash, TransactionHash } from "../core/ids.ts";
import { removeComposeHashCall } from "../core/owner-calls.ts";
import type { ChainClient } from "./client.ts";
import { sendOwnerCall, type WriteParameters } from "./transactions/send-call.ts";

export interface RemoveComposeHashParameters extends WriteParameters {
  readonly appId: AppId;
  readonly composeHash: ComposeHash;
}

export type RemoveComposeHashReturnType = TransactionHash;

/**
 * Removes a compose hash from an app. CVMs that run it keep running until their next boot.
 *
 * @throws the errors of sendCall
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
  return sendOwnerCall(client, removeComposeHashCall({ appId, composeHash }), write);
}
