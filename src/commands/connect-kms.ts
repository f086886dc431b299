import type { Address } from "viem";
import { type ChainClient, parseAddress, requireChain } from "../chain/client.ts";
import { readContractKind } from "../chain/read-app.ts";
import { getCvm } from "../cloud/get-cvm.ts";
import type { Generation } from "../core/generation.ts";
import { InvalidArgumentError } from "../errors/index.ts";
import { type ConnectedApp, connectCloud, readConfiguredKms, requireCloud } from "./connect-app.ts";
import type { CommandHost, ConnectedChain } from "./host.ts";
import type { SendingArguments } from "./sending.ts";
import { type Signing, signingOf } from "./signing.ts";

export interface ConnectKmsArguments extends KmsArguments, SendingArguments {
  /** A CVM whose KMS the command is about. */
  readonly cvm?: string | undefined;
}

export interface ConnectedKms extends ConnectedChain, Signing {
  readonly kms: Address;
  readonly generation: Generation;
}

/**
 * Connects what a command about a KMS needs.
 *
 * @throws InvalidArgumentError, InvalidHexError, CloudError, WrongChainError, RpcUnavailableError
 */
export async function connectKms(args: ConnectKmsArguments, host: CommandHost): Promise<ConnectedKms> {
  const { cvm } = args;
  const found =
    cvm === undefined
      ? undefined
      : await getCvm(requireCloud(await connectCloud(host), `for the KMS of ${cvm}`), { cvm });
  const sources = { kms: found?.kmsContractAddress, configuredKms: await readConfiguredKms(host) };
  requireAgreement(args, sources);
  const kms = requireKms(resolveKms(args, sources));
  const chain = await host.connectChain();
  if (found?.chainId !== undefined) await requireChain(chain.client, found.chainId);
  const generation = await requireDstackKms(chain.client, kms);
  return { ...chain, kms, generation, ...signingOf(args, host, chain) };
}

/**
 * With --cvm, the command is about the KMS of that CVM, and only the cloud names it.
 *
 * @throws InvalidArgumentError if the configuration names another KMS and --kms does not decide
 */
function requireAgreement({ kms, cvm }: ConnectKmsArguments, { kms: fromCloud, configuredKms }: KmsSources): void {
  if (kms !== undefined || fromCloud === undefined || configuredKms === undefined) return;
  if (fromCloud.toLowerCase() === configuredKms.toLowerCase()) return;
  throw new InvalidArgumentError(
    `The cloud says that the KMS of ${cvm} is ${fromCloud}, but the configuration has ${configuredKms}.`,
    { nextStep: "Give the correct KMS with --kms.", context: { cvm, fromCloud, configuredKms } },
  );
}

export interface KmsArguments {
  readonly kms?: string | undefined;
}

/** Other sources that may name a KMS. */
export interface KmsSources {
  /** The KMS of the configuration. */
  readonly configuredKms?: Address | undefined;
  /** The CVM's KMS according to the cloud. Anyone can deploy a KMS, so it counts only if the user names none. */
  readonly kms?: Address | undefined;
}

/** The DstackKms of a command: `--kms`, else the configuration's, else the CVM's. @throws InvalidHexError */
export function resolveKms(args: KmsArguments, { kms, configuredKms }: KmsSources): Address | undefined {
  return args.kms === undefined ? (configuredKms ?? kms) : parseAddress("The KMS address", args.kms);
}

/** @throws InvalidArgumentError */
export function requireKms(kms: Address | undefined): Address {
  if (kms !== undefined) return kms;
  throw new InvalidArgumentError("No KMS was named.", {
    nextStep: "Give --kms 0x…, or dstack.kms or DSTACK_KMS in the configuration; with --cvm the cloud names it.",
  });
}

export interface FoundKms {
  readonly kms: Address;
  readonly generation: Generation;
}

/**
 * The KMS of an app. If the user names none, the cloud is asked for the CVM's. @throws InvalidArgumentError, CloudError
 */
export async function findKms(args: KmsArguments, app: ConnectedApp): Promise<FoundKms> {
  const kms = requireKms(resolveKms(args, app) ?? (await kmsOfCvm(app)));
  return { kms, generation: await requireDstackKms(app.client, kms) };
}

async function kmsOfCvm({ cvm, cloud }: ConnectedApp): Promise<Address | undefined> {
  return cvm === undefined || cloud === undefined ? undefined : (await getCvm(cloud, { cvm })).kmsContractAddress;
}

/**
 * Returns the generation of the KMS at the address. Refuses an app's address and an address without a contract: both
 * are mistakes in the command line or the configuration.
 *
 * @throws InvalidArgumentError, RpcUnavailableError
 */
export async function requireDstackKms(client: ChainClient, kms: Address): Promise<Generation> {
  const { hasCode, isApp, isKms, generation } = await readContractKind(client, { address: kms });
  // A KMS with key epochs may lack the views of the first generation.
  if (isKms || (generation.hasKeyEpochs === true && !isApp)) return generation;
  if (!hasCode) {
    throw new InvalidArgumentError(`There is no contract at the KMS address ${kms}.`, {
      nextStep: "Check --kms or dstack.kms, and --network.",
      context: { kms },
    });
  }
  throw new InvalidArgumentError(`${kms} is ${isApp ? "an app" : "another contract"}, not a DstackKms.`, {
    nextStep: "Give --kms or dstack.kms the address of the KMS; dstack status --cvm NAME shows an app's.",
    context: { kms, isApp },
  });
}
