import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { privateKeyToAccount } from "viem/accounts";
import { parseAddress } from "../chain/client.ts";
import { parseFixedHex } from "../core/ids.ts";
import { InvalidArgumentError } from "../errors/index.ts";
import { parseAllowedHosts, parseAllowedOrigins, splitList } from "../mock-cloud/http/page-guard.ts";
import type { EventListener, Finality } from "../mock-cloud/index.ts";
import { parseFinality } from "../mock-cloud/options.ts";
import { createCloudOutput } from "../output/cloud.ts";
import { createOutput } from "../output/output.ts";
import type { AdoptedCvms } from "../world/adopted-cvms.ts";
import { type AttachedWorld, attachWorld } from "../world/attach-world.ts";
import { devPrivateKey } from "../world/chain/client.ts";
import { safeReleases, type WorldSafe, type WorldSafeOptions } from "../world/safe.ts";
import { type StartWorldParameters, startWorld, type World } from "../world/start-world.ts";
import {
  type AdoptedApp,
  type Adoption,
  type ForkArguments,
  type ForkSettings,
  parseForkArguments,
  type ReadAdoptionParameters,
  readAdoptedApps,
  readAdoption,
  takeOwnership,
} from "./adopt.ts";
import type { Command } from "./host.ts";
import { toOperatorTerms } from "./operator-terms.ts";
import { exitCodeOf, formatEnvelope, formatErrorEnvelope, type OutputArguments } from "./run.ts";

export interface UpContext {
  /** Receives only the description of the world. */
  readonly stdout: NodeJS.WritableStream;
  /** Receives the events of the world, for people. */
  readonly stderr: NodeJS.WritableStream;
  readonly readOwnerKey: () => Promise<string>;
  /** Reads the CVMs that the world adopts. */
  readonly readAdoption: (parameters: ReadAdoptionParameters) => Promise<AdoptedCvms>;
  /** Ends the world. */
  readonly signal: AbortSignal;
}

export const upCommand: Command<UpArguments> = (args, host) =>
  exitCodeOf(
    async (signal) => {
      const { stdout, stderr } = process;
      await up(args, {
        ...{ stdout, stderr, signal },
        readOwnerKey: () => host.settings.ownerKey.get(),
        readAdoption: (parameters) => readAdoption(host, parameters),
      });
      return 0;
    },
    {
      whenStopped: 0,
      onError: (error) => args.json === true && process.stdout.write(formatErrorEnvelope(args.task, error)),
    },
  );

/** Starts a world, prints how to use it, and keeps it until the signal. */
export async function up(args: UpArguments, context: UpContext): Promise<void> {
  const { stdout, stderr, readOwnerKey, readAdoption, signal } = context;
  const settings = parseUpArguments(args);
  const output = createOutput(stderr);
  const showEvent = createCloudOutput(output, { requests: true });
  const adminKey = settings.hasAdmin ? `admin_${randomBytes(24).toString("hex")}` : undefined;
  const { adoption } = settings.chain.kind === "own" ? settings.chain : { adoption: undefined };
  const adopt = adoption && (await readAdoption({ ...adoption, cloudPort: settings.cloudPort, output, signal }));
  if (!settings.isJson) output.line("Starting chain, contracts and cloud…");
  let isUp = false;
  const world = await openWorld({
    settings,
    adopt,
    readOwnerKey,
    adminKey,
    signal,
    // The user does not need the events of the world's own setup.
    onCloudEvent: (event) => (isUp && !settings.isJson ? showEvent(event) : undefined),
  });
  try {
    const apps = "adopted" in world ? await openAdoptedApps(world, adoption) : [];
    isUp = true;
    const description = describeWorld(world, adminKey, apps);
    stdout.write(settings.isJson ? formatEnvelope(args.task, description) : toShell(description));
    if (!settings.isJson)
      output.line("\nThe world is ready. Paste the lines above into another shell. Ctrl-C stops it.");
    if (!signal.aborted) await once(signal, "abort");
  } finally {
    await world.close();
  }
}

async function openAdoptedApps(world: World, adoption: Adoption | undefined): Promise<readonly AdoptedApp[]> {
  if (adoption?.takesOwnership) await takeOwnership(world);
  return readAdoptedApps(world);
}

