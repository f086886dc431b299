import type { Account, Address } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { readCode } from "../chain/code.ts";
import { readOwnership } from "../chain/read-app.ts";
import { type ReadOwnerReturnType, readOwner } from "../chain/read-owner.ts";
import type { CloudClient } from "../cloud/create-client.ts";
import type { Cvm } from "../cloud/cvm.ts";
import { getCvm } from "../cloud/get-cvm.ts";
import { computeComposeHash } from "../core/compose-hash.ts";
import { parseKmsPublicKey } from "../core/encryption-key-signature.ts";
import type { JudgedContract } from "../core/generation.ts";
import { type AppId, type DeviceId, parseDeviceId } from "../core/ids.ts";
import { InvalidArgumentError, KmsDowngradeError, NotOwnerError, SignerRequiredError } from "../errors/index.ts";
import type { UpdateRequest } from "../update/run.ts";
import { appNamedBy, checkRequest } from "../update/trust.ts";
import { parseAccept } from "./arguments.ts";
import {
  type AppTarget,
  type ConnectedApp,
  connectApp,
  connectCloud,
  readConfiguredKms,
  requireCloud,
  requireSameApp,
  resolveApp,
} from "./connect-app.ts";
import { findLiveKms, resolveKms } from "./connect-kms.ts";
import type { CommandHost } from "./host.ts";
import { lintAndShow, lintBeforeWrite } from "./lint.ts";
import { requireNotRevoked } from "./revocations.ts";
import { type Rollback, withRevision } from "./roll-back.ts";
import type { TaskIo } from "./run.ts";
import type { UpdateArguments } from "./update-arguments.ts";

export interface ConnectedUpdate {
  readonly cloud: CloudClient;
  /** Undefined for a CVM whose KMS keeps its policy off chain. */
  readonly app: ConnectedApp | undefined;
  /** Undefined for a CVM whose KMS keeps its policy off chain. */
  readonly chain: ChainClient | undefined;
  /** Undefined if there is no key. Some updates need no transaction. */
  readonly account: Account | undefined;
  /** The app and its KMS; empty if the KMS keeps its policy off chain. */
  readonly contracts: readonly JudgedContract[];
  /** The request, with the app, the KMS, the devices and the accepted risks from the configuration and command line. */
  readonly request: UpdateRequest;
  /** What the request goes back to, if `--revision` is given. */
  readonly rollback: Rollback | undefined;
}

export interface ConnectUpdateParameters {
  readonly args: UpdateArguments;
  /** The app that `--app` names. */
  readonly app: AppTarget | undefined;
  readonly request: UpdateRequest;
}

/** The app that `--app` names, if it is given. @throws InvalidArgumentError, InvalidHexError */
export async function findGivenApp({ app }: UpdateArguments, host: CommandHost): Promise<AppTarget | undefined> {
  return app === undefined ? undefined : resolveApp({ app }, { apps: host.settings.apps, cloud: undefined });
}

/**
 * Connects the cloud, the chain of the CVM's app and its owner's key, and lints the requested change. A CVM whose KMS
 * keeps its policy off chain needs neither chain nor key. The CVM counts as such only if nothing that the user named
 * contradicts this.
 *
 * @throws InvalidArgumentError, UnprovenEncryptionKeyError, KmsDowngradeError, LintRefusedError, KeyEpochsError,
 * CloudError, ChainError
 */
