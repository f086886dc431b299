import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { Account } from "viem";
import type { ChainClient } from "../../chain/client.ts";
import { readCode } from "../../chain/code.ts";
import { readOwnership } from "../../chain/read-app.ts";
import type { CloudClient } from "../../cloud/create-client.ts";
import { getComposeFile } from "../../cloud/get-compose-file.ts";
import { getCvm } from "../../cloud/get-cvm.ts";
import { changeAppCompose } from "../../core/app-compose.ts";
import { parseKmsPublicKey } from "../../core/encryption-key-signature.ts";
import type { JudgedContract } from "../../core/generation.ts";
import { type AppId, type DeviceId, parseDeviceId } from "../../core/ids.ts";
import { parseAccepted } from "../../core/lint/lint.ts";
import { InvalidArgumentError, KmsDowngradeError, SignerRequiredError } from "../../errors/index.ts";
import type { UpdateRequest } from "../../update/run.ts";
import { allowedEnvsOf } from "../../update/steps/document.ts";
import { checkRequest } from "../../update/trust.ts";
import { type ConnectedApp, connectApp } from "../connect/connect-app.ts";
import { connectChain } from "../connect/connect-chain.ts";
import { connectCloud, requireCloud } from "../connect/connect-cloud.ts";
import { type AppTarget, resolveApp } from "../connect/resolve-app.ts";
import { readConfiguredKms, resolveKms } from "../connect/resolve-kms.ts";
import type { TaskIo } from "../connect/run-task.ts";
import { lintBeforeWrite } from "../lint/lint-before-write.ts";
import type { UpdateArguments } from "./parse-arguments.ts";

export interface ConnectedUpdate {
  readonly cloud: CloudClient;
  /** Undefined for a CVM whose KMS keeps its policy off chain. */
  readonly chain: ChainClient | undefined;
  /** Undefined if there is no key: some updates need no transaction. */
  readonly account: Account | undefined;
  /** The app and its KMS; none where the KMS keeps its policy off chain. */
  readonly contracts: readonly JudgedContract[];
  /** The request, with what the user's configuration and command line say of app, KMS, devices and risks. */
  readonly request: UpdateRequest;
}

export interface ConnectUpdateParameters {
  readonly args: UpdateArguments;
  /** The app that `--app` names. */
  readonly app: AppTarget | undefined;
  readonly request: UpdateRequest;
}

/** The app that `--app` names, if it is given. @throws InvalidArgumentError, InvalidHexError */
export async function findGivenApp(
  { app }: UpdateArguments,
  { config }: HardhatRuntimeEnvironment,
): Promise<AppTarget | undefined> {
  return app === undefined ? undefined : resolveApp({ app }, { apps: config.dstack.apps, cloud: undefined });
}

/**
 * Connects the cloud, the chain of the CVM's app and its owner's key, and lints what the update will ask for. A CVM whose
 * KMS keeps its policy off chain needs neither chain nor key, and is one only where nothing the user named contradicts.
 *
 * @throws InvalidArgumentError, UnprovenEncryptionKeyError, KmsDowngradeError, LintRefusedError, KeyEpochsError, CloudError,
 * ChainError
 */
export async function connectUpdate(
  io: TaskIo,
  hre: HardhatRuntimeEnvironment,
  { args, app: given, request: asked }: ConnectUpdateParameters,
): Promise<ConnectedUpdate> {
  const devices = parseDeviceRule(args);
  const trusted: UpdateRequest = { ...asked, ...(await readTrust(args, hre)), devices: devices ?? "any" };
  checkRequest(trusted);
  const cloud = requireCloud(await connectCloud(hre), "for the update");
  const cvm = await getCvm(cloud, { cvm: asked.cvm });
  const named = given === undefined ? appsOfConfiguration(hre, asked.cvm, cvm.appId) : [given.appId];
  if (cvm.kmsContractAddress === undefined || cvm.chainId === undefined) {
    await requireNoDowngrade(hre, { cvm: asked.cvm, appId: cvm.appId, named });
    return { cloud, chain: undefined, account: undefined, contracts: [], request: trusted };
  }
  const found = await connectApp({ app: args.app, cvm: asked.cvm }, hre);
  const app: ConnectedApp = { ...found, configuredKms: trusted.kms ?? found.configuredKms };
  const { appId } = app;
  if (named.length > 0 && !named.includes(appId)) {
    throw new InvalidArgumentError(
      `The cloud says that ${asked.cvm} is a CVM of app ${appId}, and the configuration has it for ${named.join(" and ")}.`,
      {
        nextStep: "Do not go on before you know which is right. Check the API address, and dstack.apps.",
        context: { cvm: asked.cvm, itsApp: appId, wanted: named },
      },
    );
  }
  const request = { ...trusted, appId, devices: withinConfigured(devices, app.devices) };
  const current = await getComposeFile(cloud, { cvm: asked.cvm });
  const document = changeAppCompose(current, { ...asked, allowedEnvs: allowedEnvsOf(asked) });
  const { contracts } = await lintBeforeWrite(io, app, { accept: args.accept, document });
  return { cloud, chain: app.client, account: await findSigner(app), contracts, request };
}

