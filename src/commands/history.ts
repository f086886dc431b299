import type { Address } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { readAppStatus } from "../chain/read-app.ts";
import { readSenders } from "../chain/transactions/receipt.ts";
import type { Hex } from "../core/ids.ts";
import { InvalidArgumentError } from "../errors/index.ts";
import { findBlockAt, readBlock } from "../history/blocks.ts";
import type { History, PinnedBlock } from "../history/history.ts";
import type { KnownLists } from "../history/known-lists.ts";
import {
  type AllowedAtReturnType,
  allowedAt,
  type ComposeHashChange,
  type DeviceChange,
  type PolicyChange,
} from "../history/policy.ts";
import { type AllowlistProof, proveAllowlist } from "../history/prove-allowlist.ts";
import { describeChange, explorerLink, formatTime } from "../output/format.ts";
import { createOutput, type Output } from "../output/output.ts";
import {
  type AppLists,
  type HistoryArguments as ReadArguments,
  readAppLists,
  reportEvidence,
  showCompleteness,
  withoutIndex,
} from "./app-history.ts";
import { type Moment, parseMoment } from "./arguments.ts";
import { type AppArguments, connectApp, requireApp } from "./connect-app.ts";
import { readJudgedContracts, reportGenerations, showCaveat } from "./generations.ts";
import type { Command, CommandHost } from "./host.ts";
import { negativeAnswer, type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "./run.ts";

export interface HistoryArguments extends AppArguments, ReadArguments, OutputArguments {
  readonly at?: string | undefined;
  readonly prove?: boolean | undefined;
  readonly csv?: boolean | undefined;
}

export const showHistory: Command<HistoryArguments> = (args, host) => runTask(args, (io) => show(args, host, io));

async function show(args: HistoryArguments, host: CommandHost, io: TaskIo): Promise<TaskOutcome> {
  const { csv = false, prove = false } = args;
  const moment = args.at === undefined ? undefined : parseMoment("--at", args.at);
  if (csv && (io.isJson || moment !== undefined)) {
    throw new InvalidArgumentError("--csv cannot be combined with --json or --at.", {
      nextStep: "Choose one of them.",
    });
  }
  const app = await connectApp(args, host);
  const { client } = app;
  const { generation } = requireApp(await readAppStatus(client, { appId: app.appId }), app.appId);
  const contracts = await readJudgedContracts(app, generation);
  const lists = await readAppLists(io, host, app, prove ? withoutIndex(args) : args);
  const { history } = lists;
  const at = moment === undefined ? undefined : await blockOfMoment(client, history, moment);
  const allowed = at === undefined ? undefined : allowedThen(lists, at);
  const rows = await toRows(client, at === undefined ? history.changes : []);
  const proof = prove ? await proveAllowlist(client, { history, signal: io.signal }) : undefined;
  const { appId, chainId, createdInBlock, pinned, completeness, unknownLogs } = history;
  const isSound = completeness.isComplete && (proof?.isProven ?? true);
  return {
    result: {
      appId,
      chainId,
      network: app.network,
      ...reportGenerations(contracts),
      createdInBlock,
      pinned,
      completeness,
      ...reportEvidence(history),
      unknownLogs,
      ...(at === undefined
        ? { changes: rows }
        : { at: at.number, atTime: at.timestamp, allowed: allowed === undefined ? null : valuesOf(allowed) }),
      ...(proof !== undefined && { proof }),
    },
    show: (output) => {
      // A table may contain a warning. A file for other programs may not.
      const aside = csv ? createOutput(io.stderr) : output;
      showCaveat(aside, contracts);
      showCompleteness(aside, lists);
      if (unknownLogs > 0)
        aside.line(`${unknownLogs} events of the contract are not DstackApp events and are not shown.\n`);
      if (csv) output.line(toCsv(rows));
      else if (at === undefined) showRows(output, rows, client);
      else showAllowed(output, history, { at, allowed });
      if (proof !== undefined) showProof(aside, proof);
    },
    exitCode: isSound ? 0 : negativeAnswer,
  };
}

type Allowed = Pick<KnownLists, "composeHashes" | "devices"> & Omit<AllowedAtReturnType, "composeHashes" | "devices">;

/**
 * What the app allowed at a block: for the history's last block what the contract answers, for earlier blocks what the
 * events say. Undefined if the block is before the first event of an incomplete history.
 */
function allowedThen({ history, composeHashes, devices }: AppLists, { number }: PinnedBlock): Allowed | undefined {
  const { changes, initialFlags, pinned, createdInBlock, completeness } = history;
  if (number < createdInBlock) return undefined;
  const byEvents = allowedAt(changes, number, initialFlags);
  if (number !== pinned.number) return byEvents;
  const answers: [string, unknown][] = completeness.isComplete
    ? []
    : completeness.reasons.flatMap((reason): [string, unknown][] => {
        if (reason.kind === "flagDiffers") return [[reason.flag, reason.onChain]];
        return reason.kind === "addressDiffers" ? [[reason.what, reason.onChain]] : [];
      });
  return { ...byEvents, ...Object.fromEntries(answers), composeHashes, devices };
}

function valuesOf({ composeHashes, devices, ...rest }: Allowed) {
  return { composeHashes: [...composeHashes.keys()], devices: [...devices.keys()], ...rest };
}

function showRows(output: Output, rows: readonly HistoryRow[], { chain }: ChainClient): void {
  output.line();
  if (rows.length === 0) {
    output.line("No event was read.");
    return;
  }
  const table = rows.map(({ blockNumber, timestamp, description, actor, sender, transactionHash }) => [
    `${blockNumber}`,
    timestamp === undefined ? "" : formatTime(timestamp),
    description,
    actor ?? (sender === null ? "" : `${sender} (transaction sender)`),
    explorerLink(chain, "tx", transactionHash) ?? transactionHash,
  ]);
  const head = ["block", "time (UTC)", "change", "by", "transaction"];
  output.table({ head, rows: table });
}

interface AllowedAtBlock {
  readonly at: PinnedBlock;
  readonly allowed: Allowed | undefined;
}

function showAllowed(output: Output, history: History, { at, allowed }: AllowedAtBlock): void {
  const when = `At the end of block ${at.number}, ${formatTime(at.timestamp)} UTC,`;
  const { isComplete } = history.completeness;
  // Only at the last block the contract was asked.
  const certainty = at.number === history.pinned.number ? " known to be allowed" : " allowed according to the events";
  if (allowed === undefined) {
    output.line(
      `${when} it is not known what app ${history.appId} allowed: the oldest known block with an event of the app is ${history.createdInBlock}.`,
    );
    return;
  }
  const { composeHashes, devices, ...rest } = allowed;
  output.line(`${when} app ${history.appId} allowed${isComplete ? "" : ", as far as is known"}:`);
  for (const [title, changes] of [
    ["Compose hashes", composeHashes],
    ["Devices", devices],
  ] as const) {
    output.title(`${title}${isComplete ? "" : certainty}: ${changes.size}`);
    for (const [value, change] of changes) output.line(`  ${value}\n      ${describeSince(change)}`);
  }
  output.line("");
  for (const [label, value] of Object.entries(rest))
    output.line(`${label.padEnd(20)} ${value === undefined ? "–" : String(value)}`);
}

function describeSince(change: ComposeHashChange | DeviceChange | undefined): string {
  if (change === undefined) return "the contract allows it; no event that was read says since when";
  const { blockNumber, timestamp } = change;
  return `since ${timestamp === undefined ? "" : `${formatTime(timestamp)} UTC, `}block ${blockNumber}`;
}

function showProof(output: Output, { claims, block, words, emptyWords, isProven }: AllowlistProof): void {
  output.title(`Storage proof at block ${block.number}, ${words} words`);
  for (const [claim, outcome] of Object.entries(claims))
    output.line(`  ${claim.padEnd(12)} ${outcome.isProven ? "proven" : `NOT PROVEN: ${outcome.message}`}`);
  if (emptyWords > 0)
    output.line(
      `  This node keeps ${emptyWords} empty words in its storage trie, as anvil does. A live chain keeps none.`,
    );
  if (isProven) output.line(`  Trusted without proof: the contract's code, and the hash of that block, ${block.hash}`);
}

/** One change, as every output format shows it. */
export interface HistoryRow {
  readonly blockNumber: bigint;
  /** Seconds since 1970. */
  readonly timestamp: bigint | undefined;
  /** The same time as ISO 8601. */
  readonly time: string | null;
  readonly kind: PolicyChange["kind"];
  /** The value that was added, removed, switched or named. */
  readonly value: Hex | boolean | bigint | null;
  readonly description: string;
  /** The sender that the contract recorded. */
  readonly actor: Address | null;
  /** Sender of the transaction; read only if the contract recorded none. */
  readonly sender: Address | null;
  readonly transactionHash: Hex;
  readonly logIndex: number;
  /** Who delivered the event. No proof shows that an index's event happened. */
  readonly origin: "chain" | "index";
}

/** Each sender costs one request. Longer histories omit the senders. */
const maximumSenders = 1000;

/** @throws RpcUnavailableError */
export async function toRows(client: ChainClient, changes: readonly PolicyChange[]): Promise<readonly HistoryRow[]> {
  const unsigned = new Set(
    changes.flatMap(({ actor, transactionHash }) => (actor === undefined ? transactionHash : [])),
  );
  const senders = await readSenders(client, { transactionHashes: unsigned.size <= maximumSenders ? unsigned : [] });
  return changes.map((change) => ({
    blockNumber: change.blockNumber,
    timestamp: change.timestamp,
    time: change.timestamp === undefined ? null : new Date(Number(change.timestamp) * 1000).toISOString(),
    kind: change.kind,
    value: subjectOf(change),
    description: describeChange(change),
    actor: change.actor ?? null,
    sender: senders.get(change.transactionHash) ?? null,
    transactionHash: change.transactionHash,
    logIndex: change.logIndex,
    origin: change.blockHash === undefined ? "index" : "chain",
  }));
}

function subjectOf(change: PolicyChange): HistoryRow["value"] {
  switch (change.kind) {
    case "composeHashAdded":
    case "composeHashRemoved":
      return change.composeHash;
    case "deviceAdded":
    case "deviceRemoved":
      return change.deviceId;
    case "allowAnyDeviceSet":
    case "requireTcbUpToDateSet":
      return change.enabled;
    case "upgraded":
      return change.implementation;
    case "ownershipTransferStarted":
    case "ownershipTransferred":
      return change.to;
    case "initialized":
      return change.version;
    case "otherPolicyChanged":
      return change.value;
    case "upgradesDisabled":
      return null;
  }
}

const columns = [
  ...(["blockNumber", "time", "kind", "value", "actor", "sender", "transactionHash", "logIndex", "origin"] as const),
];

/** Comma-separated values with a header line. No value can contain a comma or a quote. */
export function toCsv(rows: readonly HistoryRow[]): string {
  return [columns.join(","), ...rows.map((row) => columns.map((column) => row[column] ?? "").join(","))].join("\n");
}

/** A date means the end of that day, so today's date is in the future. Accept it: it is the most common request. */
const secondsPerDay = 86_400n;
const retryOptions = { retryDelayMs: 250 };

/**
 * The block of a history that was the newest at the given moment. Only a complete history shows that the app did not
 * exist: an incomplete one may lack older events.
 *
 * @throws InvalidArgumentError, RpcUnavailableError
 */
async function blockOfMoment(
  client: ChainClient,
  { createdInBlock, pinned, completeness }: History,
  moment: Moment,
): Promise<PinnedBlock> {
  const refuse = (problem: string) =>
    new InvalidArgumentError(problem, {
      nextStep: `Give a block from ${createdInBlock} to ${pinned.number}, or a time up to ${formatTime(pinned.timestamp)} UTC.`,
      context: { createdInBlock, newestBlock: pinned.number },
    });
  if ("timestamp" in moment && moment.timestamp >= pinned.timestamp + secondsPerDay)
    throw refuse("That time is in the future.");
  if ("blockNumber" in moment && moment.blockNumber > pinned.number)
    throw refuse(`The chain has no block ${moment.blockNumber} yet.`);
  const block = await findBlock(client, pinned, moment);
  if (block === undefined || (completeness.isComplete && block.number < createdInBlock))
    throw refuse("The app did not exist at that time.");
  return block;
}

/** The history ends with its pinned block, even though the chain grows while it is read. */
async function findBlock(client: ChainClient, pinned: PinnedBlock, moment: Moment): Promise<PinnedBlock | undefined> {
  if ("blockNumber" in moment) return readBlock(client, moment.blockNumber, retryOptions);
  const { timestamp, milliseconds = 999n } = moment;
  const isAfter = timestamp > pinned.timestamp || (timestamp === pinned.timestamp && milliseconds === 999n);
  const found = isAfter ? pinned : await findBlockAt(client, moment);
  return found !== undefined && found.number > pinned.number ? pinned : found;
}
