import { checksumAddress } from "viem";
import { nameOfCvm } from "../core/ids.ts";
import { printable } from "../core/text.ts";
import { type BootVerdicts, isAllowed } from "../rehearsal/boot-verdicts.ts";
import type { RehearsalReport, RehearsedPhase } from "../rehearsal/report.ts";
import type { RehearsedStep, RehearsedTransaction } from "../rehearsal/step.ts";
import { describeOwnerFully, formatCount, formatTime } from "./format.ts";
import type { Output, TableRows } from "./output.ts";
import { describeChangeReason } from "./plan.ts";
import { formatEth, formatFee, formatGas } from "./price.ts";

/** A part of a report, for a terminal and for Markdown alike. */
interface Section {
  readonly title: string;
  readonly facts?: readonly (readonly [label: string, value: string])[];
  readonly table?: Omit<TableRows, "width"> | undefined;
  /** Numbered, each with lines below it. */
  readonly numbered?: readonly (readonly [first: string, ...more: string[]])[];
  readonly bullets?: readonly string[];
  /** Commands to copy. */
  readonly commands?: readonly string[];
}

export interface ShowRehearsalParameters {
  readonly report: RehearsalReport;
  /** The commands of the live change. */
  readonly next: readonly string[];
}

/** Shows a report on a terminal. */
export function showRehearsal(output: Output, parameters: ShowRehearsalParameters): void {
  for (const { title, facts = [], table, numbered = [], bullets = [], commands = [] } of sectionsOf(parameters)) {
    output.title(title);
    const width = Math.max(0, ...facts.map(([label]) => label.length));
    for (const [label, value] of facts) output.line(`  ${label.padEnd(width)}  ${value}`, width + 4);
    if (table !== undefined) output.table(table);
    for (const [index, [first, ...more]] of numbered.entries()) {
      output.line(`  ${index + 1}. ${first}`, 5);
      for (const line of more) output.line(`     ${line}`, 7);
    }
    for (const bullet of bullets) output.line(`  - ${bullet}`, 4);
    for (const command of commands) output.line(`  ${command}`);
  }
}

/** A report as a Markdown document, for a ticket or a review. */
export function formatRehearsalMarkdown(parameters: ShowRehearsalParameters): string {
  const blocks = sectionsOf(parameters).map(
    ({ title, facts = [], table, numbered = [], bullets = [], commands = [] }, index) =>
      [
        `${index === 0 ? "#" : "##"} ${inMarkdown(title)}`,
        facts.map(([label, value]) => `- ${label}: ${inMarkdown(value)}`).join("\n"),
        table === undefined ? "" : tableInMarkdown(table),
        numbered
          .map(([first, ...more], place) =>
            [`${place + 1}. ${inMarkdown(first)}`, ...more.map((line) => `   - ${inMarkdown(line)}`)].join("\n"),
          )
          .join("\n"),
        bullets.map((bullet) => `- ${inMarkdown(bullet)}`).join("\n"),
        commands.length === 0 ? "" : `\`\`\`sh\n${commands.map(printable).join("\n")}\n\`\`\``,
      ]
        .filter((block) => block !== "")
        .join("\n\n"),
  );
  return `${blocks.join("\n\n")}\n`;
}

