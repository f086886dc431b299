import type { Address } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { deployApp } from "../chain/deploy-app.ts";
import { waitForReceipt } from "../chain/transactions/receipt.ts";
import type { CloudClient } from "../cloud/create-client.ts";
import { createCvm } from "../cloud/create-cvm.ts";
import { getAppEncryptionKey } from "../cloud/get-app-encryption-key.ts";
import { type ProvisionCvmParameters, provisionCvm } from "../cloud/provision-cvm.ts";
import { buildAppCompose } from "../core/app-compose.ts";
import { type EnvironmentVariable, encryptEnvironment } from "../core/environment.ts";
import { deployedApp } from "../core/events.ts";
import type { AppId, ComposeHash, DeviceId, TransactionHash } from "../core/ids.ts";
import { waitUntilRunning } from "./wait-until-running.ts";

export interface LaunchCvmParameters {
  readonly cloud: CloudClient;
  /** With the account that will own the app. */
  readonly chain: ChainClient;
  readonly owner: Address;
  readonly name: string;
  readonly dockerCompose: string;
  readonly environment?: readonly EnvironmentVariable[];
  /** Which on-chain KMS. @default "base" */
  readonly kmsType?: Exclude<ProvisionCvmParameters["kmsType"], "phala">;
  readonly signal?: AbortSignal | undefined;
}

export interface LaunchedCvm {
  readonly id: string;
  readonly appId: AppId;
  readonly composeHash: ComposeHash;
  readonly deviceId: DeviceId;
  readonly deployment: { readonly transactionHash: TransactionHash; readonly gasUsed: bigint };
}

/**
 * Creates a CVM on an on-chain KMS from nothing: reserves a place, deploys the app through the KMS factory with its
 * first hash and device, creates the CVM and waits until it runs. For a cloud of one's own: the environment is encrypted to
 * the key that the cloud names, and no KMS vouches for it.
 */
export async function launchCvm(parameters: LaunchCvmParameters): Promise<LaunchedCvm> {
  const { cloud, chain, owner, name, dockerCompose, environment = [], kmsType = "base", signal } = parameters;
  const environmentNames = environment.map(({ key }) => key);
  const appCompose = buildAppCompose({ name, dockerCompose, allowedEnvs: environmentNames });
  const { composeHash, deviceId, kms } = await provisionCvm(cloud, { name, appCompose, kmsType, environmentNames });
  if (kms?.contractAddress === undefined || deviceId === undefined) {
    throw new TypeError("The cloud offered no on-chain KMS for this CVM.");
  }

  const transactionHash = await deployApp(chain, { kms: kms.contractAddress, owner, deviceId, composeHash });
  const receipt = await waitForReceipt(chain, { transactionHash, functionName: "deployAndRegisterApp" });
  const appId = deployedApp(receipt, { kms: kms.contractAddress });

  const { publicKey } = await getAppEncryptionKey(cloud, { kms: kms.id, appId });
  const { id } = await createCvm(cloud, {
    appId,
    composeHash,
    encryptedEnvironment: encryptEnvironment(environment, publicKey),
    environmentNames,
    kms: kms.id,
    contractAddress: appId,
    deployerAddress: owner,
  });
  await waitUntilRunning(cloud, { cvm: id, signal });
  return { id, appId, composeHash, deviceId, deployment: { transactionHash, gasUsed: receipt.gasUsed } };
}
