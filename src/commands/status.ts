import type { Chain } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { type AppStatus, readAppStatus } from "../chain/read-app.ts";
import type { CloudClient } from "../cloud/create-client.ts";
import type { Cvm } from "../cloud/cvm.ts";
import { safeGetComposeFile } from "../cloud/get-compose-file.ts";
import type { AppCompose } from "../core/app-compose.ts";
import { describeGeneration } from "../core/generation.ts";
import { type AppId, type ComposeHash, type DeviceId, type Hex, nameOfCvm } from "../core/ids.ts";
import type { LintFinding } from "../core/lint/lint.ts";
import { mapLimited } from "../core/map-limited.ts";
import { exitCodes } from "../errors/base.ts";
import { InvalidArgumentError, isDstackError } from "../errors/index.ts";
import type { UnderWay } from "../governance/under-way.ts";
import type { KnownLists } from "../history/known-lists.ts";
import type { ChangeOrigin } from "../history/policy.ts";
import { describeOwnerFully, explorerLink, formatCount, formatTime } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import { showUnderWay } from "../output/timelock.ts";
import {
  type AppLists,
  fromBlockOf,
  type HistoryArguments,
  type Origin,
  readAppLists,
  readOrigin,
  reportEvidence,
  showCompleteness,
} from "./app-history.ts";
import { type AppArguments, type ConnectedApp, connectApp, listCvms, requireApp } from "./connect-app.ts";
import { findLiveKmsOf, type KmsArguments, resolveKms } from "./connect-kms.ts";
import { type GenerationReport, readOtherKms, reportGenerations } from "./generations.ts";
import type { Command, CommandHost } from "./host.ts";
import { lint, readLintSubject, showFindings } from "./lint.ts";
import { negativeAnswer, type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "./run.ts";
import { describeUnderWay, readQueues } from "./under-way.ts";

export interface StatusArguments extends AppArguments, KmsArguments, HistoryArguments, OutputArguments {
  /** The least severe finding that fails the task: `error` or `warning`. */
  readonly failOn?: string | undefined;
}

export const statusCommand: Command<StatusArguments> = (args, host) => runTask(args, (io) => status(args, host, io));

async function status(args: StatusArguments, host: CommandHost, io: TaskIo): Promise<TaskOutcome> {
  const failOn = parseFailOn(args.failOn);
  const app = await connectApp(args, host);
  const { client, appId } = app;
  const [appStatus, running] = await Promise.all([readAppStatus(client, { appId }), readRunning(app.cloud, appId)]);
  const contract = requireApp(appStatus, appId);
  const known = await readAppLists(io, host, app, args, running.kind === "known" ? running.cvms : []);
  const { completeness } = known;
  const kms = resolveKms(args, { ...app, kms: app.kms ?? kmsOf(running) }) ?? (await findLiveKmsOf(app, io));
  const { subject, contracts: judged } = await readLintSubject(client, {
    appId,
    kms,
    status: appStatus,
    ...(completeness.isComplete && { lists: valuesOf(known) }),
  });
  const contracts = [...judged, ...(await readOtherKms(app, kms))];
  const { owner } = contract;
  const report: StatusReport = {
    appId,
    alias: app.alias,
    network: app.network,
    chainId: app.chainId,
    kms,
    kmsImplementation: subject.kms?.appImplementation,
    ...reportGenerations(contracts),
    contract,
    lists: await readLists(client, known),
    known,
    running,
    underWay: await readQueues(io, host, { chain: app, appId, kms, owner, fromBlock: fromBlockOf(args) }),
    findings: findingsOf(subject, { running, known }),
  };
  const verdict = judge(report, failOn ?? "error");
  return {
    result: { ...toResult(report), failOn: failOn === undefined ? null : { severity: failOn, ...verdict } },
    show: (output) => {
      showStatus(output, report, client.chain);
      if (failOn !== undefined) output.line(`\n--fail-on ${failOn}: ${describeVerdict(verdict, report)}`);
    },
    exitCode: exitCodeFor(verdict, failOn),
  };
}

type FailOn = "error" | "warning";

/** @throws InvalidArgumentError */
function parseFailOn(raw: string | undefined): FailOn | undefined {
  if (raw === undefined || raw === "error" || raw === "warning") return raw;
  throw new InvalidArgumentError("--fail-on must be error or warning.", {
    nextStep: "Example: npx hardhat dstack status --fail-on warning.",
  });
}

interface Verdict {
  readonly outcome: "passed" | "failed" | "undecided";
  readonly reason: string;
}

/** What the findings mean. Without the cloud nothing is known of the CVMs, so that a good report decides nothing. */
function judge({ findings, known, running }: StatusReport, failOn: FailOn): Verdict {
  const count = (wanted: LintFinding["severity"]) => findings.filter(({ severity }) => severity === wanted).length;
  const [errors, warnings] = [count("error"), failOn === "warning" ? count("warning") : 0];
  const grounds = [
    ...(errors > 0 ? [formatCount(errors, "error", "errors")] : []),
    ...(warnings > 0 ? [formatCount(warnings, "warning", "warnings")] : []),
    ...(known.completeness.isComplete ? [] : ["an incomplete history"]),
  ];
  if (grounds.length > 0) return { outcome: "failed", reason: grounds.join(", ") };
  if (running.kind === "unknown")
    return { outcome: "undecided", reason: "the cloud did not say which CVMs the app has" };
  if (running.kind === "known" && running.hasFailures)
    return { outcome: "undecided", reason: "the cloud did not show every compose file" };
  return { outcome: "passed", reason: "no such finding" };
}

function exitCodeFor({ outcome }: Verdict, failOn: FailOn | undefined): number {
  if (outcome === "failed") return negativeAnswer;
  return outcome === "undecided" && failOn !== undefined ? exitCodes.cloud : 0;
}

function describeVerdict({ outcome, reason }: Verdict, { running }: StatusReport): string {
  const isCloudRead = running.kind === "known" && !running.hasFailures;
  const read = isCloudRead
    ? "The contract, its history and the app's CVMs were read."
    : "The contract and its history were read. Not read: the app's CVMs or their compose files, so findings about them are missing.";
  return `${outcome}: ${reason}. ${read}`;
}

function kmsOf(running: Running) {
  return running.kind === "known"
    ? running.cvms.find(({ kmsContractAddress }) => kmsContractAddress)?.kmsContractAddress
    : undefined;
}

/** Findings about the contract, and about each document that the CVMs run. */
function findingsOf(
  subject: Parameters<typeof lint>[0],
  { running, known }: Pick<StatusReport, "running" | "known">,
): readonly LintFinding[] {
  const cvms = running.kind === "known" ? running.cvms : undefined;
  const documents = running.kind === "known" ? running.documents : [];
  const judged = cvms?.map((cvm) => ({
    ...cvm,
    name: nameOfCvm(cvm),
    isHashAllowed: cvm.composeHash && known.composeHashes.has(cvm.composeHash),
    isDeviceListed: cvm.deviceId && known.devices.has(cvm.deviceId),
  }));
  const all = [...lint({ ...subject, cvms: judged }), ...documents.flatMap((document) => lint({ document }))];
  const unique = new Map(all.map((finding) => [`${finding.rule} ${finding.message}`, finding]));
  const order = ["error", "warning", "note"];
  return [...unique.values()].sort((one, other) => order.indexOf(one.severity) - order.indexOf(other.severity));
}

function toResult(report: StatusReport): object {
  const { contract, lists, known, running, underWay, ...rest } = report;
  const { owner, pendingOwner, isTwoStep, version, implementation, upgradesDisabled, shiftedAppId, blockNumber } =
    contract;
  const { allowAnyDevice, requireTcbUpToDate } = contract;
  return {
    ...rest,
    blockNumber,
    owner,
    pendingOwner: pendingOwner ?? null,
    isTwoStep,
    version: version ?? null,
    implementation: implementation ?? null,
    upgradesDisabled,
    shiftedAppId: shiftedAppId ?? null,
    flags: { allowAnyDevice, requireTcbUpToDate },
    composeHashes: lists.composeHashes,
    devices: lists.devices,
    completeness: known.completeness,
    ...reportEvidence(known.history),
    cvms: running.kind === "known" ? running.cvms.map(describeCvm) : null,
    cloud: describeCloud(running),
    underWay: describeUnderWay(underWay),
  };
}

function describeCloud(running: Running): object {
  if (running.kind === "unknown") return { kind: running.kind, reason: running.reason };
  return running.kind === "known" ? { kind: running.kind, unread: running.unread } : { kind: running.kind };
}

function describeCvm({ id, name, status, busy, composeHash, deviceId, instanceId, osVersion }: Cvm): object {
  return { id, name, status, busy, composeHash, deviceId, instanceId, osVersion };
}

/** Everything that `dstack status` reports. */
export interface StatusReport extends Pick<ConnectedApp, "alias" | "network" | "chainId">, GenerationReport {
  readonly appId: AppId;
  readonly kms: string | undefined;
  readonly kmsImplementation: string | undefined;
  readonly contract: AppStatus;
  readonly lists: AllowedLists;
  readonly known: AppLists;
  readonly running: Running;
  /** What is queued in the app's owner. */
  readonly underWay: UnderWay;
  readonly findings: readonly LintFinding[];
}

/** Prints an app's status. */
export function showStatus(output: Output, report: StatusReport, chain: Chain | undefined): void {
  const { appId, alias, network, chainId, contract, lists, known, running, findings, caveat } = report;
  const cvms = running.kind === "known" ? running.cvms : [];
  output.title(`App ${appId}${alias === undefined ? "" : ` (${alias})`}`);
  for (const [label, value] of [
    ["chain", `${network}, id ${chainId}, block ${contract.blockNumber}`],
    ["explorer", explorerLink(chain, "address", appId)],
    ["owner", describeOwnerFully(contract.owner)],
    ["pending", contract.pendingOwner && describeOwnerFully(contract.pendingOwner)],
    ["transfers", contract.isTwoStep ? "in two steps" : "IN ONE STEP, immediately"],
    ["generation", describeGeneration(contract.generation)],
    [
      "version",
      contract.version === undefined ? "unknown: the contract is too old to report it" : `${contract.version}`,
    ],
    ["code", contract.implementation ?? "no ERC-1967 proxy"],
    ["upgrades", describeUpgrades(contract)],
    ["devices", contract.allowAnyDevice ? "any device may boot" : "listed devices only"],
    ["TCB", contract.requireTcbUpToDate ? "must be up to date" : "any status may boot"],
    ["KMS", report.kms],
    [
      "KMS gen.",
      report.kmsGeneration === null ? "not known: no KMS is named" : describeGeneration(report.kmsGeneration),
    ],
  ] as const) {
    if (value !== undefined) output.line(`  ${label.padEnd(10)} ${value}`);
  }

  if (caveat !== null) {
    output.title(`CAUTION: ${caveat}`);
    output.line("  This applies to all lists, switches and findings below.");
  }
  showCompleteness(output, known);
  const isKms = (by: string) => isSameAddress(by, report.kms);
  const titled = (title: string) => (caveat === null ? title : `${title} (${caveat})`);
  const are = known.completeness.isComplete ? "" : "known to be ";
  showList(output, isKms, titled(`Compose hashes ${are}allowed`), lists.composeHashes, ({ composeHash }) => [
    composeHash,
    cvms.filter((cvm) => isSameValue(cvm.composeHash, composeHash)).map(describeUse),
  ]);
  showList(output, isKms, titled(`Devices ${are}listed`), lists.devices, ({ deviceId }) => [
    deviceId,
    cvms.filter((cvm) => isSameValue(cvm.deviceId, deviceId)).map((cvm) => `hosts ${describeCvmRow(cvm)}`),
  ]);

  output.title("CVMs");
  if (running.kind === "noKey") output.line("  not read: there is no API key (PHALA_CLOUD_API_KEY)");
  else if (running.kind === "unknown") output.line(`  not known: ${running.reason}`);
  else if (cvms.length === 0) output.line("  none in this workspace");
  else {
    const rows = cvms.map((cvm) => [nameOfCvm(cvm), cvm.status, cvm.composeHash ?? "", cvm.deviceId ?? ""]);
    output.table({ head: ["CVM", "status", "compose hash", "device"], rows });
    if (running.kind === "known") for (const line of running.unread) output.line(line);
  }
  showUnderWay(output, report.underWay);
  if (findings.length > 0) {
    output.title(titled("Findings"));
    showFindings(output, findings);
  }
}

function describeUpgrades({ upgradesDisabled, shiftedAppId }: StatusReport["contract"]): string {
  if (upgradesDisabled) return "disabled permanently";
  return shiftedAppId === undefined ? "possible, by the owner" : "DO NOT UPGRADE: the policy would be lost";
}

function showList<Entry extends Origin | NoOrigin>(
  output: Output,
  isKms: (by: string) => boolean,
  title: string,
  entries: readonly Entry[],
  describe: (entry: Entry) => readonly [value: string, uses: readonly string[]],
): void {
  output.title(`${title}: ${entries.length}`);
  for (const entry of entries) {
    const [value, uses] = describe(entry);
    const { time, blockNumber, by, isRecorded, transactionHash } = entry;
    output.line(`  ${value}`);
    for (const use of uses) output.line(`      ${use}`);
    if (time === null) {
      output.line("      the contract allows it; no event that was read says since when");
      continue;
    }
    const who =
      describeOrigin(by, isRecorded) + (by !== null && isKms(by) ? " (the KMS, when it deployed the app)" : "");
    output.line(`      ${formatTime(time)} UTC, block ${blockNumber}, ${who}`);
    output.line(`      ${transactionHash}`);
  }
}

function describeOrigin(by: string | null, isRecorded: boolean): string {
  if (by === null) return "sender unknown: the node no longer has the transaction";
  return `${isRecorded ? "by" : "sent by"} ${by}`;
}

function describeUse(cvm: Cvm): string {
  return `${cvm.status === "running" ? "runs on" : "is on"} ${describeCvmRow(cvm)}`;
}

function describeCvmRow(cvm: Cvm): string {
  return cvm.status === "running" ? nameOfCvm(cvm) : `${nameOfCvm(cvm)}, which is ${cvm.status}`;
}

function isSameAddress(one: string, other: string | undefined): boolean {
  return one.toLowerCase() === other?.toLowerCase();
}

interface AllowedLists {
  readonly composeHashes: readonly ({ readonly composeHash: ComposeHash } & (Origin | NoOrigin))[];
  readonly devices: readonly ({ readonly deviceId: DeviceId } & (Origin | NoOrigin))[];
}

/** Of a value that the contract allows although no event that was read allowed it. */
type NoOrigin = Readonly<Record<Exclude<keyof Origin, "isRecorded">, null>> & { readonly isRecorded: false };

const noOrigin: NoOrigin = { blockNumber: null, transactionHash: null, time: null, by: null, isRecorded: false };
const fewAtOnce = { limit: 8 };

/** The known lists with the origin of each value, oldest first. @throws RpcUnavailableError */
async function readLists(client: ChainClient, { composeHashes, devices }: KnownLists): Promise<AllowedLists> {
  const originOf = (change: ChangeOrigin | undefined) => (change === undefined ? noOrigin : readOrigin(client, change));
  return {
    composeHashes: await mapLimited(
      [...composeHashes],
      async ([composeHash, change]) => ({ composeHash, ...(await originOf(change)) }),
      fewAtOnce,
    ),
    devices: await mapLimited(
      [...devices],
      async ([deviceId, change]) => ({ deviceId, ...(await originOf(change)) }),
      fewAtOnce,
    ),
  };
}

/** The values alone, for the linter. */
function valuesOf({ composeHashes, devices }: KnownLists): { composeHashes: ComposeHash[]; devices: DeviceId[] } {
  return { composeHashes: [...composeHashes.keys()], devices: [...devices.keys()] };
}

/** Compares hex values without letter case, because the cloud and the chain may differ in it. */
export function isSameValue(one: Hex | undefined, other: Hex): boolean {
  return one?.toLowerCase() === other.toLowerCase();
}

/** What the cloud reports about an app. */
export type Running =
  | { readonly kind: "noKey" }
  | { readonly kind: "unknown"; readonly reason: string }
  | {
      readonly kind: "known";
      readonly cvms: readonly Cvm[];
      /** The documents they run, each once. */
      readonly documents: readonly AppCompose[];
      /** One sentence for each document that was not read. */
      readonly unread: readonly string[];
      /** Whether the cloud failed to show a document. */
      readonly hasFailures: boolean;
    };

/** Each document is fetched once per hash, up to this many hashes. */
const mostDocuments = 10;

/** Asks the cloud if there is one. A cloud error becomes part of the result, because the chain can still be shown. */
export async function readRunning(cloud: CloudClient | undefined, appId: AppId): Promise<Running> {
  if (cloud === undefined) return { kind: "noKey" };
  try {
    const cvms = await listCvms(cloud, appId);
    const distinct = [...new Map(cvms.map((cvm) => [cvm.composeHash, cvm])).values()];
    const replies = await Promise.all(
      distinct
        .slice(0, mostDocuments)
        .map(async (cvm) => ({ cvm, ...(await safeGetComposeFile(cloud, { cvm: cvm.id })) })),
    );
    return {
      kind: "known",
      cvms,
      documents: replies.flatMap((reply) => (reply.success ? [reply.data] : [])),
      hasFailures: replies.some(({ success }) => !success),
      unread: [
        ...replies.flatMap((reply) =>
          reply.success ? [] : `The document of ${nameOfCvm(reply.cvm)} was not checked: ${reply.error.message}`,
        ),
        ...distinct
          .slice(mostDocuments)
          .map(
            (cvm) =>
              `The document of ${nameOfCvm(cvm)} was not checked: the app runs more than ${mostDocuments} documents.`,
          ),
      ],
    };
  } catch (error) {
    if (!isDstackError(error)) throw error;
    return { kind: "unknown", reason: error.message };
  }
}
