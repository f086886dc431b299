import type { Account, Address } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { readCode } from "../chain/code.ts";
import { readOwnership } from "../chain/read-app.ts";
import type { Ledger } from "../chain/transactions/ledger.ts";
import type { CloudClient } from "../cloud/create-client.ts";
import type { Cvm } from "../cloud/cvm.ts";
import { getCvm } from "../cloud/get-cvm.ts";
import { requireValidDockerCompose, type ValidateDockerComposeOptions } from "../core/compose-schema/validate.ts";
import { parseKmsPublicKey } from "../core/encryption-key-signature.ts";
import { type EnvironmentVariable, isEnvironmentName, parseEnvironment } from "../core/environment.ts";
import type { JudgedContract } from "../core/generation.ts";
import { type AppId, type DeviceId, parseComposeHash, parseDeviceId, parseTransactionHash } from "../core/ids.ts";
import type { PriceEstimate } from "../core/price.ts";
import { InvalidArgumentError, KmsDowngradeError, SignerRequiredError } from "../errors/index.ts";
import type { Output } from "../output/output.ts";
import { showPrice } from "../output/price.ts";
import { createUpdateOutput } from "../output/update.ts";
import { planUpdate, type UpdatePlan } from "../update/plan-update.ts";
import type { UpdateRequest, UpdateResult } from "../update/run.ts";
import { appNamedBy, checkRequest, emptyEnvironment } from "../update/trust.ts";
import { updateCvm } from "../update/update-cvm.ts";
import { parseAccept, readTextFile } from "./arguments.ts";
import { type DryRunArguments, showDryRun } from "./batch-plan.ts";
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
import { reportGenerations } from "./generations.ts";
import type { Command, CommandHost } from "./host.ts";
import { lintAndShow, lintBeforeWrite } from "./lint.ts";
import { type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "./run.ts";
import { createSending, parseSending, type SendingArguments } from "./sending.ts";
import { openTaskLedger } from "./signing.ts";

export const updateCommand: Command<UpdateArguments> = (args, host) => runTask(args, (io) => update(io, args, host));

async function update(io: TaskIo, args: UpdateArguments, host: CommandHost): Promise<TaskOutcome> {
  const choices = parseSending(args, host.settings);
  const { maxFeePerGas, maxPriorityFeePerGas } = choices;
  const namedFees = { maxFeePerGas, maxPriorityFeePerGas };
  const told = new Set<string>();
  const app = await findGivenApp(args, host);
  const asked = await parseUpdateArguments({ ...args, cvm: args.cvm ?? app?.cvm }, process.env);
  const { contracts, request, ...connected } = await connectUpdate(io, host, { args, app, request: asked });
  if (args.dryRun) {
    const plan = await planUpdate({
      ...request,
      ...connected,
      ...namedFees,
      signal: io.signal,
      onStep: createUpdateOutput(io.output, told),
    });
    return {
      result: { ...plan, ...reportGenerations(contracts) },
      show: (output) => showPlan(output, plan, { named: request.cvm, told }),
    };
  }
  using ledger = await openTaskLedger(args, host);
  showRecorded(io.output, ledger);
  const print = createUpdateOutput(io.output, told);
  let price: PriceEstimate | null = null;
  const result = await updateCvm({
    ...request,
    ...connected,
    ledger,
    waitForRollover: args.wait === true,
    ...createSending(io, { client: connected.chain }, { choices, ledger, account: connected.account }),
    onStep: (event) => {
      if (event.kind === "finished" && event.step === "readChain") price = event.result.price ?? null;
      print(event);
    },
  });
  return {
    result: { ...result, price, ...reportGenerations(contracts) },
    show: (output) => show(output, result, { named: request.cvm, told }),
  };
}

interface ShowParameters {
  /** The CVM, as the user named it. */
  readonly named: string;
  /** What the steps have printed already. */
  readonly told: ReadonlySet<string>;
}

function show(output: Output, result: UpdateResult, { named, told }: ShowParameters): void {
  output.line(`\n${describe(result, named)}`);
  const { allowedDevice, warnings } = result;
  if (allowedDevice !== undefined) output.line(`Allowed device ${allowedDevice.deviceId}, named by the cloud.`);
  for (const warning of warnings) if (!told.has(warning)) output.line(`Warning: ${warning}`);
}

function showPlan(output: Output, plan: UpdatePlan, { named, told }: ShowParameters): void {
  const { planned, price, warnings } = plan;
  output.line(`\n${describe(plan, named)}`);
  output.line(`To send: ${planned.join(", ") || "nothing, unless the cloud asks for it"}.`);
  if (price !== null) {
    output.line("If the cloud names a device that the app does not allow, addDevice is sent as well.");
    showPrice(output, price);
  }
  for (const warning of warnings) if (!told.has(warning)) output.line(`Warning: ${warning}`);
  showDryRun({ output });
}

/** Transactions that earlier updates signed and did not see mined. This run completes those it needs. */
function showRecorded(output: Output, ledger: Ledger): void {
  const open = ledger.transactions({ states: ["open"] }).filter(({ purpose }) => purpose.kind === "update");
  for (const { calls, chainId, nonce } of open)
    for (const { description, to } of calls)
      output.line(
        `Signed by an earlier run, result not known: ${description}, on ${to}, chain ${chainId}, nonce ${nonce}.`,
      );
}

const sentences: Readonly<
  Record<UpdateResult["outcome"] | UpdatePlan["outcome"], (cvm: string, hash: string) => string>
> = {
  updated: (cvm, hash) => `${cvm} was updated, and runs ${hash}.`,
  environmentReplaced: (cvm, hash) => `${cvm} has its new environment, and still runs ${hash}.`,
  unchanged: (cvm, hash) => `${cvm} already runs ${hash}. Nothing is left to do.`,
  confirmed: (cvm, hash) =>
    `The cloud has accepted the update of ${cvm} to ${hash}. It now restarts the CVM; --wait waits until that is done.`,
  planned: (cvm, hash) => `${cvm} would be updated to ${hash}.`,
};

/** The result in a sentence, with the name that the user gave and the id that the cloud gave. */
function describe(
  { outcome, cvm, composeHash }: Pick<UpdateResult | UpdatePlan, "outcome" | "cvm" | "composeHash">,
  named: string,
): string {
  const hash =
    composeHash === undefined ? "a compose file whose hash the cloud does not show" : `compose hash ${composeHash}`;
  return sentences[outcome](named === cvm ? cvm : `${named} (${cvm})`, hash);
}

/** As Hardhat passes them: options that were not given are undefined. */
export interface UpdateArguments extends DryRunArguments, OutputArguments, SendingArguments {
  readonly cvm?: string | undefined;
  /** `0x…`, `app_…` or a name of the configuration. */
  readonly app?: string | undefined;
  readonly compose?: string | undefined;
  readonly preLaunchScript?: string | undefined;
  /** NAME or NAME=VALUE, separated by commas. */
  readonly env?: string | undefined;
  readonly envFile?: string | undefined;
  readonly clearEnvironment?: boolean | undefined;
  readonly kms?: string | undefined;
  readonly allowDevice?: string | undefined;
  readonly noNewDevice?: boolean | undefined;
  readonly wait?: boolean | undefined;
  readonly acceptHashMismatch?: string | undefined;
  readonly abandonTransaction?: string | undefined;
  readonly accept?: string | undefined;
}

const nextStep = "See npx hardhat dstack update --help.";

/**
 * Reads the arguments, the files they name, and the named variables of the process.
 *
 * @throws InvalidArgumentError, InvalidAppComposeError, InvalidEnvironmentError, InvalidHexError
 */
export async function parseUpdateArguments(
  args: UpdateArguments,
  variables: Readonly<Record<string, string | undefined>>,
): Promise<UpdateRequest> {
  const { cvm, compose, preLaunchScript, env, envFile, clearEnvironment = false } = args;
  const { acceptHashMismatch, abandonTransaction } = args;
  if (!cvm) throw new InvalidArgumentError("--cvm is missing.", { nextStep });
  const fromFile = envFile === undefined ? undefined : parseEnvironment(await readTextFile(envFile));
  const named = env === undefined ? undefined : pickVariables(env, variables);
  const isGiven = fromFile !== undefined || named !== undefined;
  const environment = isGiven ? merge(fromFile ?? [], named ?? []) : undefined;
  if (clearEnvironment && isGiven) {
    throw new InvalidArgumentError("--clear-environment removes every variable, but an environment was also given.", {
      nextStep: "Give --env-file or -e, or --clear-environment alone.",
    });
  }
  if (environment?.length === 0) throw emptyEnvironment();
  const acceptUnknownComposeKeys = parseAccept("update", args.accept).has("unknown-compose-key");
  return {
    cvm,
    dockerCompose: compose === undefined ? undefined : await readCompose(compose, { acceptUnknownComposeKeys }),
    acceptUnknownComposeKeys,
    preLaunchScript: preLaunchScript === undefined ? undefined : await readTextFile(preLaunchScript),
    environment: clearEnvironment ? [] : environment,
    clearEnvironment,
    acceptHashMismatch: acceptHashMismatch === undefined ? undefined : parseComposeHash(acceptHashMismatch),
    abandonTransaction: abandonTransaction === undefined ? undefined : parseTransactionHash(abandonTransaction),
  };
}

/** Checks the file before the cloud is asked for anything. @throws InvalidAppComposeError, InvalidArgumentError */
async function readCompose(path: string, options: ValidateDockerComposeOptions): Promise<string> {
  const text = await readTextFile(path);
  await requireValidDockerCompose(text, options);
  return text;
}

/**
 * Reads `-e`: NAME or NAME=VALUE, separated by commas. An error never quotes a value. A part after a value could belong
 * to the value, so names alone come first.
 */
function pickVariables(
  list: string,
  variables: Readonly<Record<string, string | undefined>>,
): readonly EnvironmentVariable[] {
  const picked = new Map<string, string>();
  const parts = list.split(",").map((part) => /^\s*([^=]*?)\s*(?:=(.*))?$/s.exec(part) ?? []);
  for (const [index, [, key = "", given]] of parts.entries()) {
    if (given === undefined && parts.slice(0, index).some(([, , value]) => value !== undefined)) {
      throw invalidVariables("-e has a comma after a value, so the rest could be a name or a part of the value.");
    }
    if (!isEnvironmentName(key)) throw invalidVariables("-e has something that is neither NAME nor NAME=VALUE.");
    if (picked.has(key)) throw invalidVariables(`-e has ${key} twice.`);
    // Every object inherits a `constructor`, and so does process.env.
    const value = given ?? (Object.hasOwn(variables, key) ? variables[key] : undefined);
    if (value === undefined) {
      throw new InvalidArgumentError(`The variable ${key} is not set.`, {
        nextStep: "Export it, or remove it from -e.",
        context: { name: key },
      });
    }
    picked.set(key, value);
  }
  return Array.from(picked, ([key, value]) => ({ key, value }));
}

function invalidVariables(message: string): InvalidArgumentError {
  return new InvalidArgumentError(message, {
    nextStep:
      "Export the variables and give their names, for example -e TOKEN,API_URL. Or write them to a file for --env-file.",
  });
}

/**
 * A variable that is in the file and named as well keeps its place in the file, because the order of names is hashed.
 */
function merge(
  fromFile: readonly EnvironmentVariable[],
  named: readonly EnvironmentVariable[],
): readonly EnvironmentVariable[] {
  return [...new Map([...fromFile, ...named].map(({ key, value }) => [key, value]))].map(([key, value]) => ({
    key,
    value,
  }));
}

export interface ConnectedUpdate {
  readonly cloud: CloudClient;
  /** Undefined for a CVM whose KMS keeps its policy off chain. */
  readonly chain: ChainClient | undefined;
  /** Undefined if there is no key. Some updates need no transaction. */
  readonly account: Account | undefined;
  /** The app and its KMS; empty if the KMS keeps its policy off chain. */
  readonly contracts: readonly JudgedContract[];
  /** The request, with the app, the KMS, the devices and the accepted risks from the configuration and command line. */
  readonly request: UpdateRequest;
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
    return { cloud, chain: undefined, account: undefined, contracts: [], request: trusted };
  }
  const found = await connectApp({ app: args.app, cvm: asked.cvm }, host);
  const app: ConnectedApp = { ...found, configuredKms: trusted.kms ?? found.configuredKms };
  const { appId } = app;
  // This is the cloud's second answer.
  requireSameApp(asked.cvm, appId, cvm.appId ?? appId);
  const request: UpdateRequest = {
    ...trusted,
    appId,
    devices: withinConfigured(devices, app.devices),
    reviewDocument: (document) => void lintAndShow(io.output, { document }, accepted),
  };
  const { contracts } = await lintBeforeWrite(io, app, { accepted });
  return { cloud, chain: app.client, account: await findSigner(app), contracts, request };
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

async function findSigner({ client, appId, signer }: ConnectedApp): Promise<Account | undefined> {
  const { owner } = await readOwnership(client, { appId });
  try {
    return await signer("addComposeHash", owner);
  } catch (error) {
    if (error instanceof SignerRequiredError) return undefined;
    throw error;
  }
}
