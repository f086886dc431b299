import type { TransactionHash } from "../core/ids.ts";
import type { ChainClient } from "./client.ts";
import { encodeDeployApp, type NewApp } from "./encode-deploy-app.ts";
import { type LedgerPurpose, lowerCase } from "./transactions/ledger-records.ts";
import { sendCall, type WriteParameters } from "./transactions/send-call.ts";

export interface DeployAppParameters extends WriteParameters, NewApp {}

export type DeployAppReturnType = TransactionHash;

/**
 * Deploys an app through the factory of a KMS, which also registers it there. Read the app's id from the receipt with
 * `deployedApp`.
 *
 * @throws InvalidHexError, and the errors of sendCall
 *
 * @example
 * import { deployApp } from "dstack-toolkit/chain";
 * import { account, client, composeHash, deviceId, kms } from "./app.js";
 * const transactionHash = await deployApp(client, { kms, owner: account.address, composeHash, deviceId });
 */
export async function deployApp(client: ChainClient, parameters: DeployAppParameters): Promise<DeployAppReturnType> {
  const call = { ...encodeDeployApp(parameters), calls: [], purpose: deploymentOf(parameters) };
  return sendCall(client, call, parameters);
}

/** What identifies the deployment of this app in a ledger: the transaction, because no owner's call is in it. */
export function deploymentOf(app: NewApp): LedgerPurpose {
  const { to, data } = encodeDeployApp(app);
  return { kind: "deploy-app", transaction: { to: lowerCase(to), data: lowerCase(data) } };
}
