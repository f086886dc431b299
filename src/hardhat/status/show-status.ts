import type { Chain } from "viem";
import type { Cvm } from "../../cloud/cvm.ts";
import { describeGeneration } from "../../core/generation.ts";
import { nameOfCvm } from "../../core/ids.ts";
import { describeOwnerFully, explorerLink, formatTime } from "../../report/format.ts";
import type { Paper } from "../../report/output.ts";
import type { Origin } from "../history/read-origin.ts";
import { showFindings } from "../lint/show-findings.ts";
import { isSameValue } from "./gather-lists.ts";
import type { StatusReport } from "./status-report.ts";

/** An app's status for people. */
export function showStatus(paper: Paper, report: StatusReport, chain: Chain | undefined): void {
  const { appId, alias, network, chainId, contract, lists, completeness, running, findings, caveat } = report;
  const cvms = running.kind === "known" ? running.cvms : [];
  paper.title(`App ${appId}${alias === undefined ? "" : ` (${alias})`}`);
  for (const [label, value] of [
    ["chain", `${network}, id ${chainId}, block ${contract.blockNumber}`],
    ["explorer", explorerLink(chain, "address", appId)],
    ["owner", describeOwnerFully(contract.owner)],
    ["invited", contract.pendingOwner && describeOwnerFully(contract.pendingOwner)],
    ["transfers", contract.isTwoStep ? "in two steps" : "IN ONE STEP, at once"],
    ["generation", describeGeneration(contract.generation)],
    ["version", contract.version === undefined ? "too old to tell" : `${contract.version}`],
    ["code", contract.implementation ?? "no ERC-1967 proxy"],
    ["upgrades", describeUpgrades(contract)],
    ["devices", contract.allowAnyDevice ? "any device may boot" : "listed devices only"],
    ["TCB", contract.requireTcbUpToDate ? "must be up to date" : "any status may boot"],
    ["KMS", report.kms],
    [
      "KMS is of",
      report.kmsGeneration === null ? "not known: no KMS is named" : describeGeneration(report.kmsGeneration),
    ],
  ] as const) {
    if (value !== undefined) paper.line(`  ${label.padEnd(10)} ${value}`);
  }

  if (caveat !== null) {
    paper.title(`CAUTION: ${caveat}`);
    paper.line("  That is true of all lists, switches and findings below.");
  }
  if (!completeness.isComplete) {
    paper.title("THE HISTORY IS INCOMPLETE: the lists below may lack entries");
    for (const { message } of completeness.reasons) paper.line(`  ${message}`);
  }
  const isKms = (by: string) => isSameAddress(by, report.kms);
  const titled = (title: string) => (caveat === null ? title : `${title} (${caveat})`);
  showList(paper, isKms, titled("Compose hashes allowed"), lists?.composeHashes, ({ composeHash }) => [
    composeHash,
    cvms.filter((cvm) => isSameValue(cvm.composeHash, composeHash)).map(describeUse),
  ]);
  showList(paper, isKms, titled("Devices listed"), lists?.devices, ({ deviceId }) => [
    deviceId,
    cvms.filter((cvm) => isSameValue(cvm.deviceId, deviceId)).map((cvm) => `hosts ${describeCvm(cvm)}`),
  ]);

  paper.title("CVMs");
  if (running.kind === "noKey") paper.line("  not asked for: there is no API key (PHALA_CLOUD_API_KEY)");
  else if (running.kind === "unknown") paper.line(`  not known: ${running.reason}`);
  else if (cvms.length === 0) paper.line("  none in this workspace");
  else {
    const rows = cvms.map((cvm) => [nameOfCvm(cvm), cvm.status, cvm.composeHash ?? "", cvm.deviceId ?? ""]);
    paper.table({ head: ["CVM", "status", "compose hash", "device"], rows });
    if (running.kind === "known") for (const line of running.unread) paper.line(line);
  }
  if (findings.length > 0) {
    paper.title(titled("Findings"));
    showFindings(paper, findings);
  }
}

function describeUpgrades({ upgradesDisabled, shiftedAppId }: StatusReport["contract"]): string {
  if (upgradesDisabled) return "disabled, for good";
  return shiftedAppId === undefined ? "possible, by the owner" : "DO NOT: possible, but the policy would be lost";
}

function showList<Entry extends Origin>(
  paper: Paper,
  isKms: (by: string) => boolean,
  title: string,
  entries: readonly Entry[] | undefined,
  describe: (entry: Entry) => readonly [value: string, uses: readonly string[]],
): void {
  paper.title(`${title}: ${entries === undefined ? "not known" : entries.length}`);
  for (const entry of entries ?? []) {
    const [value, uses] = describe(entry);
    const { time, blockNumber, by, isRecorded, transactionHash } = entry;
    const who = describeOrigin(by, isRecorded) + (by !== null && isKms(by) ? " (the KMS, as it deployed the app)" : "");
    paper.line(`  ${[value, ...uses.slice(0, 1)].join("  ")}`);
    for (const use of uses.slice(1)) paper.line(`  ${" ".repeat(value.length)}  ${use}`);
    paper.line(`      ${formatTime(time)} UTC, block ${blockNumber}, ${who}`);
    paper.line(`      ${transactionHash}`);
  }
}

function describeOrigin(by: string | null, isRecorded: boolean): string {
  if (by === null) return "sent by somebody the node no longer knows";
  return `${isRecorded ? "by" : "sent by"} ${by}`;
}

function describeUse(cvm: Cvm): string {
  return `${cvm.status === "running" ? "runs on" : "is on"} ${describeCvm(cvm)}`;
}

function describeCvm(cvm: Cvm): string {
  return cvm.status === "running" ? nameOfCvm(cvm) : `${nameOfCvm(cvm)}, which is ${cvm.status}`;
}

function isSameAddress(one: string, other: string | undefined): boolean {
  return one.toLowerCase() === other?.toLowerCase();
}
