import type { HardhatRuntimeEnvironment } from "hardhat/types/hre";
import type { NewTaskActionFunction } from "hardhat/types/tasks";
import { readAppStatus } from "../../chain/read-app.ts";
import type { Cvm } from "../../cloud/cvm.ts";
import { nameOfCvm } from "../../core/ids.ts";
import { type LintFinding, lintApp } from "../../core/lint/lint.ts";
import { isDstackError } from "../../errors/index.ts";
import { type ConnectedApp, connectApp } from "../connect/connect-app.ts";
import { gatherOtherKms, reportGenerations } from "../connect/generations.ts";
import { requireApp } from "../connect/require-app.ts";
import type { AppArguments } from "../connect/resolve-app.ts";
import { type KmsArguments, resolveKms } from "../connect/resolve-kms.ts";
import { negativeAnswer, type OutputArguments, runTask, type TaskIo, type TaskOutcome } from "../connect/run-task.ts";
import { type HistoryArguments, readAppHistory } from "../history/read-app-history.ts";
import { gatherLintSubject } from "../lint/gather-lint-subject.ts";
import { gatherLists, valuesOf } from "../status/gather-lists.ts";
import { gatherRunning, type Running } from "../status/gather-running.ts";
import { showStatus } from "../status/show-status.ts";
import type { StatusReport } from "../status/status-report.ts";

export interface StatusArguments extends AppArguments, KmsArguments, HistoryArguments, OutputArguments {}

const action: NewTaskActionFunction<StatusArguments> = (args, hre) => runTask(args, (io) => status(args, hre, io));
export default action;

async function status(args: StatusArguments, hre: HardhatRuntimeEnvironment, io: TaskIo): Promise<TaskOutcome> {
  const app = await connectApp(args, hre);
  const { client, appId } = app;
  const [facts, running] = await Promise.all([readAppStatus(client, { appId }), gatherRunning(app.cloud, appId)]);
  const contract = requireApp(facts, appId);
  const { lists, completeness } = await listAllowed(args, hre, io, app);
  const kms = resolveKms(args, { ...app, kms: app.kms ?? kmsOf(running) });
  const { subject, contracts: judged } = await gatherLintSubject(client, {
    appId,
    kms,
    status: facts,
    ...(lists !== undefined && { lists: valuesOf(lists) }),
  });
  const contracts = [...judged, ...(await gatherOtherKms(app, kms))];
  const report: StatusReport = {
    appId,
    alias: app.alias,
    network: app.network,
    chainId: app.chainId,
    kms,
    kmsImplementation: subject.kms?.appImplementation,
    ...reportGenerations(contracts),
    contract,
    lists,
    completeness,
    running,
    findings: findingsOf(subject, running),
  };
  const isSound = completeness.isComplete && !report.findings.some(({ severity }) => severity === "error");
  return {
    result: toResult(report),
    show: (paper) => showStatus(paper, report, client.chain),
    exitCode: isSound ? 0 : negativeAnswer,
  };
}

/** An endpoint that serves no logs does not keep the rest from being shown. */
async function listAllowed(
  args: HistoryArguments,
  hre: HardhatRuntimeEnvironment,
  io: TaskIo,
  app: ConnectedApp,
): Promise<Pick<StatusReport, "lists" | "completeness">> {
  try {
    const history = await readAppHistory(io, hre, app, args);
    return { lists: await gatherLists(app.client, history), completeness: history.completeness };
  } catch (error) {
    if (!isDstackError(error) || error.family !== "chain") throw error;
    const reasons = [{ kind: "notRead", message: error.message } as const];
    return { lists: undefined, completeness: { isComplete: false, reasons } };
  }
}

function kmsOf(running: Running) {
  return running.kind === "known"
    ? running.cvms.find(({ kmsContractAddress }) => kmsContractAddress)?.kmsContractAddress
    : undefined;
}

/** Of the contract, and of each document the CVMs run. */
function findingsOf(subject: Parameters<typeof lintApp>[0], running: Running): readonly LintFinding[] {
  const cvms = running.kind === "known" ? running.cvms : undefined;
  const documents = running.kind === "known" ? running.documents : [];
  const all = [
    ...lintApp({ ...subject, cvms: cvms?.map((cvm) => ({ ...cvm, name: nameOfCvm(cvm) })) }),
    ...documents.flatMap((document) => lintApp({ document })),
  ];
  const unique = new Map(all.map((finding) => [`${finding.rule} ${finding.message}`, finding]));
  const order = ["error", "warning", "note"];
  return [...unique.values()].sort((one, other) => order.indexOf(one.severity) - order.indexOf(other.severity));
}

function toResult(report: StatusReport): object {
  const { contract, lists, completeness, running, ...rest } = report;
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
    composeHashes: lists?.composeHashes ?? null,
    devices: lists?.devices ?? null,
    history: completeness,
    cvms: running.kind === "known" ? running.cvms.map(describeCvm) : null,
    cloud: describeCloud(running),
  };
}

function describeCloud(running: Running): object {
  if (running.kind === "unknown") return { kind: running.kind, reason: running.reason };
  return running.kind === "known" ? { kind: running.kind, unread: running.unread } : { kind: running.kind };
}

function describeCvm({ id, name, status, busy, composeHash, deviceId, instanceId }: Cvm): object {
  return { id, name, status, busy, composeHash, deviceId, instanceId };
}
