import "../type-extensions.ts";
import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { Account, Address } from "viem";
import { requireChain } from "../../chain/client.ts";
import { getCvm } from "../../cloud/get-cvm.ts";
import type { Generation } from "../../core/generation.ts";
import { InvalidArgumentError } from "../../errors/index.ts";
import { type ConnectedChain, connectChain } from "./connect-chain.ts";
import { connectCloud, requireCloud } from "./connect-cloud.ts";
import { readSigner } from "./read-signer.ts";
import { requireDstackKms } from "./require-dstack-kms.ts";
import { type KmsArguments, type KmsSources, readConfiguredKms, requireKms, resolveKms } from "./resolve-kms.ts";

export interface ConnectKmsArguments extends KmsArguments {
  /** A CVM whose KMS is meant. */
  readonly cvm?: string | undefined;
}

export interface ConnectedKms extends ConnectedChain {
  readonly kms: Address;
  readonly generation: Generation;
  readonly signer: (purpose: string, wanted?: Address) => Promise<Account>;
}

/**
 * Everything a command about a KMS begins with.
 *
 * @throws InvalidArgumentError, InvalidHexError, CloudError, WrongChainError, RpcUnavailableError
 */
export async function connectKms(args: ConnectKmsArguments, hre: HardhatRuntimeEnvironment): Promise<ConnectedKms> {
  const { cvm } = args;
  const found =
    cvm === undefined
      ? undefined
      : await getCvm(requireCloud(await connectCloud(hre), `for the KMS of ${cvm}`), { cvm });
  const sources = { kms: found?.kmsContractAddress, configuredKms: await readConfiguredKms(hre.config) };
  requireAgreement(args, sources);
  const kms = requireKms(resolveKms(args, sources));
  const chain = await connectChain(hre);
  if (found?.chainId !== undefined) await requireChain(chain.client, found.chainId);
  const generation = await requireDstackKms(chain.client, kms);
  return { ...chain, kms, generation, signer: (purpose, wanted) => readSigner(hre, { chain, wanted, purpose }) };
}

/**
 * With --cvm the command is about the KMS of that CVM, and the cloud alone says which one that is.
 *
 * @throws InvalidArgumentError where the configuration has another one, and --kms does not decide
 */
function requireAgreement({ kms, cvm }: ConnectKmsArguments, { kms: fromCloud, configuredKms }: KmsSources): void {
  if (kms !== undefined || fromCloud === undefined || configuredKms === undefined) return;
  if (fromCloud.toLowerCase() === configuredKms.toLowerCase()) return;
  throw new InvalidArgumentError(
    `The cloud names ${fromCloud} as the KMS of ${cvm}, and the configuration has ${configuredKms}.`,
    { nextStep: "Give --kms with the one that is meant.", context: { cvm, fromCloud, configuredKms } },
  );
}
