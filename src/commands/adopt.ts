import { isAddressEqual } from "viem";
import { parseAddress } from "../chain/client.ts";
import { readOwnership } from "../chain/read-app.ts";
import { type ReadOwnerReturnType, readOwner } from "../chain/read-owner.ts";
import type { AppId } from "../core/ids.ts";
import { acceptOwnershipCall, type OwnerCall, transferOwnershipCall } from "../core/owner-calls.ts";
import { InvalidArgumentError, UnusableFileError } from "../errors/index.ts";
import { faultCode, writeWholeFile } from "../files/own-file.ts";
import { dstackAppAbi } from "../generated/abi.ts";
import type { Output } from "../output/output.ts";
import { Impersonation } from "../rehearsal/impersonation.ts";
import { type AdoptedCvms, formatAdoptedCvms, parseAdoptedCvms } from "../world/adopted-cvms.ts";
import type { ForkBlock } from "../world/chain/start-chain.ts";
import { readAdoptedCvms } from "../world/read-adopted-cvms.ts";
import type { StartWorldParameters, World } from "../world/start-world.ts";
import { readTextFile } from "./arguments.ts";
import { connectCloud, requireCloud, resolveApp } from "./connect-app.ts";
import type { CommandHost } from "./host.ts";

/** The options of a world that forks a live chain. */
export interface ForkArguments {
  readonly fork?: string | undefined;
  readonly at?: string | undefined;
  readonly record?: string | undefined;
  readonly offline?: string | undefined;
  readonly kms?: string | undefined;
  readonly adopt?: string | undefined;
  readonly cvms?: string | undefined;
  readonly takeOwnership?: boolean | undefined;
}

export interface ForkSettings
  extends Pick<StartWorldParameters, "forkUrl" | "forkBlock" | "record" | "replay" | "kms"> {
  /** Undefined if no CVM is adopted. */
  readonly adoption: Adoption | undefined;
}

/** Which CVMs a world adopts, and from where. */
export interface Adoption {
  /** Apps by address or by name in `dstack.apps`. Empty for all of the file. */
  readonly apps: readonly string[];
  /** Read if it exists, else written. */
  readonly file: string | undefined;
  /** Whether the cloud must not be asked. */
  readonly isOffline: boolean;
  /** Whether the account of the world becomes the owner of the apps. */
  readonly takesOwnership: boolean;
}

const nextStep = "See npx hardhat dstack up --help.";

/** @throws InvalidArgumentError, InvalidHexError */
export function parseForkArguments(args: ForkArguments, forkUrl: string | undefined): ForkSettings {
  const { at, record, offline: replay, kms, adopt, cvms: file, takeOwnership: takesOwnership = false } = args;
  if (replay !== undefined && (forkUrl !== undefined || record !== undefined)) {
    throw new InvalidArgumentError("--offline repeats a recording, so it takes neither --fork nor --record.", {
      nextStep,
    });
  }
  const given = { "--at": at, "--record": record, "--kms": kms, "--adopt": adopt, "--cvms": file };
  for (const [option, value] of Object.entries({ ...given, "--take-ownership": takesOwnership || undefined })) {
    if (value === "") throw new InvalidArgumentError(`${option} must not be empty.`, { nextStep });
    if (value === undefined || forkUrl !== undefined || replay !== undefined) continue;
    const orExisting = option === "--kms" ? ", --chain-rpc" : "";
    throw new InvalidArgumentError(`${option} needs --fork${orExisting} or --offline.`, { nextStep });
  }
  const apps = (adopt ?? "").split(",").flatMap((app) => app.trim() || []);
  const isAdopting = apps.length > 0 || file !== undefined;
  if (takesOwnership && !isAdopting) {
    throw new InvalidArgumentError("--take-ownership needs --adopt or --cvms.", { nextStep });
  }
  return {
    ...{ forkUrl, forkBlock: parseForkBlock(at), record, replay },
    kms: kms === undefined ? undefined : parseAddress("--kms", kms),
    adoption: isAdopting ? { apps, file, isOffline: replay !== undefined, takesOwnership } : undefined,
  };
}

function parseForkBlock(raw: string | undefined): ForkBlock | undefined {
  if (raw === undefined || raw === "safe" || raw === "finalized") return raw;
  if (/^\d{1,15}$/.test(raw)) return BigInt(raw);
  throw new InvalidArgumentError("--at must be a block number, safe or finalized.", { nextStep });
}

export interface ReadAdoptionParameters extends Adoption {
  /** Port at which the world's own cloud will listen. */
  readonly cloudPort: number;
  readonly output: Output;
  readonly signal: AbortSignal;
}

/**
 * Reads the CVMs from the file, or from the cloud of the configuration, and then writes the file.
 *
 * @throws InvalidArgumentError if there is neither a file nor an API key, or an app has no CVM
 * @throws UnusableFileError, CloudError
 */
