import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Account, type Address, BlockNotFoundError, createClient } from "viem";
import { getBlock, getChainId } from "viem/actions";
import type { ChainClient } from "../chain/client.ts";
import { readCode } from "../chain/code.ts";
import { httpEndpoint } from "../chain/endpoint.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import { readFees } from "../chain/transactions/fees.ts";
import type { CloudClient } from "../cloud/create-client.ts";
import { batchExecutorAddress } from "../core/batch-executor.ts";
import type { AppId } from "../core/ids.ts";
import { cleanText } from "../core/text.ts";
import { InvalidArgumentError, SignerRequiredError } from "../errors/index.ts";
import type { RehearsalStage } from "../rehearsal/rehearse.ts";
import type { ForkedChain } from "../rehearsal/report.ts";
import { readBaseFeeAt } from "../rehearsal/step.ts";
import { type AdoptedCvms, parseAdoptedCvms } from "../world/adopted-cvms.ts";
import { type ForkSource, openForkSource, type RpcRecording } from "../world/chain/rpc-recording.ts";
import { readAdoptedCvms } from "../world/read-adopted-cvms.ts";
import { startWorld, type World } from "../world/start-world.ts";
import { Teardown } from "../world/teardown.ts";
import { readTextFile } from "./arguments.ts";
import { listCvms, readConfiguredKms } from "./connect-app.ts";
import { findLiveKms, resolveKms } from "./connect-kms.ts";
import type { CommandHost, DstackConfig } from "./host.ts";
import type { TaskIo } from "./run.ts";

/** The options of every rehearsal, beside those of the task that it rehearses. */
export interface StageArguments {
  /** URL of the live chain's endpoint. @default the network's own */
  readonly rpc?: string | undefined;
  /** Number of the block to fork, or `safe` or `finalized`. @default the newest one */
  readonly at?: string | undefined;
  /** File of the app's CVMs. @default the cloud of the configuration */
  readonly cvms?: string | undefined;
  /** File that keeps what the endpoint answers. */
  readonly record?: string | undefined;
  /** File with those answers, in place of the endpoint. */
  readonly offline?: string | undefined;
  readonly kms?: string | undefined;
  readonly priorityFee?: string | undefined;
}

export interface OpenStageParameters {
  readonly args: StageArguments;
  readonly appId: AppId | undefined;
  /** The app's network in the configuration. */
  readonly network: string | undefined;
  /** The cloud of the configuration. Undefined without an API key, and with `--offline`. */
  readonly cloud: CloudClient | undefined;
}

/** A fork of the live chain, with a mock cloud in front of the app's CVMs. */
export interface OpenStage extends RehearsalStage {
  readonly world: World;
  /** The KMS of the app, if it is known. */
  readonly kms: Address | undefined;
  /** Whether the mock cloud has CVMs of the app. */
  readonly hasCvms: boolean;
  /** A folder that `close` removes. */
  readonly folder: string;
  /** Does work on the stage. @throws the signal's reason, InvalidArgumentError as soon as a recording lacks an answer */
  readonly run: <Result>(work: (signal: AbortSignal) => Promise<Result>) => Promise<Result>;
  readonly close: () => Promise<void>;
}

/**
 * Starts what a rehearsal needs. Asks the live chain and the cloud, and changes neither.
 *
 * @throws InvalidArgumentError, CloudError, RpcUnavailableError
 */
export async function openStage(
  io: TaskIo,
  host: CommandHost,
  { args, appId, network: wanted, cloud }: OpenStageParameters,
): Promise<OpenStage> {
  const { signal } = io;
  const teardown = new Teardown();
  try {
    const { forkUrl: url = "", network, recording } = await openEndpoint(args, host, wanted);
    if (recording !== undefined) teardown.add(() => recording.close());
    const run: OpenStage["run"] = (work) => whileAnswered({ recording, signal }, work);
    const opened = await run(async (signal) => {
      const live = createClient({ transport: httpEndpoint(url, { signal }) });
      const chain = await readForkedChain(live, { args, network });
      const adopt = await findCvms({ args, appId, cloud, signal });
      const kms = await findKmsOf(io, host, { args, adopt, live: { client: live, chainId: chain.chainId } });
      io.output.detail("fork", `block ${chain.blockNumber} of chain ${chain.chainId}`);
      const world = await startWorld({
        ...{ forkUrl: url, forkBlock: chain.blockNumber, cvms: false, signal },
        ...(kms !== undefined && { kms }),
        ...(adopt !== undefined && { adopt }),
        cloud: { rolloverMs: 1 },
      });
      teardown.add(() => world.close());
      const { client } = world.chain;
      await removeHelpers(client, chain.blockNumber);
      const baseFeePerGas = await readBaseFeeAt(client, chain.blockNumber);
      const { maxPriorityFeePerGas: priorityFeePerGas } = await readFees(live);
      return { chain, kms, hasCvms: adopt !== undefined, world, client, fees: { baseFeePerGas, priorityFeePerGas } };
    });
    const folder = await mkdtemp(join(tmpdir(), "dstack-rehearsal-"));
    teardown.add(() => rm(folder, { recursive: true, force: true }));
    const { world } = opened;
    return {
      ...{ ...opened, run, folder, cloud: world.cloudClient },
      whenIdle: () => world.cloud.whenIdle(),
      advance: (seconds) => world.advance(seconds),
      close: () => teardown.run(),
    };
  } catch (error) {
    throw await teardown.after(signal.aborted ? signal.reason : error);
  }
}

