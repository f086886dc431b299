import type { CloudClient } from "../cloud/create-client.ts";
import { createCvm } from "../cloud/create-cvm.ts";
import { provisionCvm } from "../cloud/provision-cvm.ts";
import { buildAppCompose } from "../core/app-compose.ts";
import { type EnvironmentVariable, encryptEnvironment } from "../core/environment.ts";
import type { AppId, ComposeHash } from "../core/ids.ts";
import { waitUntilRunning } from "./wait-until-running.ts";

export interface LaunchOffChainCvmParameters {
  readonly cloud: CloudClient;
  readonly name: string;
  readonly dockerCompose: string;
  readonly environment?: readonly EnvironmentVariable[];
  readonly signal?: AbortSignal | undefined;
}

export interface LaunchedOffChainCvm {
  readonly id: string;
  readonly appId: AppId;
  readonly composeHash: ComposeHash;
}

/**
 * Creates a CVM whose KMS keeps its policy off chain, and waits until it runs. For a cloud of one's own, as `launchCvm`.
 */
export async function launchOffChainCvm(parameters: LaunchOffChainCvmParameters): Promise<LaunchedOffChainCvm> {
  const { cloud, name, dockerCompose, environment = [], signal } = parameters;
  const environmentNames = environment.map(({ key }) => key);
  const appCompose = buildAppCompose({ name, dockerCompose, allowedEnvs: environmentNames });
  const provisioned = await provisionCvm(cloud, { name, appCompose, kmsType: "phala", environmentNames });
  const { composeHash, appId, encryptionPublicKey } = provisioned;
  if (appId === undefined || encryptionPublicKey === undefined) {
    throw new TypeError("The cloud gave this CVM no app id.");
  }
  const encryptedEnvironment = encryptEnvironment(environment, encryptionPublicKey);
  const { id } = await createCvm(cloud, { appId, composeHash, encryptedEnvironment, environmentNames });
  await waitUntilRunning(cloud, { cvm: id, signal });
  return { id, appId, composeHash };
}
