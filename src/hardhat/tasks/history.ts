import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { NewTaskActionFunction } from "hardhat/types/tasks";
import type { ChainClient } from "../../chain/client.ts";
import { readAppStatus } from "../../chain/read-app.ts";
import { InvalidArgumentError } from "../../errors/index.ts";
import type { History, PinnedBlock } from "../../history/history.ts";
import { allowedAt } from "../../history/policy.ts";
import { type AllowlistProof, proveAllowlist } from "../../history/prove-allowlist.ts";
import { explorerLink, formatTime } from "../../report/format.ts";
import { createPaper, type Paper } from "../../report/output.ts";
import { connectApp } from "../connect/connect-app.ts";
import { gatherContracts, reportGenerations, showCaveat } from "../connect/generations.ts";
import { requireApp } from "../connect/require-app.ts";
import type { AppArguments } from "../connect/resolve-app.ts";
import { negativeAnswer, type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "../connect/run-task.ts";
import { blockOfMoment } from "../history/block-of-moment.ts";
import { type HistoryRow, toCsv, toRows } from "../history/history-row.ts";
import { parseMoment } from "../history/parse-block.ts";
import { type HistoryArguments as ReadArguments, readAppHistory } from "../history/read-app-history.ts";

export interface HistoryArguments extends AppArguments, ReadArguments, OutputArguments {
  readonly at?: string | undefined;
  readonly prove?: boolean | undefined;
  readonly csv?: boolean | undefined;
}

const action: NewTaskActionFunction<HistoryArguments> = (args, hre) => runTask(args, (io) => tell(args, hre, io));
export default action;

async function tell(args: HistoryArguments, hre: HardhatRuntimeEnvironment, io: TaskIo): Promise<TaskOutcome> {
  const { csv = false, prove = false } = args;
  const moment = args.at === undefined ? undefined : parseMoment("--at", args.at);
  if (csv && (io.isJson || moment !== undefined)) {
    throw new InvalidArgumentError("--csv goes neither with --json nor with --at.", {
      nextStep: "Choose one of them.",
    });
  }
  const app = await connectApp(args, hre);
  const { client } = app;
  const { generation } = requireApp(await readAppStatus(client, { appId: app.appId }), app.appId);
  const contracts = await gatherContracts(app, generation);
  const history = await readAppHistory(io, hre, app, args);
  const at = moment === undefined ? undefined : await blockOfMoment(client, history, moment);
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
      unknownLogs,
      ...(at === undefined
        ? { changes: rows }
        : { at: at.number, atTime: at.timestamp, allowed: allowedThen(history, at.number) }),
      ...(proof !== undefined && { proof }),
    },
    show: (paper) => {
      // A table can be read with a warning in it; a file for other programs cannot.
      const aside = csv ? createPaper(io.stderr) : paper;
      showCaveat(aside, contracts);
      warn(aside, history);
      if (csv) paper.line(toCsv(rows));
      else if (at === undefined) showRows(paper, rows, client);
      else showAllowed(paper, history, at);
      if (proof !== undefined) showProof(aside, proof);
    },
    exitCode: isSound ? 0 : negativeAnswer,
  };
}

function allowedThen({ changes, initialFlags }: History, blockNumber: bigint) {
  const { composeHashes, devices, ...rest } = allowedAt(changes, blockNumber, initialFlags);
  return { composeHashes: [...composeHashes.keys()], devices: [...devices.keys()], ...rest };
}

function warn(paper: Paper, { completeness, unknownLogs }: History): void {
  if (!completeness.isComplete) {
    paper.line("THIS HISTORY IS INCOMPLETE. Do not take it for everything that happened:");
    for (const { message } of completeness.reasons) paper.line(`  ${message}`);
    paper.line("");
  }
  if (unknownLogs > 0) paper.line(`${unknownLogs} events of the contract are no DstackApp's and are left out.\n`);
}

function showRows(paper: Paper, rows: readonly HistoryRow[], { chain }: ChainClient): void {
  const table = rows.map(({ blockNumber, timestamp, description, actor, sender, transactionHash }) => [
    `${blockNumber}`,
    timestamp === undefined ? "" : formatTime(timestamp),
    description,
    actor ?? (sender === null ? "" : `${sender} (sent it)`),
    explorerLink(chain, "tx", transactionHash) ?? transactionHash,
  ]);
  const head = ["block", "time (UTC)", "change", "by", "transaction"];
  paper.table({ head, rows: table });
}

function showAllowed(paper: Paper, history: History, { number, timestamp }: PinnedBlock): void {
  const { composeHashes, devices, ...rest } = allowedAt(history.changes, number, history.initialFlags);
  paper.line(`At the end of block ${number}, ${formatTime(timestamp)} UTC, app ${history.appId} allowed:`);
  for (const [title, changes] of [
    ["Compose hashes", composeHashes],
    ["Devices", devices],
  ] as const) {
    paper.title(`${title}: ${changes.size}`);
    for (const [value, { blockNumber, timestamp }] of changes)
      paper.line(
        `  ${value}  since ${timestamp === undefined ? "" : `${formatTime(timestamp)} UTC, `}block ${blockNumber}`,
      );
  }
  paper.line("");
  for (const [label, value] of Object.entries(rest))
    paper.line(`${label.padEnd(20)} ${value === undefined ? "–" : String(value)}`);
}

function showProof(paper: Paper, { claims, block, words, isProven }: AllowlistProof): void {
  paper.title(`Proof of the storage at block ${block.number}, ${words} words`);
  for (const [claim, outcome] of Object.entries(claims))
    paper.line(`  ${claim.padEnd(12)} ${outcome.isProven ? "proven" : `NOT PROVEN: ${outcome.message}`}`);
  if (isProven) paper.line(`  Taken on trust: the contract's code, and the hash of that block, ${block.hash}`);
}