/** As Hardhat passes them: options that were not given are undefined. */
export interface UpArguments extends Pick<OutputArguments, "task" | "json">, ForkArguments {
  readonly chainPort?: string | undefined;
  readonly chainId?: string | undefined;
  readonly blockTime?: string | undefined;
  readonly safeLag?: string | undefined;
  readonly finalizedLag?: string | undefined;
  readonly cloudPort?: string | undefined;
  readonly state?: string | undefined;
  readonly chainRpc?: string | undefined;
  readonly finality?: string | undefined;
  readonly allowedHosts?: string | undefined;
  readonly allowedOrigins?: string | undefined;
  readonly deviceLogin?: boolean | undefined;
  readonly privateWebhooks?: boolean | undefined;
  readonly admin?: boolean | undefined;
  readonly safe?: string | undefined;
}

type OwnChain = Pick<
  StartWorldParameters,
  "chainPort" | "chainId" | "blockTimeMs" | "safeLagSeconds" | "finalizedLagSeconds"
> &
  ForkSettings;

export interface UpSettings {
  readonly chain:
    | ({ readonly kind: "own" } & OwnChain)
    | { readonly kind: "existing"; readonly rpcUrl: string; readonly kms: string };
  readonly cloudPort: number;
  readonly stateFile: string | undefined;
  readonly finality: Finality | undefined;
  readonly safe: WorldSafeOptions | undefined;
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
  readonly deviceLogin: boolean;
  readonly privateWebhooks: boolean;
  /** Whether the clock, faults and snapshots are available over HTTP. */
  readonly hasAdmin: boolean;
  readonly isJson: boolean;
}

const nextStep = "See npx hardhat dstack up --help.";

/** @throws InvalidArgumentError, InvalidHexError */
export function parseUpArguments(args: UpArguments): UpSettings {
  const { cloudPort, state, deviceLogin = false, privateWebhooks = false, admin = false, json = false } = args;
  if (state === "") throw new InvalidArgumentError("--state needs a file name.", { nextStep });
  const chain = parseChain(args);
  if (args.safe !== undefined && chain.kind === "own" && (chain.kms ?? chain.adoption) !== undefined) {
    throw new InvalidArgumentError("--safe makes a Safe the owner of this world's own app, which a live KMS has not.", {
      nextStep: "Leave --safe out. Adopted apps keep their owners.",
    });
  }
  return {
    chain,
    cloudPort: parsePort("--cloud-port", cloudPort, 4000),
    stateFile: state,
    finality: parseFinality("--finality", args.finality),
    safe: parseSafe(args.safe),
    allowedHosts: parseAllowedHosts(splitList(args.allowedHosts), "--allowed-hosts"),
    allowedOrigins: parseAllowedOrigins(splitList(args.allowedOrigins), "--allowed-origins"),
    deviceLogin,
    privateWebhooks,
    hasAdmin: admin,
    isJson: json,
  };
}

function parseChain(args: UpArguments): UpSettings["chain"] {
  const { chainPort, chainId, blockTime, safeLag, finalizedLag, fork, chainRpc, kms } = args;
  if (chainRpc === undefined) {
    return {
      kind: "own",
      chainPort: parsePort("--chain-port", chainPort, 8545),
      chainId: parseNumber("--chain-id", chainId, "the number of a chain"),
      blockTimeMs: parseNumber("--block-time", blockTime, "a whole number of milliseconds, 200 for Base"),
      safeLagSeconds: parseNumber("--safe-lag", safeLag, "a whole number of seconds"),
      finalizedLagSeconds: parseNumber("--finalized-lag", finalizedLag, "a whole number of seconds"),
      ...parseForkArguments(args, fork === undefined ? undefined : parseUrl("--fork", fork)),
    };
  }
  if (kms === undefined) throw new InvalidArgumentError("--chain-rpc needs --kms.", { nextStep });
  for (const [option, value] of Object.entries({
    "--fork": fork,
    "--at": args.at,
    "--record": args.record,
    "--offline": args.offline,
    "--adopt": args.adopt,
    "--cvms": args.cvms,
    "--take-ownership": args.takeOwnership || undefined,
    "--chain-port": chainPort,
    "--chain-id": chainId,
    "--block-time": blockTime,
    "--safe-lag": safeLag,
    "--finalized-lag": finalizedLag,
  })) {
    if (value === undefined) continue;
    throw new InvalidArgumentError(`${option} applies only to a new chain, but --chain-rpc names an existing one.`, {
      nextStep,
    });
  }
  return { kind: "existing", rpcUrl: parseUrl("--chain-rpc", chainRpc), kms: parseAddress("--kms", kms) };
}

