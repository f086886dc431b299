import type { AppId, ComposeHash, TransactionHash } from "../core/ids.ts";
import { addComposeHashCall } from "../core/owner-calls.ts";
import type { ChainClient } from "./client.ts";
import { sendOwnerCall, type WriteParameters } from "./transactions/send-call.ts";

export interface AddComposeHashParameters extends WriteParameters {
  readonly appId: AppId;
  readonly composeHash: ComposeHash;
}

export type AddComposeHashReturnType = TransactionHash;

/**
 * Allows a compose hash on an app. Always emits ComposeHashAdded, even if the hash is already allowed.
 *
 * @throws the errors of sendCall
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
  return sendOwnerCall(client, addComposeHashCall({ appId, composeHash }), write);
}
