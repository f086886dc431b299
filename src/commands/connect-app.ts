import type { Address } from "viem";
import { parseAddress, requireChain } from "../chain/client.ts";
import type { AppStatus, ReadAppStatusReturnType } from "../chain/read-app.ts";
import { type CloudClient, createCloudClient } from "../cloud/create-client.ts";
import type { Cvm } from "../cloud/cvm.ts";
import { getAppCvms } from "../cloud/get-app-cvms.ts";
import { getCvm } from "../cloud/get-cvm.ts";
import { type AppId, type ComposeHash, type DeviceId, parseAppId } from "../core/ids.ts";
import { lintApp, requireClean } from "../core/lint/lint.ts";
import { CloudResponseError, InvalidArgumentError, NoContractError } from "../errors/index.ts";
import type { CommandHost, ConnectedChain, DstackConfig } from "./host.ts";
import type { SendingArguments } from "./sending.ts";
import { type Signing, signingOf } from "./signing.ts";

export interface AppArguments extends SendingArguments {
  /** `0x…`, `app_…` or a name of the configuration. */
  readonly app?: string | undefined;
  /** Name or id in the cloud. */
  readonly cvm?: string | undefined;
}

export interface AppTarget {
  readonly appId: AppId;
  /** Its name in the configuration. */
  readonly alias: string | undefined;
  /** Name or id of its CVM, if known. */
  readonly cvm: string | undefined;
  /** Network of the configuration. */
  readonly network: string | undefined;
  readonly pins: readonly ComposeHash[];
  /** The devices that the configuration lists; undefined if it lists none for this app. */
  readonly devices: readonly DeviceId[] | undefined;
  /** The CVM's chain according to the cloud. Ask the chain before trusting it. */
  readonly chainId: number | undefined;
  /** The CVM's KMS according to the cloud. */
  readonly kms: Address | undefined;
}

export interface ResolveAppParameters {
  readonly apps: DstackConfig["apps"];
  readonly cloud: CloudClient | undefined;
}

/**
 * Finds the app of a command: `--app`, the app of `--cvm`, or the only app of the configuration. If both options are
 * given and there is an API key, they must agree.
 *
 * @throws InvalidArgumentError, InvalidHexError, CloudError
 */
export async function resolveApp(args: AppArguments, { apps, cloud }: ResolveAppParameters): Promise<AppTarget> {
  if (args.cvm === undefined) return named(args.app, apps);
  const chosen = args.app === undefined ? undefined : named(args.app, apps);
  if (chosen !== undefined && cloud === undefined) return { ...chosen, cvm: args.cvm };
  const cvm = await getCvm(requireCloud(cloud, `for the app of ${args.cvm}`), { cvm: args.cvm });
  if (cvm.appId === undefined || cvm.kmsContractAddress === undefined) {
    throw new InvalidArgumentError(`${args.cvm} has no app contract: its KMS keeps its policy off chain.`, {
      nextStep: "Give a CVM whose KMS has a contract.",
      context: { cvm: args.cvm },
    });
  }
  requireSameApp(args.cvm, cvm.appId, chosen?.appId ?? cvm.appId);
  return { ...(chosen ?? known(cvm.appId, apps)), cvm: args.cvm, chainId: cvm.chainId, kms: cvm.kmsContractAddress };
}

/** A CVM of one app says nothing about another app. @throws InvalidArgumentError */
export function requireSameApp(cvm: string, itsApp: AppId | undefined, wanted: AppId): void {
  if (itsApp === wanted) return;
  throw new InvalidArgumentError(`${cvm} is a CVM of app ${itsApp ?? "none"}, but the command is about ${wanted}.`, {
    nextStep: "Give a CVM of the app, or omit --app.",
    context: { cvm, itsApp, wanted },
  });
}

function named(raw: string | undefined, apps: DstackConfig["apps"]): AppTarget {
  const names = Object.keys(apps);
  const among = names.length === 0 ? "" : `one of ${names.join(", ")}, `;
  const nextStep = `Give --app ${among}0x… or app_…, or --cvm NAME.`;
  const [only] = names;
  const name = raw ?? (names.length === 1 ? only : undefined);
  if (name === undefined) throw new InvalidArgumentError("No app was named.", { nextStep, context: { apps: names } });
  const app = Object.hasOwn(apps, name) ? apps[name] : undefined;
  if (app !== undefined) return target(app.address, name, apps);
  if (/^0x/i.test(name)) return known(parseAppId(parseAddress("The app's address", name)), apps);
  if (/^app_/.test(name) || /^[0-9a-f]{40}$/i.test(name)) return known(parseAppId(name), apps);
  throw new InvalidArgumentError(`The configuration has no app named ${name}.`, { nextStep, context: { apps: names } });
}