function parseSafe(raw: string | undefined): WorldSafeOptions | undefined {
  if (raw === undefined) return undefined;
  const [, threshold, owners, version] = /^(\d{1,3})\/(\d{1,3})(?:@(.+))?$/.exec(raw) ?? [];
  const release = safeReleases.find((known) => known === (version ?? safeReleases.at(-1)));
  if (threshold === undefined || owners === undefined || release === undefined) {
    throw new InvalidArgumentError(
      `--safe must be SIGNATURES/OWNERS, or SIGNATURES/OWNERS@VERSION with ${safeReleases.join(" or ")}.`,
      { nextStep: `For example --safe 2/3. ${nextStep}` },
    );
  }
  return { threshold: Number(threshold), owners: Number(owners), ...(version !== undefined && { version: release }) };
}

function parsePort(option: string, raw: string | undefined, fallback: number): number {
  const port = parseNumber(option, raw, "a whole number from 0 to 65535") ?? fallback;
  if (port <= 65_535) return port;
  throw new InvalidArgumentError(`${option} must be a whole number from 0 to 65535.`, { nextStep });
}

function parseNumber(option: string, raw: string | undefined, what: string): number | undefined {
  if (raw === undefined) return undefined;
  if (/^\d{1,16}$/.test(raw)) return Number(raw);
  throw new InvalidArgumentError(`${option} must be ${what}.`, { nextStep });
}

/** The message does not repeat the URL, because it may contain a key. */
function parseUrl(option: string, raw: string): string {
  const protocol = URL.canParse(raw) ? new URL(raw).protocol : "";
  if (protocol === "http:" || protocol === "https:") return raw;
  throw new InvalidArgumentError(`${option} must be an http or https URL.`, { nextStep });
}

/** Everything a program or a person needs to use a world. */
export type WorldDescription = ReturnType<typeof describeWorld>;

export function describeWorld(
  world: World | AttachedWorld,
  adminKey: string | undefined,
  apps: readonly AdoptedApp[] = [],
) {
  const { chain, contracts, cloud, cvms, environment } = world;
  const { adopted, refusedOsImages, forkedBlock } = "adopted" in world ? world : ({} as Partial<World>);
  return {
    apiUrl: cloud.baseUrl,
    openApiUrl: `${cloud.url}/openapi.json`,
    adminUrl: adminKey === undefined ? undefined : `${cloud.url}/admin`,
    rpcUrl: chain.rpcUrl,
    chainId: chain.id,
    kms: contracts.kms,
    appImplementation: contracts.appImplementation,
    owner: world.owner?.address,
    cvms,
    forkedBlock: forkedBlock?.toString(),
    adopted: adopted && {
      apps: apps.map(({ appId, owner }) => ({ appId, owner: owner.address, ownerKind: owner.kind })),
      cvms: adopted.cvms.map(({ id, name, appId, status, composeHash }) => ({ id, name, appId, status, composeHash })),
      refusedOsImages,
    },
    safe: world.safe,
    environment: {
      ...environment,
      ...(cvms.onChain && { ONCHAIN_CVM: cvms.onChain.name, ONCHAIN_APP: cvms.onChain.appId }),
      ...(cvms.offChain && { OFFCHAIN_CVM: cvms.offChain.name, OFFCHAIN_APP: cvms.offChain.appId }),
      ...(world.safe && safeEnvironment(world.safe)),
      ...(adminKey !== undefined && { DSTACK_CLOUD_ADMIN_KEY: adminKey }),
    },
    /** What this world lacks, in one sentence. */
    note: "missing" in world ? world.missing : undefined,
    /** Why updates cannot prove the key of an environment here, in one sentence. */
    keyNote: "unprovable" in world && world.unprovable !== undefined ? toOperatorTerms(world.unprovable) : undefined,
  };
}