/** Whose word counts for the key of the environment, and which risks are taken. Nothing of it comes from the cloud. */
async function readTrust(args: UpdateArguments, { config }: HardhatRuntimeEnvironment) {
  const pinned = (await config.dstack.kmsPublicKey.get()).trim();
  const accepted = parseAccepted(args.accept);
  return {
    kms: resolveKms(args, { configuredKms: await readConfiguredKms(config) }),
    expectedKmsPublicKey: pinned === "" ? undefined : parseKmsPublicKey(pinned),
    acceptUnprovenKey: accepted.has("unproven-key"),
    acceptKeyEpochs: accepted.has("key-epochs"),
  };
}

/**
 * The app as the configuration has it for this CVM; or, where the configuration knows the app that the cloud names, that
 * one. None where the user has never named it.
 */
function appsOfConfiguration(
  { config: { dstack } }: HardhatRuntimeEnvironment,
  cvm: string,
  fromCloud: AppId | undefined,
): readonly AppId[] {
  const apps = Object.values(dstack.apps);
  const ofCvm = apps.filter((app) => app.cvm === cvm);
  const known = ofCvm.length > 0 ? ofCvm : apps.filter(({ address }) => address === fromCloud);
  return [...new Set(known.map(({ address }) => address))];
}

/** @throws KmsDowngradeError, RpcUnavailableError */
async function requireNoDowngrade(
  hre: HardhatRuntimeEnvironment,
  { cvm, appId, named }: { readonly cvm: string; readonly appId: AppId | undefined; readonly named: readonly AppId[] },
): Promise<void> {
  const { network } = hre.globalOptions;
  if (network !== undefined) throw new KmsDowngradeError(cvm, `--network ${network} was given for its app`);
  if (named.length > 0) throw new KmsDowngradeError(cvm, `its app ${named.join(" and ")} is named`);
  if (appId === undefined || hre.config.networks.default?.type !== "http") return;
  const { client, chainId } = await connectChain(hre);
  if ((await readCode(client, { address: appId })) === "0x") return;
  throw new KmsDowngradeError(cvm, `there is a contract at its app's address ${appId} on chain ${chainId}`);
}

/** What the command line says of devices; undefined if nothing. */
function parseDeviceRule({
  allowDevice,
  noNewDevice = false,
}: UpdateArguments): "none" | readonly DeviceId[] | undefined {
  if (allowDevice === undefined) return noNewDevice ? "none" : undefined;
  if (noNewDevice) {
    throw new InvalidArgumentError("--allow-device and --no-new-device contradict each other.", {
      nextStep: "Give one of them.",
    });
  }
  return [parseDeviceId(allowDevice)];
}

/** Where the configuration lists the app's devices, the command line can only narrow the list. @throws InvalidArgumentError */
function withinConfigured(
  given: "none" | readonly DeviceId[] | undefined,
  configured: readonly DeviceId[] | undefined,
): "any" | "none" | readonly DeviceId[] {
  if (configured === undefined || given === "none") return given ?? "any";
  if (given === undefined) return configured;
  const unlisted = given.find((deviceId) => !configured.includes(deviceId));
  if (unlisted === undefined) return given;
  throw new InvalidArgumentError(`The configuration lists the app's devices, and ${unlisted} is none of them.`, {
    nextStep: "Add it to apps.NAME.devices, or leave --allow-device out.",
    context: { deviceId: unlisted, configured },
  });
}

async function findSigner({ client, appId, signer }: ConnectedApp): Promise<Account | undefined> {
  const { owner } = await readOwnership(client, { appId });
  try {
    return await signer("addComposeHash", owner);
  } catch (error) {
    if (error instanceof SignerRequiredError) return undefined;
    throw error;
  }
}
