import type { Address } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { readIsRegistered, readKmsStatus } from "../chain/read-kms.ts";
import type { Hex } from "../core/ids.ts";
import { ContractRevertedError, InvalidArgumentError, isDstackError, NoContractError } from "../errors/index.ts";
import type { AdoptedCvms } from "./adopted-cvms.ts";
import type { LocalChainClient } from "./chain/client.ts";
import { type DeployedContracts, type PublishKmsKeyParameters, publishKmsKeyAsOwner } from "./contracts.ts";
import type { WorldOsImage } from "./start-cloud.ts";

export interface LiveKms {
  readonly contracts: DeployedContracts;
  /** OS images of adopted CVMs that this KMS does not allow. */
  readonly refusedOsImages: readonly WorldOsImage[];
}

export interface FindLiveKmsParameters {
  readonly kms: Address;
  /** Id of the chain that is forked. */
  readonly forkedId: number;
  readonly adopted: AdoptedCvms | undefined;
}

/**
 * Reads the KMS of a forked chain. It must be a DstackKms, and adopted apps must be registered there. Changes nothing.
 *
 * @throws InvalidArgumentError, RpcUnavailableError
 */
export async function findLiveKms(
  client: ChainClient,
  { kms, forkedId, adopted }: FindLiveKmsParameters,
): Promise<LiveKms> {
  requireSamePolicy(kms, forkedId, adopted);
  const images = distinctImages(adopted);
  const status = await readKmsStatus(client, { kms, osImageHashes: images.map(({ hash }) => hash) }).catch(
    (error: unknown) => {
      if (!(error instanceof NoContractError || error instanceof ContractRevertedError)) throw error;
      throw new InvalidArgumentError(`${kms} is not a DstackKms at the forked block: ${error.message}`, {
        nextStep: "Give the address of the KMS proxy, and a block after its deployment.",
        context: { kms },
        cause: error,
      });
    },
  );
  for (const appId of new Set(adopted?.cvms.map((cvm) => cvm.appId))) {
    if (await readIsRegistered(client, { kms, appId })) continue;
    throw new InvalidArgumentError(`App ${appId} is not registered at KMS ${kms} at the forked block.`, {
      nextStep: "Name the KMS of the app, or a block after the app was registered.",
      context: { appId, kms },
    });
  }
  return {
    contracts: { kms, appImplementation: status.appImplementation },
    refusedOsImages: images.filter((_, index) => status.osImages[index]?.isAllowed !== true),
  };
}

function requireSamePolicy(kms: Address, forkedId: number, adopted: AdoptedCvms | undefined): void {
  if (adopted === undefined) return;
  if (adopted.chainId !== forkedId) {
    throw new InvalidArgumentError(
      `The KMS of the adopted CVMs is on chain ${adopted.chainId}, but the fork is of chain ${forkedId}.`,
      { nextStep: "Fork the chain of the KMS.", context: { chainId: adopted.chainId, forkedId } },
    );
  }
  if (adopted.kms.toLowerCase() === kms.toLowerCase()) return;
  throw new InvalidArgumentError(`The adopted CVMs ask KMS ${adopted.kms}, not ${kms}.`, {
    nextStep: "Name the KMS of the adopted CVMs.",
    context: { kms, ofCvms: adopted.kms },
  });
}

/** The OS images of adopted CVMs, each once. */
export function distinctImages(adopted: AdoptedCvms | undefined): readonly WorldOsImage[] {
  const images = (adopted?.cvms ?? []).map(({ osImage }) => osImage);
  return images.filter(({ name }, index) => images.findIndex((image) => image.name === name) === index);
}

/**
 * Publishes the mock KMS's key on a dev chain, as the impersonated owner of the KMS. If that fails, returns why updates
 * cannot prove the key of an environment, in two sentences.
 */
export async function publishOnDevChain(
  client: LocalChainClient,
  parameters: PublishKmsKeyParameters,
): Promise<string | undefined> {
  try {
    await publishKmsKeyAsOwner(client, parameters);
    return undefined;
  } catch (error) {
    if (!isDstackError(error)) throw error;
    const { kms, publicKey } = parameters;
    return `The mock KMS's key could not be published on ${kms}: ${error.message} ${unprovenKeyAdvice(publicKey)}`;
  }
}

export function unprovenKeyAdvice(publicKey: Hex): string {
  return `An update with an environment needs \`expectedKmsPublicKey: ${publicKey}\` or \`acceptUnprovenKey\`.`;
}