function known(appId: AppId, apps: DstackConfig["apps"]): AppTarget {
  const [alias] = Object.entries(apps).find(([, { address }]) => address === appId) ?? [];
  return target(appId, alias, apps);
}

function target(appId: AppId, alias: string | undefined, apps: DstackConfig["apps"]): AppTarget {
  const app = alias === undefined ? undefined : apps[alias];
  // An app may have several names. The pins of all of them count, whichever name is used.
  const entries = Object.values(apps).filter(({ address }) => address === appId);
  const pins = entries.flatMap((one) => one.pins);
  const lists = entries.flatMap(({ devices }) => (devices === undefined ? [] : [devices]));
  return {
    appId,
    alias,
    cvm: app?.cvm,
    network: app?.network,
    pins: [...new Set(pins)],
    devices: lists.length === 0 ? undefined : [...new Set(lists.flat())],
    chainId: undefined,
    kms: undefined,
  };
}

export interface ConnectedApp extends ConnectedChain, AppTarget, Signing {
  readonly chainId: number;
  readonly network: string;
  /** The KMS of the configuration. */
  readonly configuredKms: Address | undefined;
  /** Undefined without an API key. */
  readonly cloud: CloudClient | undefined;
}

/**
 * Connects what a command about one app needs: the app, its chain and, if there is an API key, the cloud.
 *
 * @throws InvalidArgumentError, InvalidHexError, CloudError, WrongChainError, RpcUnavailableError
 */
export async function connectApp(args: AppArguments, host: CommandHost): Promise<ConnectedApp> {
  const cloud = await connectCloud(host);
  const app = await resolveApp(args, { apps: host.settings.apps, cloud });
  const chain = await host.connectChain(app.network);
  if (app.chainId !== undefined) await requireChain(chain.client, app.chainId);
  return {
    ...app,
    ...chain,
    configuredKms: await readConfiguredKms(host),
    cloud,
    ...signingOf(args, host, chain),
  };
}

/** Returns the status of an app's address if it is an app. @throws LintRefusedError, NoContractError */
export function requireApp(status: ReadAppStatusReturnType, appId: AppId): AppStatus {
  if (status.kind === "app") return status;
  const app = { appId, hasCode: status.kind !== "noCode", isKms: status.kind === "kms", policy: undefined };
  requireClean(lintApp({ app: app }));
  throw new NoContractError(appId);
}

/** The DstackKms of the configuration, if it has one. @throws InvalidHexError */
export async function readConfiguredKms({ settings }: CommandHost): Promise<Address | undefined> {
  const kms = (await settings.kms.get()).trim();
  return kms === "" ? undefined : parseAddress("The KMS address (dstack.kms or DSTACK_KMS)", kms);
}

/**
 * The cloud of the configuration. Undefined without an API key, because anyone can read the chain.
 *
 * @throws InvalidArgumentError if the key or the URL is invalid
 */
export async function connectCloud(host: CommandHost): Promise<CloudClient | undefined> {
  const { apiKey: key, baseUrl, timeoutMs } = host.settings.cloud;
  const apiKey = await key.get();
  return apiKey === "" ? undefined : createCloudClient({ apiKey, baseUrl: await baseUrl.get(), timeoutMs });
}

/** @throws InvalidArgumentError */
export function requireCloud(cloud: CloudClient | undefined, purpose: string): CloudClient {
  if (cloud !== undefined) return cloud;
  throw new InvalidArgumentError(`The cloud is needed ${purpose}, but there is no API key.`, {
    nextStep: "Set PHALA_CLOUD_API_KEY in the environment or the Hardhat keystore, or dstack.cloud.apiKey.",
  });
}

/**
 * The app's CVMs in the API key's workspace. A workspace without any answers 404, which means none.
 *
 * @throws CloudError
 */
export async function listCvms(cloud: CloudClient, appId: AppId): Promise<readonly Cvm[]> {
  try {
    return await getAppCvms(cloud, { appId });
  } catch (error) {
    if (error instanceof CloudResponseError && error.status === 404 && !error.answer.isUnknownPath) return [];
    throw error;
  }
}
