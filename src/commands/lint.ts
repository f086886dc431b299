import type { Address } from "viem";
import type { ChainClient } from "../chain/client.ts";
import { type ReadAppStatusReturnType, readAppStatus } from "../chain/read-app.ts";
import { readAppImplementation } from "../chain/read-kms.ts";
import { type JudgedContract, requireNoKeyEpochs } from "../core/generation.ts";
import type { AppId, ComposeHash, DeviceId } from "../core/ids.ts";
import { type LintFinding, lintApp, requireClean } from "../core/lint/lint.ts";
import type { LintedApp, LintSubject } from "../core/lint/rule.ts";
import { cleanText } from "../core/text.ts";
import type { Output } from "../output/output.ts";
import type { ConnectedApp } from "./connect-app.ts";
import { requireDstackKms, resolveKms } from "./connect-kms.ts";
import { readOtherKms, showCaveat } from "./generations.ts";
import { toOperatorTerms } from "./operator-terms.ts";
import type { TaskIo } from "./run.ts";

/**
 * Lints values of a command line before they are parsed. If a value has the wrong width for a known reason, the error
 * names that reason.
 *
 * @throws LintRefusedError
 */
export function lintInputs(what: string, texts: readonly string[]): void {
  requireClean(lint({ inputs: texts.map((text) => ({ what, text })) }));
}

/** Lints, with advice in the terms of the commands. */
export function lint(subject: LintSubject): readonly LintFinding[] {
  return lintApp(subject).map((finding) => ({ ...finding, advice: toOperatorTerms(finding.advice) }));
}

/**
 * Lints what is about to be sent. Shows warnings and the errors that the user accepted, and returns all findings.
 *
 * @throws LintRefusedError for errors whose rule the user did not accept by name
 */
export function lintAndShow(
  output: Output,
  subject: LintSubject,
  accepted: ReadonlySet<string>,
): readonly LintFinding[] {
  const findings = lint(subject);
  requireClean(findings, accepted);
  const shown = findings.filter(({ severity }) => severity !== "note");
  if (shown.length > 0) showFindings(output, shown, accepted);
  return findings;
}

export interface LintBeforeWriteParameters extends Pick<LintSubject, "calls" | "document" | "inputs"> {
  /** The names given to `--accept`. */
  readonly accepted: ReadonlySet<string>;
  /** Give it if it was already read, to save a request. */
  readonly status?: ReadAppStatusReturnType | undefined;
  /** Set for changes that key epochs do not affect, such as a change of ownership. */
  readonly ignoresKeyEpochs?: boolean | undefined;
}

export interface LintBeforeWriteReturnType {
  readonly findings: readonly LintFinding[];
  /** The app and, if one is known, its KMS. Empty if key epochs do not affect the change. */
  readonly contracts: readonly JudgedContract[];
}

/**
 * Lints an app and what is about to be sent to it, before every write. Shows errors and warnings, and returns all
 * findings; `dstack status` shows the notes. Refuses contracts that have, or may have, key epochs, because the lists of
 * the first generation may not be the ones that count.
 *
 * @throws KeyEpochsError unless that risk was accepted by name
 * @throws LintRefusedError for errors whose rule was not accepted by name
 * @throws InvalidArgumentError, and what reading the app throws
 */
export async function lintBeforeWrite(
  io: Pick<TaskIo, "output">,
  app: ConnectedApp,
  { accepted, status, ignoresKeyEpochs = false, ...about }: LintBeforeWriteParameters,
): Promise<LintBeforeWriteReturnType> {
  const kms = resolveKms({}, app);
  const gathered = await readLintSubject(app.client, { appId: app.appId, kms, status });
  const { subject } = gathered;
  const contracts = ignoresKeyEpochs ? [] : [...gathered.contracts, ...(await readOtherKms(app, kms))];
  requireNoKeyEpochs(contracts, accepted.has("key-epochs"));
  showCaveat(io.output, contracts);
  return { findings: lintAndShow(io.output, { ...subject, ...about }, accepted), contracts };
}

export interface ReadLintSubjectParameters {
  readonly appId: AppId;
  /** Undefined if it is unknown. The rules about it then report nothing. */
  readonly kms: Address | undefined;
  /** From the history, if it was read. */
  readonly lists?:
    | { readonly composeHashes: readonly ComposeHash[]; readonly devices: readonly DeviceId[] }
    | undefined;
  /** Give it if it was already read, to save a request. */
  readonly status?: ReadAppStatusReturnType | undefined;
}

export interface ReadLintSubjectReturnType {
  readonly subject: LintSubject;
  /** The app and, if one is known, its KMS. */
  readonly contracts: readonly JudgedContract[];
}

/**
 * Reads from the chain what the linter needs.
 *
 * @throws InvalidArgumentError if the address is no KMS, and what readAppStatus throws
 */
export async function readLintSubject(
  client: ChainClient,
  { appId, kms, lists, ...parameters }: ReadLintSubjectParameters,
): Promise<ReadLintSubjectReturnType> {
  const status = parameters.status ?? (await readAppStatus(client, { appId }));
  const { blockNumber } = status;
  const contracts: JudgedContract[] = [];
  const generation = kms === undefined ? undefined : await requireDstackKms(client, kms);
  if (status.kind === "app") contracts.push({ role: "app", address: appId, generation: status.generation });
  if (kms !== undefined && generation !== undefined) contracts.push({ role: "KMS", address: kms, generation });
  const implementation = kms === undefined ? undefined : await readAppImplementation(client, { kms, blockNumber });
  const app: LintedApp = {
    appId,
    hasCode: status.kind !== "noCode",
    isKms: status.kind === "kms",
    policy: status.kind === "app" ? { ...status, ...lists } : undefined,
  };
  const subject = {
    app,
    ...(kms !== undefined && { kms: { address: kms, appImplementation: implementation, generation } }),
  };
  return { subject, contracts };
}

/** Findings for people, each with its advice below. */
export function showFindings(
  output: Output,
  findings: readonly LintFinding[],
  accepted: ReadonlySet<string> = new Set(),
): void {
  const column = 10;
  for (const { rule, severity, message, advice } of findings) {
    const consent = severity === "error" && accepted.has(rule) ? ", accepted" : "";
    output.line(`  ${severity.padEnd(7)} ${cleanText(message)} (${rule}${consent})`, column);
    output.line(`${" ".repeat(column)}${cleanText(advice)}`, column);
  }
}