/** Text of others cannot add markup, lines or links. */
function inMarkdown(text: string): string {
  return printable(text)
    .replace(/\s+/g, " ")
    .replace(/[\\`*_[\]<>|#]/g, "\\$&");
}

function tableInMarkdown({ head, rows }: Omit<TableRows, "width">): string {
  const line = (cells: readonly string[]) => `| ${cells.map(inMarkdown).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")).replaceAll("\\", ""), ...rows.map(line)].join("\n");
}

function sectionsOf({ report, next }: ShowRehearsalParameters): readonly Section[] {
  const { phases, reboots, warnings, limits } = report;
  const deviations = [...new Set(phases.flatMap(({ execution }) => execution.deviations))];
  const sections: readonly Section[] = [
    headerOf(report),
    ...phases.map((phase) => phaseOf(phase)),
    priceOf(report),
    { title: "Boots, as the contracts answer", table: bootsOf(report) },
    {
      title: "After a restart of each CVM",
      bullets: reboots.map(({ id, name, isRunning, status, composeHash, bootError }) =>
        isRunning
          ? `${nameOfCvm({ id, name })} runs ${composeHash}`
          : `${nameOfCvm({ id, name })} IS ${status.toUpperCase()}${bootError === undefined ? "" : `: ${bootError}`}`,
      ),
    },
    { title: "Warnings", bullets: warnings },
    { title: "Different from the live change", bullets: deviations },
    { title: "Not shown by this rehearsal", bullets: limits },
    verdictOf(report),
    { title: "The live change", commands: report.verdict === "go" ? next : [] },
  ];
  return sections.filter(({ facts, table, numbered, bullets, commands }) =>
    [facts, table?.rows, numbered, bullets, commands].some((part) => part !== undefined && part.length > 0),
  );
}

function headerOf({ subject, chain, appId, kms, owner, ownerAfter, plan }: RehearsalReport): Section {
  const { network, chainId, blockNumber, blockTime, ageSeconds } = chain;
  const isOther = ownerAfter !== undefined && ownerAfter.address !== owner.address;
  return {
    title: `Rehearsal of dstack ${subject}`,
    facts: [
      ["chain", `${network}, id ${chainId}`],
      ["block", `${blockNumber} (${formatTime(blockTime)} UTC, ${formatAge(ageSeconds)} old)`],
      ...(appId === undefined ? [] : ([["app", checksumAddress(appId)]] as const)),
      ["KMS", kms === undefined ? "not known" : checksumAddress(kms)],
      ["owner", describeOwnerFully(owner)],
      ...(isOther ? ([["owner after", describeOwnerFully(ownerAfter)]] as const) : []),
      ...(plan === undefined ? [] : ([["plan", `of dstack ${plan.task}, digest ${plan.digest}`]] as const)),
    ],
  };
}

function formatAge(seconds: bigint): string {
  if (seconds < 120n) return formatCount(Number(seconds), "second", "seconds");
  if (seconds < 7_200n) return `${seconds / 60n} minutes`;
  return seconds < 172_800n ? `${seconds / 3_600n} hours` : `${seconds / 86_400n} days`;
}

function phaseOf({ title, changes, execution: { steps, failure, proofs }, isLive }: RehearsedPhase): Section {
  // A trial has no reason of the user.
  const taken = steps.map((step) => describeStep(step, isLive ? changes : []));
  const made = new Set(steps.flatMap((step) => (step.kind === "transaction" ? step.calls : [])));
  const isProven = failure === undefined && proofs.length > 0 && proofs.every(({ kind }) => kind === "applied");
  // A timelock makes the calls inside one of its own.
  const left = isProven ? [] : changes.filter(({ description }) => !made.has(description));
  return {
    title: `${title}${isLive ? "" : " (a trial, not a part of the live change)"}`,
    numbered: failure === undefined ? taken : [...taken, [`STOPPED: ${failure.message}`]],
    bullets: [
      ...left.map(({ description, reason }) => `not made: ${description}, because ${describeChangeReason(reason)}`),
      ...(isProven ? ["Exactly the planned events came out, in their order, by the owner."] : []),
    ],
  };
}

function describeStep(step: RehearsedStep, changes: RehearsedPhase["changes"]): readonly [string, ...string[]] {
  if (step.kind === "wait") return [step.what];
  if (!step.isLive) return [`${step.what}, as ${checksumAddress(step.from)} (in the rehearsal alone)`];
  const { what, from, gasUsed, price, liveGas, calls, events } = step;
  const gas = liveGas === gasUsed ? formatGas(gasUsed) : `${formatGas(gasUsed)}, live about ${formatGas(liveGas)}`;
  const own = changes.filter(({ description }) => calls.includes(description));
  const reasons = [...new Set(own.map(({ reason }) => describeChangeReason(reason)))];
  const names = events.map(({ eventName }) => eventName);
  const counts = [...new Set(names)].map((name) => `${names.filter((one) => one === name).length} ${name}`);
  return [
    what,
    `from    ${checksumAddress(from)}`,
    ...calls.filter((call) => call !== what).map((call) => `call    ${call}`),
    ...(reasons.length === 0 ? [] : [`because ${reasons.join("; ")}`]),
    `gas     ${gas}, ${formatFee(price.total)}`,
    ...(counts.length === 0 ? [] : [`events  ${counts.join(", ")}`]),
  ];
}

function priceOf({ price, phases }: RehearsalReport): Section {
  const isLive = (step: RehearsedStep): step is RehearsedTransaction => step.kind === "transaction" && step.isLive;
  const steps = phases.flatMap((phase) => (phase.isLive ? phase.execution.steps.filter(isLive) : []));
  if (price === undefined) return { title: "Price" };
  return {
    title: `Price of the live change, ${formatCount(steps.length, "transaction", "transactions")}`,
    facts: [
      ["gas", price.gas.toLocaleString("en-US")],
      ["fee per gas", formatFee(price.feePerGas)],
      ["execution", formatFee(price.executionFee)],
      ["L1 data fee", formatFee(price.l1Fee)],
      ["operator fee", formatFee(price.operatorFee)],
      ["total", formatEth(price.total)],
    ],
  };
}

/** Before and after, or as it is now where nothing was executed. */
function bootsOf({ boots, phases }: RehearsalReport): Omit<TableRows, "width"> | undefined {
  if (boots.length === 0) return undefined;
  const isChanged = phases.some(({ execution }) => execution.steps.length > 0);
  const isSame = (key: "deviceId" | "osImageHash") => new Set(boots.map((row) => row[key])).size === 1;
  const columns = (["deviceId", "osImageHash"] as const).filter((key) => !isSame(key));
  const heads = { deviceId: "device", osImageHash: "OS image" } as const;
  return {
    head: ["CVM", ...(isChanged ? ["before", "after"] : ["now"]), "compose hash", ...columns.map((key) => heads[key])],
    rows: boots.map((row) => [
      [
        ...row.runsBefore.map((cvm) => (row.runsAfter.includes(cvm) ? cvm : `${cvm}, before`)),
        ...row.runsAfter.flatMap((cvm) => (row.runsBefore.includes(cvm) ? [] : `${cvm}, after`)),
      ].join(", ") || "none",
      wordFor(row.before),
      ...(isChanged ? [wordFor(row.after)] : []),
      row.composeHash,
      ...columns.map((key) => row[key]),
    ]),
  };
}

function wordFor(verdicts: BootVerdicts): string {
  return isAllowed(verdicts) ? "boots" : "NO";
}

const booted = "Everything happened as planned, and each CVM that could boot before can boot after it.";
const unjudged = "Everything happened as planned. No boot was judged.";

function verdictOf({ verdict, reasons, boots }: RehearsalReport): Section {
  if (verdict === "go") return { title: "GO", bullets: [boots.length > 0 ? booted : unjudged] };
  return {
    title: "NO-GO",
    numbered: reasons.map(({ message, code, nextStep }) => [
      `${message}${code === undefined ? "" : ` (${code})`}`,
      ...(nextStep === undefined ? [] : [nextStep]),
    ]),
  };
}