/** @throws InvalidArgumentError if the endpoint has no such block; RpcUnavailableError */
async function readForkedChain(
  live: ChainClient,
  { args, network }: { readonly args: StageArguments; readonly network: string },
): Promise<ForkedChain> {
  const at = parseBlock(args.at);
  const [chainId, block] = await withRpcErrors(live, "reading the block to fork", () =>
    Promise.all([
      getChainId(live),
      getBlock(live, at).catch((error: unknown) => {
        if (!(error instanceof BlockNotFoundError)) throw error;
        throw new InvalidArgumentError(`The endpoint has no block ${args.at}.`, { nextStep: "Name an earlier one." });
      }),
    ]),
  );
  const { number, hash, timestamp } = block;
  if (number === null || hash === null) throw new TypeError("A block that is not pending has a number and a hash.");
  const ageSeconds = BigInt(Math.max(0, Math.floor(Date.now() / 1000) - Number(timestamp)));
  return { chainId, network, blockNumber: number, blockHash: hash, blockTime: timestamp, ageSeconds };
}

const lookEveryMs = 200;

/**
 * Does work until the user stops it, or a recording lacks an answer. Readers repeat a question that an endpoint does not
 * answer, for a long time, and a recording never will. The signal that the work gets ends what it still does then.
 */
async function whileAnswered<Result>(
  { recording, signal }: { readonly recording: RpcRecording | undefined; readonly signal: AbortSignal },
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const gap = new AbortController();
  const timer = setInterval(() => {
    const missing = gapOf(recording);
    if (missing !== undefined) gap.abort(missing);
  }, lookEveryMs);
  const either = AbortSignal.any([signal, gap.signal]);
  either.throwIfAborted();
  const ended = new Promise<never>((_, reject) => {
    either.addEventListener("abort", () => reject(either.reason), { once: true });
  });
  try {
    return await Promise.race([work(either), ended]);
  } catch (error) {
    // The work may end first, with an error about an endpoint that gives no answer.
    throw gapOf(recording) ?? error;
  } finally {
    clearInterval(timer);
  }
}

function gapOf(recording: RpcRecording | undefined): InvalidArgumentError | undefined {
  const [question] = recording?.missing() ?? [];
  if (question === undefined) return undefined;
  return new InvalidArgumentError(`The recording has no answer to ${cleanText(question, 200)}.`, {
    nextStep: "Nothing was sent. Record the same rehearsal again, with --record, the endpoint and the same --cvms.",
    context: { question },
  });
}

/** The endpoint of the live chain, or a recording in its place. @throws InvalidArgumentError */
async function openEndpoint(
  { rpc, record, offline }: StageArguments,
  host: CommandHost,
  wanted: string | undefined,
): Promise<ForkSource & { readonly network: string }> {
  const network = host.namedNetwork ?? wanted ?? "default";
  if (offline !== undefined && (record !== undefined || rpc !== undefined))
    throw new InvalidArgumentError("--offline repeats a recording, so it takes neither --rpc nor --record.", {
      nextStep: "Give --offline without them.",
    });
  if (offline !== undefined) return { network, ...(await openForkSource({ replay: offline })) };
  const forkUrl = rpc === undefined ? (await host.readEndpoint(wanted)).url : parseUrl(rpc);
  return { network, ...(await openForkSource({ forkUrl, record })) };
}

function parseUrl(raw: string): string {
  if (/^https?:$/.test(URL.parse(raw)?.protocol ?? "")) return raw;
  throw new InvalidArgumentError("--rpc must be an http:// or https:// URL.", { nextStep: "Give the endpoint's URL." });
}