/** The keys of a local chain's accounts are public. */
function safeEnvironment({ address, owners }: WorldSafe): Readonly<Record<string, string>> {
  const keys = owners.map((_, index) => [`SAFE_OWNER_KEY_${index + 1}`, devPrivateKey(index)] as const);
  return { ONCHAIN_SAFE: address, ...Object.fromEntries(keys) };
}

/** The description as shell text. Every line is an export or a comment, so all of it can be pasted. */
export function toShell(description: WorldDescription): string {
  const { apiUrl, openApiUrl, adminUrl, rpcUrl, chainId, kms, cvms, safe, note, keyNote, environment } = description;
  const { forkedBlock, adopted } = description;
  const fork = forkedBlock === undefined ? "" : `, a fork at block ${forkedBlock}`;
  const remarks = [
    `cloud API  ${apiUrl}`,
    `OpenAPI    ${openApiUrl}`,
    ...(adminUrl === undefined ? [] : [`admin      ${adminUrl}`]),
    `chain RPC  ${rpcUrl}, chain id ${chainId}${fork}`,
    `DstackKms  ${kms}`,
    ...Object.values(cvms).map(({ name, appId }) => `CVM        ${name}, app ${appId}`),
    ...(safe === undefined
      ? []
      : [`Safe       ${safe.address}, ${safe.threshold} of ${safe.owners.length}, ${safe.version}`]),
    ...(adopted === undefined ? [] : describeAdopted(adopted)),
    ...[note, keyNote].flatMap((sentence) => sentence ?? []),
  ];
  const exports = Object.entries(environment).map(([name, value]) => `export ${name}=${quote(value)}`);
  return [...remarks.map((remark) => `# ${remark}`), ...exports, ""].join("\n");
}

function describeAdopted({ apps, cvms, refusedOsImages = [] }: NonNullable<WorldDescription["adopted"]>): string[] {
  return [
    ...cvms.map(({ id, name, appId, status }) => `adopted    ${name} (${id}), app ${appId}, ${status}`),
    ...apps.map(({ appId, owner, ownerKind }) => `owner      ${owner} of app ${appId}, ${ownerWords[ownerKind]}`),
    ...refusedOsImages.map(
      ({ name, hash }) => `The KMS does not allow OS image ${name} (${hash}): its CVMs would not boot.`,
    ),
    "The values of adopted environments are unknown, so these guests have none until an update sets them.",
    "To act as an owner without its key, call hardhat_impersonateAccount on the chain RPC.",
  ];
}

const ownerWords: Readonly<Record<AdoptedApp["owner"]["kind"], string>> = {
  renounced: "no account",
  eoa: "an account",
  safe: "a Safe",
  timelock: "a timelock",
  contract: "a contract",
};

function quote(value: string): string {
  return /^[\w.:/-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}

export interface OpenWorldParameters {
  readonly settings: UpSettings;
  readonly adopt: AdoptedCvms | undefined;
  /** Returns the owner's private key, empty if there is none. Called only for an existing chain. */
  readonly readOwnerKey: () => Promise<string>;
  readonly adminKey: string | undefined;
  readonly onCloudEvent: EventListener;
  readonly signal: AbortSignal;
}

/** Slow enough that the user sees a CVM stop and start again. */
const rolloverMs = 1500;

export async function openWorld(parameters: OpenWorldParameters): Promise<World | AttachedWorld> {
  const { settings, adopt, readOwnerKey, adminKey, onCloudEvent, signal } = parameters;
  const { chain, cloudPort, stateFile, finality, deviceLogin, privateWebhooks, allowedHosts, allowedOrigins, safe } =
    settings;
  const guard = { allowedHosts, allowedOrigins };
  const admin = adminKey === undefined ? {} : { admin: { key: adminKey } };
  const cloud = {
    port: cloudPort,
    rolloverMs,
    onEvent: onCloudEvent,
    finality,
    deviceLogin,
    privateWebhooks,
    ...admin,
  };
  if (chain.kind === "own") return startWorld({ ...chain, adopt, stateFile, safe, cloud, signal, ...guard });
  const key = await readOwnerKey();
  const owner = key === "" ? undefined : privateKeyToAccount(parseFixedHex("The owner's private key", key, 32));
  return attachWorld({
    rpcUrl: chain.rpcUrl,
    kms: chain.kms,
    owner,
    stateFile,
    safe,
    cloud: { ...cloud, ...guard },
    signal,
  });
}