export async function connectUpdate(
  io: TaskIo,
  host: CommandHost,
  { args, app: given, request: asked }: ConnectUpdateParameters,
): Promise<ConnectedUpdate> {
  const accepted = parseAccept("update", args.accept);
  const devices = parseDeviceRule(args);
  const trust = await readTrust(args, host, accepted);
  const kms = trust.kms ?? (await findDefaultKms(io, host, { given, request: { ...asked, ...trust } }));
  const trusted: UpdateRequest = { ...asked, ...trust, kms, devices: devices ?? "any" };
  const namedByCvm = appNamedBy(asked.cvm);
  const hasApps = Object.keys(host.settings.apps).length > 0;
  await checkRequest(trusted, { isAppNamed: given !== undefined || namedByCvm !== undefined || hasApps });
  const cloud = requireCloud(await connectCloud(host), "for the update");
  const cvm = await getCvm(cloud, { cvm: asked.cvm });
  const named = given?.appId ?? namedByCvm;
  const wanted = named === undefined ? appsOfConfiguration(host, asked.cvm, cvm) : [named];
  if (wanted.length > 0 && (cvm.appId === undefined || !wanted.includes(cvm.appId))) {
    throw new InvalidArgumentError(
      `The cloud says that ${asked.cvm} is a CVM of app ${cvm.appId ?? "none"}, but ${named === undefined ? "the configuration names" : "the command is about"} ${wanted.join(" and ")}.`,
      {
        nextStep:
          "Find out which is right before you continue. If the cloud is right, name the app: add it to dstack.apps, or give --app or --cvm app_…. If not, check the API address.",
        context: { cvm: asked.cvm, itsApp: cvm.appId, wanted },
      },
    );
  }
  if (cvm.kmsContractAddress === undefined || cvm.chainId === undefined) {
    const isKnown =
      given !== undefined || Object.values(host.settings.apps).some(({ address }) => address === cvm.appId);
    await requireNoDowngrade(host, { cvm: asked.cvm, appId: cvm.appId, isKnown });
    const prepared = await withRevision(io, host, { args, accepted, cloud, cvm, app: undefined, request: trusted });
    return { cloud, app: undefined, chain: undefined, account: undefined, contracts: [], ...prepared };
  }
  const found = await connectApp({ ...args, cvm: asked.cvm }, host);
  const app: ConnectedApp = { ...found, configuredKms: trusted.kms ?? found.configuredKms };
  const { appId } = app;
  // This is the cloud's second answer.
  requireSameApp(asked.cvm, appId, cvm.appId ?? appId);
  const request: UpdateRequest = {
    ...trusted,
    appId,
    devices: withinConfigured(devices, app.devices),
    reviewDocument: async (document) => {
      lintAndShow(io.output, { document }, accepted);
      if (args.revision !== undefined) return; // a rollback shows the revocation and asks about it
      await requireNotRevoked(io, app, { hashes: [computeComposeHash(document)], accepted });
    },
  };
  const { contracts } = await lintBeforeWrite(io, app, { accepted });
  const prepared = await withRevision(io, host, { args, accepted, cloud, cvm, app, request });
  return { cloud, app, chain: app.client, account: await findSigner(app), contracts, ...prepared };
}

/**
 * The registry's KMS, which counts as configured for the proof of a key. Undefined if the request encrypts nothing,
 * names another proof, or no chain can be asked.
 *
 * @throws InvalidArgumentError, RpcUnavailableError
 */
async function findDefaultKms(
  io: TaskIo,
  host: CommandHost,
  { given, request }: { readonly given: AppTarget | undefined; readonly request: UpdateRequest },
): Promise<Address | undefined> {
  const { environment, clearEnvironment, expectedKmsPublicKey, acceptUnprovenKey } = request;
  const needsProof = (environment !== undefined || clearEnvironment === true) && acceptUnprovenKey !== true;
  const app = given ?? Object.values(host.settings.apps).find(({ cvm }) => cvm === request.cvm);
  const canAsk = (host.namedNetwork ?? app?.network) !== undefined || host.hasDefaultEndpoint;
  if (!needsProof || expectedKmsPublicKey !== undefined || !canAsk) return undefined;
  return (await findLiveKms(await host.connectChain(app?.network), io))?.kms;
}

/** The trusted keys for the environment, and the accepted risks. None of this comes from the cloud. */
async function readTrust(args: UpdateArguments, host: CommandHost, accepted: ReadonlySet<string>) {
  const pinned = (await host.settings.kmsPublicKey.get()).trim();
  return {
    kms: resolveKms(args, { configuredKms: await readConfiguredKms(host) }),
    expectedKmsPublicKey: pinned === "" ? undefined : parseKmsPublicKey(pinned),
    acceptUnprovenKey: accepted.has("unproven-key"),
    acceptUnprovenDocument: accepted.has("unproven-document"),
    acceptEmptyValues: accepted.has("empty-values"),
    acceptKeyEpochs: accepted.has("key-epochs"),
  };
}

