import { type ArtifactResolver, DeploymentResultType, deploy } from "@nomicfoundation/ignition-core";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { Address } from "viem";
import dstackKmsModule from "../../ignition/modules/dstack-kms.ts";
import type { OwnerClient } from "../../src/world/chain/client.ts";
import type { DeployedContracts } from "../../src/world/contracts.ts";

/**
 * Deploys this repository's compiled contracts, as `npm run deploy` does. It uses Ignition's core, because Hardhat's
 * helper keeps one journal per chain id. The next local chain and Base have the same id, so the helper would confuse
 * them.
 */
export async function deployWithIgnition(
  hre: HardhatRuntimeEnvironment,
  client: OwnerClient,
): Promise<DeployedContracts> {
  const owner = client.account.address;
  const artifactResolver: ArtifactResolver = {
    loadArtifact: (name) => hre.artifacts.readArtifact(name),
    // Needed only for verification on an explorer.
    getBuildInfo: async () => undefined,
  };
  const result = await deploy({
    artifactResolver,
    provider: client,
    ignitionModule: dstackKmsModule,
    deploymentParameters: { DstackKms: { owner } },
    accounts: [owner],
    config: { blockPollingInterval: 20, requiredConfirmations: 1 },
  });
  if (result.type !== DeploymentResultType.SUCCESSFUL_DEPLOYMENT) {
    throw new Error(`The contracts could not be deployed: ${result.type}.`, { cause: result });
  }
  const addressOf = (future: string) => {
    const address = result.contracts[future]?.address;
    if (!address) throw new Error(`The Ignition module deploys no ${future}.`);
    return address as Address; // Ignition types addresses as text
  };
  return {
    kms: addressOf("DstackKms#DstackKms"),
    appImplementation: addressOf("DstackKms#DstackAppImplementation"),
  };
}