function parseBlock(raw: string | undefined) {
  if (raw === undefined) return { blockTag: "latest" } as const;
  if (raw === "safe" || raw === "finalized") return { blockTag: raw } as const;
  if (/^\d{1,15}$/.test(raw)) return { blockNumber: BigInt(raw) };
  throw new InvalidArgumentError("--at must be a block number, safe or finalized.", {
    nextStep: "Omit it for the newest block.",
  });
}

interface FindCvmsParameters extends Pick<OpenStageParameters, "args" | "appId" | "cloud"> {
  readonly signal: AbortSignal;
}

/** Undefined if neither a file nor the cloud tells of a CVM. @throws InvalidArgumentError, CloudError */
async function findCvms({ args, appId, cloud, signal }: FindCvmsParameters): Promise<AdoptedCvms | undefined> {
  if (appId === undefined) return undefined;
  if (args.cvms !== undefined) {
    const all = parseAdoptedCvms(await readTextFile(args.cvms));
    const cvms = all.cvms.filter((cvm) => cvm.appId === appId);
    if (cvms.length > 0) return { ...all, cvms };
    throw new InvalidArgumentError(`${args.cvms} has no CVM of app ${appId}.`, {
      nextStep: "Give a file with the app's CVMs, or omit --cvms to ask the cloud.",
      context: { appId },
    });
  }
  if (cloud === undefined || (await listCvms(cloud, appId)).length === 0) return undefined;
  return readAdoptedCvms(cloud, { appIds: [appId], signal });
}

interface FindKmsParameters {
  readonly args: StageArguments;
  readonly adopt: AdoptedCvms | undefined;
  readonly live: { readonly client: ChainClient; readonly chainId: number };
}

async function findKmsOf(
  io: TaskIo,
  host: CommandHost,
  { args, adopt, live }: FindKmsParameters,
): Promise<Address | undefined> {
  const named = resolveKms(args, { configuredKms: await readConfiguredKms(host), kms: adopt?.kms });
  return named ?? (await findLiveKms(live, io))?.kms;
}

/** A world puts the batch executor on its chain. The live chain may lack it, and a batch then costs more. */
async function removeHelpers(client: RehearsalStage["client"], blockNumber: bigint): Promise<void> {
  if ((await readCode(client, { address: batchExecutorAddress, blockNumber })) !== "0x") return;
  await withRpcErrors(client, "removing what the live chain lacks", () =>
    client.setCode({ address: batchExecutorAddress, bytecode: "0x" }),
  );
}

export interface RehearsalHostParameters {
  /** The cloud that the command reads. @default the mock cloud */
  readonly cloud?: DstackConfig["cloud"] | undefined;
  /** Signs what is not the owner's, such as a deployment. @default no signer is given */
  readonly signer?: Account | undefined;
}

/**
 * A host on which the commands themselves run in a rehearsal: its chain is the fork, its folders are temporary, and it
 * has no key. So nothing reaches the live chain, and the user's ledger and caches stay as they are.
 */
export function rehearsalHost(
  host: CommandHost,
  { world, kms, folder, chain }: OpenStage,
  { cloud, signer }: RehearsalHostParameters = {},
): CommandHost {
  const fixed = (value: string) => ({ get: async () => value });
  const { settings } = host;
  return {
    ...host,
    root: folder,
    cache: join(folder, "cache"),
    namedNetwork: chain.network,
    hasDefaultEndpoint: true,
    settings: {
      ...settings,
      ownerKey: fixed(""),
      // The mock KMS signs the app keys. Its own key is published on the fork.
      kmsPublicKey: fixed(""),
      kms: kms === undefined ? settings.kms : fixed(kms),
      ledger: undefined,
      finality: "latest",
      // An index knows the live chain's later blocks, and not the fork's.
      history: { ...settings.history, index: undefined },
      cloud: cloud ?? {
        ...{ apiKey: fixed(world.apiKey), baseUrl: fixed(world.cloud.baseUrl), timeoutMs: settings.cloud.timeoutMs },
      },
    },
    connectChain: async () => ({
      ...{ client: world.chain.client, chainId: chain.chainId, network: chain.network, root: folder },
      allowDelegation: settings.batch.delegate,
    }),
    readSigner: async ({ purpose }) => {
      if (signer !== undefined) return signer;
      throw new SignerRequiredError([purpose]);
    },
    readHardwareWallet: async () => {
      throw new SignerRequiredError(["the hardware wallet"]);
    },
  };
}
