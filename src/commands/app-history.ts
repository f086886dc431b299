import { dirname, join } from "node:path";
import type { Address } from "viem";
import { getBlock } from "viem/actions";
import type { ChainClient } from "../chain/client.ts";
import { withRpcErrors } from "../chain/rpc-errors.ts";
import { readSenders } from "../chain/transactions/receipt.ts";
import { safeGetAppCvms } from "../cloud/get-app-cvms.ts";
import type { AppId, ComposeHash, DeviceId, TransactionHash } from "../core/ids.ts";
import { InvalidArgumentError, isDstackError } from "../errors/index.ts";
import { makeDirectory, makeOwnDirectory } from "../files/own-file.ts";
import type { History, IndexedEvents } from "../history/history.ts";
import { historyWithoutEvents, type KnownLists, readKnownLists } from "../history/known-lists.ts";
import type { LogIndex } from "../history/log-index.ts";
import type { ChangeOrigin } from "../history/policy.ts";
import { readHistory } from "../history/read-history.ts";
import { openHistoryStore } from "../history/store.ts";
import { formatCount, formatDuration } from "../output/format.ts";
import { createProgress, type Output } from "../output/output.ts";
import { parseBlockNumber } from "./arguments.ts";
import type { ConnectedApp } from "./connect-app.ts";
import type { CommandHost } from "./host.ts";
import type { TaskIo } from "./run.ts";

export interface HistoryArguments {
  /** File that stores what was read; `:memory:` stores nothing. @default a file in the project's cache folder */
  readonly store?: string | undefined;
  /** A block before the app's creation. */
  readonly fromBlock?: string | undefined;
  /** Address of an index, or `none` to use none. @default that of the configuration */
  readonly index?: string | undefined;
}

/** @throws InvalidArgumentError */
export function fromBlockOf({ fromBlock }: Pick<HistoryArguments, "fromBlock">): bigint | undefined {
  return fromBlock === undefined ? undefined : parseBlockNumber("--from-block", fromBlock);
}

const noIndex = "none";

/**
 * The index that the user named for this command, else the one of the configuration. The key of the configured index is
 * sent to no other address.
 *
 * @throws InvalidArgumentError
 */
async function openIndex({ index: raw }: HistoryArguments, { settings }: CommandHost): Promise<LogIndex | undefined> {
  const { index: configured, indexApiKey } = settings.history;
  if (raw === noIndex || (raw === undefined && configured === undefined)) return undefined;
  const { createLogIndex, logIndexKinds } = await import("../history/log-index.ts");
  const kind = logIndexKinds.find((name) => raw?.startsWith(`${name}:`));
  const url = raw === undefined ? (configured?.url ?? "") : raw.slice(kind === undefined ? 0 : kind.length + 1);
  const isConfigured = configured !== undefined && URL.parse(url)?.origin === URL.parse(configured.url)?.origin;
  return createLogIndex({
    url,
    kind: kind ?? (isConfigured ? configured.kind : undefined),
    apiKey: isConfigured || configured === undefined ? await indexApiKey.get() : undefined,
  });
}

/**
 * The arguments for a proof of events, which only the chain's endpoint can deliver.
 *
 * @throws InvalidArgumentError if the user named an index for this command
 */
export function withoutIndex(args: HistoryArguments): HistoryArguments {
  if (args.index === undefined || args.index === noIndex) return { ...args, index: noIndex };
  throw new InvalidArgumentError("--prove needs the scan: the events of an index cannot be proven.", {
    nextStep: "Omit --index, or omit --prove: with an index, the state is proven in every run.",
  });
}

const retryOptions = { retryDelayMs: 250 };

/** Errors of an endpoint that answers other requests, or of an index, that does not serve the logs. */
const logErrors: readonly string[] = [
  ...["LogsRefusedError", "LogsUnavailableError", "LogIndexError", "RpcUnavailableError"],
];

