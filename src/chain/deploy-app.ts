import type { TransactionHash } from "../core/ids.ts";
import type { ChainClient } from "./client.ts";
import { encodeDeployApp, type NewApp } from "./encode-deploy-app.ts";
import { sendContractCall, type WriteParameters } from "./transactions/broadcast.ts";

export interface DeployAppParameters extends WriteParameters, NewApp {}

export type DeployAppReturnType = TransactionHash;

/**
 * Deploys an app through the factory of a KMS, which also registers it there. Read the app's id from the receipt with
 * `deployedApp`.
 *
 * @throws InvalidHexError, and the errors of sendContractCall
 *
 * @example
 * import { deployApp } from "dstack-toolkit/chain";
 * import { account, client, composeHash, deviceId, kms } from "./app.js";
 * const transactionHash = await deployApp(client, { kms, owner: account.address, composeHash, deviceId });
 */
export async function deployApp(client: ChainClient, parameters: DeployAppParameters): Promise<DeployAppReturnType> {
  const { account, chainId, nonce, beforeSend } = parameters;
  return sendContractCall(client, { account, chainId, nonce, beforeSend, ...encodeDeployApp(parameters) });
}
