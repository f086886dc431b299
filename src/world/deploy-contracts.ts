import { type ArtifactResolver, DeploymentResultType, deploy } from "@nomicfoundation/ignition-core";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { Address } from "viem";
import dstackKmsModule from "../../ignition/modules/dstack-kms.ts";
import type { LocalChain } from "./start-chain.ts";

export interface DeployContractsParameters {
  readonly hre: HardhatRuntimeEnvironment;
  readonly chain: LocalChain;
  /** Owner of the KMS, who allows OS images. */
  readonly owner: Address;
}

export interface DeployedContracts {
  readonly kms: Address;
  readonly appImplementation: Address;
}

/**
 * Deploys DstackKms behind its proxy and the DstackApp implementation. Through Ignition's core, because Hardhat's own
 * helper keeps a journal by chain id: the next local chain would be taken for this one, or both for the real Base.
 */
export async function deployContracts({ hre, chain, owner }: DeployContractsParameters): Promise<DeployedContracts> {
  const artifactResolver: ArtifactResolver = {
    loadArtifact: (name) => hre.artifacts.readArtifact(name),
    // Only verification on an explorer would need it.
    getBuildInfo: async () => undefined,
  };
  const result = await deploy({
    artifactResolver,
    provider: chain.client,
    ignitionModule: dstackKmsModule,
    deploymentParameters: { DstackKms: { owner } },
    accounts: [...(await chain.client.getAddresses())],
    config: { blockPollingInterval: 20, requiredConfirmations: 1 },
  });
  if (result.type !== DeploymentResultType.SUCCESSFUL_DEPLOYMENT) {
    throw new Error(`The contracts could not be deployed: ${result.type}.`, { cause: result });
  }
  return {
    kms: addressOf("DstackKms#DstackKms"),
    appImplementation: addressOf("DstackKms#DstackAppImplementation"),
  };

  function addressOf(future: string): Address {
    const address = result.type === DeploymentResultType.SUCCESSFUL_DEPLOYMENT && result.contracts[future]?.address;
    if (!address) throw new Error(`The Ignition module deploys no ${future}.`);
    return address as Address; // Ignition types addresses as text
  }
}