/**
 * Reads an app's history with the time of each change, and shows a progress bar on a terminal. The store keeps it, so
 * that the next run reads only new blocks. If the endpoint or the index serves no logs, the history has no events and
 * says why.
 *
 * @throws InvalidArgumentError, and what readHistory throws
 */
export async function readAppHistory(
  io: Pick<TaskIo, "stderr" | "signal">,
  host: CommandHost,
  { client, appId }: { readonly client: ChainClient; readonly appId: AppId },
  args: HistoryArguments = {},
): Promise<History> {
  const fromBlock = fromBlockOf(args);
  const index = await openIndex(args, host);
  const path = storeOf(args, host);
  if (path !== ":memory:") await (args.store === undefined ? makeOwnDirectory : makeDirectory)(dirname(path));
  const store = openHistoryStore(path);
  const progress = createProgress("Reading the history", io.stderr);
  const startedAt = performance.now();
  try {
    return await readHistory(client, {
      appId,
      store,
      index,
      fromBlock,
      timestamps: true,
      signal: io.signal,
      onProgress: ({ phase, blocksRead, blocksTotal, logsRead }) => {
        if (phase !== "reading") return;
        const [done, total] = [Number(blocksRead), Number(blocksTotal)];
        const leftMs = ((performance.now() - startedAt) * (total - done)) / done;
        const left = done > 0 && done < total ? `, about ${formatDuration(leftMs)} left` : "";
        progress.update(done, total, `${logsRead} events${left}`);
      },
    });
  } catch (error) {
    if (!isDstackError(error) || !logErrors.includes(error.name)) throw error;
    return await historyWithoutEvents(client, { appId, problem: error.message, ...retryOptions, signal: io.signal });
  } finally {
    progress.stop();
    store.close();
  }
}

function storeOf({ store }: HistoryArguments, host: CommandHost): string {
  return store ?? join(host.cache, "dstack", "history.sqlite");
}

export interface AppLists extends KnownLists {
  /** Its completeness is that of the lists. */
  readonly history: History;
  /** The file that keeps the history, or `:memory:`. */
  readonly store: string;
}

/** What the app's CVMs and the cloud's nodes need. */
export interface MachineInUse {
  readonly composeHash?: ComposeHash | undefined;
  readonly deviceId?: DeviceId | undefined;
}

/**
 * Reads an app's history and asks the contract itself about all values that its events name, that machines need and
 * that the configuration names. Every task that shows an app's lists uses this, so that all of them say the same.
 *
 * @param known the app's machines, if the caller has read them. @default the CVMs that the cloud names
 * @throws what readAppHistory and readKnownLists throw
 */
export async function readAppLists(
  io: Pick<TaskIo, "stderr" | "signal">,
  host: CommandHost,
  app: Pick<ConnectedApp, "client" | "cloud" | "appId" | "pins" | "devices">,
  args: HistoryArguments,
  known?: readonly MachineInUse[],
): Promise<AppLists> {
  const { client, pins, devices = [] } = app;
  const [machines, history] = await Promise.all([known ?? findMachines(app), readAppHistory(io, host, app, args)]);
  const lists = await readKnownLists(client, {
    history,
    inUse: {
      composeHashes: [...pins, ...machines.flatMap(({ composeHash }) => composeHash ?? [])],
      devices: [...devices, ...machines.flatMap(({ deviceId }) => deviceId ?? [])],
    },
    ...retryOptions,
    signal: io.signal,
  });
  return { ...lists, history: { ...history, completeness: lists.completeness }, store: storeOf(args, host) };
}

/** The app's CVMs. None if the cloud does not answer, because the chain can still be shown. */
async function findMachines({ cloud, appId }: Pick<ConnectedApp, "cloud" | "appId">): Promise<readonly MachineInUse[]> {
  const reply = cloud === undefined ? undefined : await safeGetAppCvms(cloud, { appId });
  return reply?.success === true ? reply.data : [];
}