export async function readAdoption(host: CommandHost, parameters: ReadAdoptionParameters): Promise<AdoptedCvms> {
  const { apps, file, isOffline, cloudPort, output, signal } = parameters;
  const targets = apps.map((app) => resolveApp({ app }, { apps: host.settings.apps, cloud: undefined }));
  const appIds = (await Promise.all(targets)).map(({ appId }) => appId);
  const kept = file === undefined ? undefined : await readKept(file);
  if (kept !== undefined) return onlyOf(parseAdoptedCvms(kept), appIds);
  if (isOffline) {
    const where = file === undefined ? "" : `, but there is no ${file}`;
    throw new InvalidArgumentError(`--offline reads the CVMs from the file of --cvms${where}.`, {
      nextStep: "Start once with --record and --cvms, which writes the file.",
    });
  }
  if (appIds.length === 0) {
    throw new InvalidArgumentError(`There is no file ${file}, and --adopt names no app.`, {
      nextStep: "Name the apps with --adopt. The file is then written.",
    });
  }
  const cloud = requireCloud(await connectCloud(host), "to adopt CVMs, or a file with --cvms");
  await requireOtherCloud(host, cloudPort);
  const adopted = await readAdoptedCvms(cloud, { appIds, signal });
  if (file !== undefined) {
    await writeWholeFile(file, formatAdoptedCvms(adopted));
    output.line(`Wrote ${adopted.cvms.length === 1 ? "1 CVM" : `${adopted.cvms.length} CVMs`} to ${file}.`);
  }
  return adopted;
}

/** Undefined if the file does not exist. */
async function readKept(file: string): Promise<string | undefined> {
  try {
    return await readTextFile(file);
  } catch (error) {
    if (error instanceof UnusableFileError && faultCode(error.cause) === "ENOENT") return undefined;
    throw error;
  }
}

function onlyOf(adopted: AdoptedCvms, appIds: readonly AppId[]): AdoptedCvms {
  if (appIds.length === 0) return adopted;
  const cvms = adopted.cvms.filter(({ appId }) => appIds.includes(appId));
  const missing = appIds.find((appId) => cvms.every((cvm) => cvm.appId !== appId));
  if (missing === undefined) return { ...adopted, cvms };
  throw new InvalidArgumentError(`The file of --cvms has no CVM of app ${missing}.`, {
    nextStep: "Name an app of the file, or leave --cvms out to ask the cloud.",
    context: { appId: missing },
  });
}

/** The lines that `dstack up` prints name its own cloud. In a shell with them this task would ask itself. */
async function requireOtherCloud({ settings }: CommandHost, cloudPort: number): Promise<void> {
  const url = URL.parse(await settings.cloud.baseUrl.get());
  const isOwn = url !== null && /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (!isOwn || cloudPort === 0 || Number(url.port) !== cloudPort) return;
  throw new InvalidArgumentError(`The configured cloud, ${url.origin}, is the one that this world starts.`, {
    nextStep: "Unset PHALA_CLOUD_API_PREFIX and set PHALA_CLOUD_API_KEY to a key of the real cloud.",
  });
}

/** Who owns an adopted app on the fork. */
export interface AdoptedApp {
  readonly appId: AppId;
  readonly owner: ReadOwnerReturnType;
}

/** @throws RpcUnavailableError */
export async function readAdoptedApps({ adopted, chain }: World): Promise<readonly AdoptedApp[]> {
  const appIds = new Set(adopted?.cvms.map(({ appId }) => appId));
  return Promise.all(
    [...appIds].map(async (appId) => {
      const { owner } = await readOwnership(chain.client, { appId });
      return { appId, owner: await readOwner(chain.client, { address: owner }) };
    }),
  );
}

/**
 * Makes the world's account the owner of the adopted apps, on the fork alone: the owner of each, impersonated, transfers
 * it. Clients that need a key can then change these apps.
 *
 * @throws InvalidArgumentError if an app has no owner; ContractRevertedError, RpcUnavailableError
 */
export async function takeOwnership(world: World): Promise<void> {
  const { chain, owner: account } = world;
  const impersonation = new Impersonation(chain.client);
  const send = (from: OwnerCall["to"], { to, data, functionName }: OwnerCall) =>
    impersonation.send({ from, to, data, functionName, abi: dstackAppAbi });
  for (const { appId, owner } of await readAdoptedApps(world)) {
    if (owner.kind === "renounced") {
      throw new InvalidArgumentError(`App ${appId} has no owner, so --take-ownership cannot take it.`, {
        nextStep: "Leave --take-ownership out.",
        context: { appId },
      });
    }
    if (isAddressEqual(owner.address, account.address)) continue;
    await send(owner.address, transferOwnershipCall({ appId, newOwner: account.address }));
    const { isTwoStep } = await readOwnership(chain.client, { appId });
    if (isTwoStep) await send(account.address, acceptOwnershipCall({ appId }));
  }
}
