import type { Address } from "viem";
import type { ComposeHash, DeviceId, TransactionHash } from "../core/ids.ts";
import type { ChainClient } from "./chain-client.ts";
import { encodeDeployApp } from "./encode-deploy-app.ts";
import { sendContractCall, type WriteParameters } from "./send-contract-call.ts";

export interface DeployAppParameters extends WriteParameters {
  readonly kms: Address;
  /** Who may change the new app. Not necessarily who pays for its deployment. */
  readonly owner: Address;
  /** First device of the list. Default none. */
  readonly deviceId?: DeviceId | undefined;
  /** First allowed hash. Default none. */
  readonly composeHash?: ComposeHash | undefined;
  /** Default false. */
  readonly allowAnyDevice?: boolean | undefined;
  /** Whether machines with an outdated TCB are refused. Default false. */
  readonly requireTcbUpToDate?: boolean | undefined;
  /** Whether the app's code is frozen for good. Default false. */
  readonly disableUpgrades?: boolean | undefined;
}

export type DeployAppReturnType = TransactionHash;

/**
 * Deploys an app through the factory of a KMS, which registers it there too. Its receipt tells the app's id
 * (deployedApp).
 *
 * @throws InvalidHexError, and what sendContractCall throws
 */
export async function deployApp(client: ChainClient, parameters: DeployAppParameters): Promise<DeployAppReturnType> {
  const { account, chainId, nonce, beforeSend } = parameters;
  return sendContractCall(client, { account, chainId, nonce, beforeSend, ...encodeDeployApp(parameters) });
}