/**
 * The apps that the configuration allows for this CVM: the apps of the entries that name the CVM, by the name of the command
 * line or by another of its names. If no entry names it, all configured apps. Empty if the configuration has no app.
 */
function appsOfConfiguration({ settings }: CommandHost, typed: string, cvm: Cvm): readonly AppId[] {
  const apps = Object.values(settings.apps);
  const naming = (names: readonly (string | undefined)[]) =>
    apps.filter((app) => app.cvm !== undefined && names.map(comparable).includes(comparable(app.cvm)));
  const [first = apps] = [naming([typed]), naming([cvm.id, cvm.name, cvm.vmUuid])].filter(({ length }) => length > 0);
  return [...new Set(first.map(({ address }) => address))];
}

/** A UUID may be written with or without dashes. */
function comparable(name: string | undefined): string | undefined {
  const digits = name?.replaceAll("-", "").toLowerCase();
  return digits !== undefined && /^[0-9a-f]{32}$/.test(digits) ? digits : name;
}

/** @throws KmsDowngradeError, RpcUnavailableError */
async function requireNoDowngrade(
  host: CommandHost,
  { cvm, appId, isKnown }: { readonly cvm: string; readonly appId: AppId | undefined; readonly isKnown: boolean },
): Promise<void> {
  const { namedNetwork: network } = host;
  if (network !== undefined) throw new KmsDowngradeError(cvm, `--network ${network} was given for its app`);
  if (isKnown) throw new KmsDowngradeError(cvm, `its app ${appId} is named`);
  if (appId === undefined || !host.hasDefaultEndpoint) return;
  const { client, chainId } = await host.connectChain();
  if ((await readCode(client, { address: appId })) === "0x") return;
  throw new KmsDowngradeError(cvm, `there is a contract at its app's address ${appId} on chain ${chainId}`);
}

/** The device rule of the command line; undefined if none is given. */
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

/**
 * If the configuration lists the app's devices, the command line can only narrow the list. @throws InvalidArgumentError
 */
function withinConfigured(
  given: "none" | readonly DeviceId[] | undefined,
  configured: readonly DeviceId[] | undefined,
): "any" | "none" | readonly DeviceId[] {
  if (configured === undefined || given === "none") return given ?? "any";
  if (given === undefined) return configured;
  const unlisted = given.find((deviceId) => !configured.includes(deviceId));
  if (unlisted === undefined) return given;
  throw new InvalidArgumentError(`The configuration lists the app's devices, but ${unlisted} is not one of them.`, {
    nextStep: "Add it to apps.NAME.devices, or omit --allow-device.",
    context: { deviceId: unlisted, configured },
  });
}

/** The owner of an app, with its kind. @throws RpcUnavailableError */
export async function readAppOwner({ client, appId }: ConnectedApp): Promise<ReadOwnerReturnType> {
  const { owner } = await readOwnership(client, { appId });
  return readOwner(client, { address: owner });
}

/**
 * Adds to a refusal, because the signer may not allow what the update needs, whether the cloud keeps the change, and what
 * goes on if the owner is a contract. Other errors stay as they are.
 *
 * @param isKept whether the cloud has the change already, and waits for its hash
 */
export async function throughOwners(
  error: unknown,
  app: ConnectedApp | undefined,
  { isKept }: { readonly isKept: boolean },
): Promise<unknown> {
  const isRefused = error instanceof NotOwnerError || error instanceof SignerRequiredError;
  if (!isRefused || app === undefined) return error;
  const { kind } = await readAppOwner(app);
  const kept = isKept
    ? "The cloud keeps the change, and applies it only when the owner has allowed what it needs; the next update of the CVM replaces it."
    : "The cloud was not asked to change anything.";
  if (kind === "eoa" || kind === "renounced")
    return Object.assign(error, { nextStep: [kept, error.nextStep].join(" ").trim() });
  return Object.assign(error, {
    nextStep: `${kept} The owner is a contract, so others must sign. Give the same options again with --prepare --plan FILE: this prepares the update and writes what they sign. When they have executed it: dstack update --commit --plan FILE --wait.`,
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