/** Longer lists are in the result of --json. */
const mostReasons = 20;

/** How well a history is shown to be true, for JSON. */
export function reportEvidence({ indexed }: Pick<History, "indexed">) {
  if (indexed === undefined) return { evidence: { summary: "events read from the chain", indexed: null } };
  return { evidence: { summary: summaryOf(indexed), indexed } };
}

function summaryOf({ provenAt }: IndexedEvents): string {
  return `${provenAt === undefined ? "state not proven" : "state proven"}, events not proven`;
}

function showEvidence(output: Output, { indexed }: Pick<History, "indexed">): void {
  if (indexed === undefined) return;
  const { indexes, ranges, provenAt } = indexed;
  const blocks = ranges.map(({ fromBlock, toBlock }) => `${fromBlock} to ${toBlock}`).join(", ");
  output.title(summaryOf(indexed).toUpperCase());
  output.line(`  The index ${indexes.join(", ")} delivered the events of blocks ${blocks}. It is not trusted.`);
  if (provenAt !== undefined)
    output.line(`  A storage proof shows that the app allows exactly this at block ${provenAt.number}.`);
  output.line("  Not proven: times, transactions and order of the events, and changes that were repeated or undone.");
  output.line(
    "  What the app allowed at earlier blocks follows from these events. With --index none, the chain is read.",
  );
}

/** Shows what is not proven and what is not known. Shows nothing if the history is complete and of the chain. */
export function showCompleteness(output: Output, lists: AppLists): void {
  const { history, composeHashes, devices, completeness, store } = lists;
  showEvidence(output, history);
  if (completeness.isComplete) return;
  const { reasons } = completeness;
  const found = [...composeHashes.values(), ...devices.values()];
  const explained = found.filter((change) => change !== undefined).length;
  output.title("THE HISTORY IS INCOMPLETE: entries may be missing below");
  for (const { message } of reasons.slice(0, mostReasons)) output.line(`  ${message}`);
  if (reasons.length > mostReasons) output.line(`  ${reasons.length - mostReasons} more reasons: see --json.`);
  output.line(
    found.length === 0
      ? "The contract is not known to allow any hash or device."
      : `The contract is known to allow ${formatCount(found.length, "hash or device", "hashes and devices")}, and may allow more. Events explain ${explained} of them.`,
  );
  output.line("Use an RPC endpoint or an index that keeps all logs.");
  if (store !== ":memory:")
    output.line(`Then delete ${store}, because the next run does not read again what that file has.`);
  output.line("If the reasons stay the same, the contract was changed without events.");
}

export interface Origin {
  readonly blockNumber: bigint;
  readonly transactionHash: TransactionHash;
  /** Time of the block, ISO 8601. */
  readonly time: string;
  /**
   * The sender of the change, if the contract recorded it; otherwise the sender of the transaction, possibly on behalf
   * of a Safe. Null if the node no longer has the transaction.
   */
  readonly by: Address | null;
  readonly isRecorded: boolean;
}

/**
 * When a change was made, and by which address. Asks the node for what the event does not contain.
 *
 * @throws RpcUnavailableError
 */
export async function readOrigin(client: ChainClient, change: ChangeOrigin): Promise<Origin> {
  const { blockNumber, transactionHash, timestamp, actor } = change;
  const readTime = () => withRpcErrors(client, "reading when", () => getBlock(client, { blockNumber }));
  const readSender = () => readSenders(client, { transactionHashes: [transactionHash] });
  const [seconds, by] = await Promise.all([
    timestamp ?? readTime().then((block) => block.timestamp),
    actor ?? readSender().then((senders) => senders.get(transactionHash) ?? null),
  ]);
  const time = new Date(Number(seconds) * 1000).toISOString();
  return { blockNumber, transactionHash, time, by, isRecorded: actor !== undefined };
}
