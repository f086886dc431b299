import type { Address } from "viem";
import { type ChainClient, parseAddress, requireChain } from "../chain/client.ts";
import { readContractKind } from "../chain/read-app.ts";
import { readIsRegistered, readKmsImplementation } from "../chain/read-kms.ts";
import { isDevelopmentChain } from "../chain/transactions/chain-identity.ts";
import { getCvm } from "../cloud/get-cvm.ts";
import type { Generation } from "../core/generation.ts";
import { liveDeploymentOn } from "../core/live-deployments.ts";
import { InvalidArgumentError } from "../errors/index.ts";
import { type ConnectedApp, connectCloud, readConfiguredKms, requireCloud } from "./connect-app.ts";
import type { CommandHost, ConnectedChain } from "./host.ts";
import type { TaskIo } from "./run.ts";
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
export async function connectKms(
  args: ConnectKmsArguments,
  host: CommandHost,
  io: Pick<TaskIo, "output">,
): Promise<ConnectedKms> {
  const { cvm } = args;
  const found =
    cvm === undefined
      ? undefined
      : await getCvm(requireCloud(await connectCloud(host), `for the KMS of ${cvm}`), { cvm });
  const sources = { kms: found?.kmsContractAddress, configuredKms: await readConfiguredKms(host) };
  requireAgreement(args, sources);
  const named = resolveKms(args, sources);
  const chain = await host.connectChain();
  if (found?.chainId !== undefined) await requireChain(chain.client, found.chainId);
  return { ...chain, ...(await confirmKms(named, chain, io)), ...signingOf(args, host, chain) };
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

export interface FoundKms {
  readonly kms: Address;
  readonly generation: Generation;
}

/**
 * The KMS of an app. If the user names none, the cloud is asked for the CVM's, and then the registry for the chain's.
 *
 * @throws InvalidArgumentError, CloudError, RpcUnavailableError
 */
export async function findKms(args: KmsArguments, app: ConnectedApp, io: Pick<TaskIo, "output">): Promise<FoundKms> {
  return confirmKms(resolveKms(args, app) ?? (await kmsOfCvm(app)), app, io);
}

/**
 * Reads the generation of a named KMS, or takes the registry's.
 *
 * @throws InvalidArgumentError if it is no KMS, or if none is named and the registry has none
 */
export async function confirmKms(
  named: Address | undefined,
  chain: ConnectedChain,
  io: Pick<TaskIo, "output">,
): Promise<FoundKms> {
  if (named !== undefined) return { kms: named, generation: await requireDstackKms(chain.client, named) };
  const live = await findLiveKms(chain, io);
  if (live !== undefined) return live;
  throw new InvalidArgumentError("No KMS was named.", {
    nextStep: "Give --kms 0x…, or dstack.kms or DSTACK_KMS in the configuration; with --cvm the cloud names it.",
  });
}

/**
 * The DstackKms of the registry of live deployments, confirmed on chain, with a note to the user. Undefined on a chain
 * without one, and on a development chain, which may have the id of a live chain.
 *
 * @throws InvalidArgumentError if there is no DstackKms at the address of the registry
 */
export async function findLiveKms(
  { client, chainId }: Pick<ConnectedChain, "client" | "chainId">,
  { output }: Pick<TaskIo, "output">,
): Promise<FoundKms | undefined> {
  const live = liveDeploymentOn(chainId);
  if (live === undefined || (await isDevelopmentChain(client))) return undefined;
  const { kms, name } = live;
  const [{ isApp, isKms, generation }, implementation] = await Promise.all([
    readContractKind(client, { address: kms }),
    readKmsImplementation(client, { kms }),
  ]);
  const isConfirmed = !isApp && (isKms || generation.hasKeyEpochs === true) && implementation !== undefined;
  if (!isConfirmed) {
    throw new InvalidArgumentError(`The registry names ${kms} as the KMS of ${name}, but it is no DstackKms here.`, {
      nextStep: "Check which chain the RPC endpoint serves. Name the KMS with --kms or dstack.kms.",
      context: { kms, name, chainId },
    });
  }
  output.line(`No KMS is named. Takes ${kms}, ${name} in the registry of live deployments: a DstackKms by its code.`);
  return { kms, generation };
}

/**
 * The registry's KMS of the chain, if the app is registered there: it then decides about the app's boots.
 *
 * @throws InvalidArgumentError, RpcUnavailableError
 */
export async function findLiveKmsOf(app: ConnectedApp, io: Pick<TaskIo, "output">): Promise<Address | undefined> {
  const kms = liveDeploymentOn(app.chainId)?.kms;
  if (kms === undefined || !(await readIsRegistered(app.client, { kms, appId: app.appId }))) return undefined;
  return (await findLiveKms(app, io))?.kms;
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
