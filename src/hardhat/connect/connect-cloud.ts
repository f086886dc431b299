import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import { type CloudClient, createCloudClient } from "../../cloud/create-client.ts";
import { InvalidArgumentError } from "../../errors/index.ts";
import "../type-extensions.ts";

/**
 * The cloud of the configuration, or undefined without an API key: what stands on the chain can be read by anybody.
 *
 * @throws InvalidArgumentError if key or address cannot be one
 */
export async function connectCloud({
  config,
}: Pick<HardhatRuntimeEnvironment, "config">): Promise<CloudClient | undefined> {
  const apiKey = await config.dstack.cloud.apiKey.get();
  return apiKey === "" ? undefined : createCloudClient({ apiKey, baseUrl: await config.dstack.cloud.baseUrl.get() });
}

/** @throws InvalidArgumentError */
export function requireCloud(cloud: CloudClient | undefined, purpose: string): CloudClient {
  if (cloud !== undefined) return cloud;
  throw new InvalidArgumentError(`The cloud must be asked ${purpose}, and there is no API key.`, {
    nextStep: "Set PHALA_CLOUD_API_KEY in the environment or the Hardhat keystore, or dstack.cloud.apiKey.",
  });
}
