import { LintRefusedError } from "../../errors/index.ts";
import {
  appIsKms,
  cannotFollowRotation,
  cvmWouldNotBoot,
  devicesWithoutEffect,
  eoaOwner,
  generationsDiffer,
  guestTooOld,
  implementationDrift,
  noCode,
  nothingBoots,
  oneStepOwner,
  ownerCannotSign,
  pendingOwner,
  removeDeviceWithoutEffect,
  upgradeLosesPolicy,
} from "./app-rules.ts";
import {
  builtOnCvm,
  commandFromVariable,
  engineSocket,
  imageFromVariable,
  mountedProgram,
  mutableImage,
  otherFile,
  providerProgram,
  unreadableCompose,
} from "./compose-rules.ts";
import type { LintRule, LintSeverity, LintSubject } from "./rule.ts";
import { hashOfNothing, sha384Value, shortValue, zeroValue } from "./value-rules.ts";

/**
 * Returns normally if no finding is an error, or if the rule of every error is accepted by name.
 *
 * @throws LintRefusedError
 */
export function requireClean(findings: readonly LintFinding[], accepted: ReadonlySet<string> = new Set()): void {
  const errors = findings.filter(({ rule, severity }) => severity === "error" && !accepted.has(rule));
  if (errors.length > 0) throw new LintRefusedError(errors, { canAccept: !errors.some(isFinal) });
}

function isFinal({ rule }: LintFinding): boolean {
  return lintRules.some(({ name, isFinal = false }) => name === rule && isFinal);
}

export interface LintFinding {
  /** Name of the rule. */
  readonly rule: string;
  readonly severity: LintSeverity;
  /** One sentence. */
  readonly message: string;
  /** What to do about it, as one sentence. */
  readonly advice: string;
}

const order: readonly LintSeverity[] = ["error", "warning", "note"];

/**
 * Checks an app, a document and the calls to be sent. Returns the findings, errors first.
 *
 * @example
 * import { lintApp } from "dstack-toolkit";
 * import { document } from "./app.js";
 * for (const { rule, message, advice } of lintApp({ document })) console.log(rule, message, advice);
 */
export function lintApp(subject: LintSubject): readonly LintFinding[] {
  const findings = lintRules.flatMap(({ name, severity, check }) =>
    check(subject).map((problem) => ({ rule: name, severity, ...withoutUndefined(problem) })),
  );
  return findings.toSorted((one, other) => order.indexOf(one.severity) - order.indexOf(other.severity));
}

function withoutUndefined({ severity, ...problem }: ReturnType<(typeof lintRules)[number]["check"]>[number]) {
  return severity === undefined ? problem : { ...problem, severity };
}

/** Every rule of the linter. docs/operator.md lists the same rows. */
export const lintRules: readonly LintRule[] = [
  noCode,
  appIsKms,
  ownerCannotSign,
  upgradeLosesPolicy,
  removeDeviceWithoutEffect,
  hashOfNothing,
  zeroValue,
  shortValue,
  sha384Value,
  unreadableCompose,
  imageFromVariable,
  mutableImage,
  builtOnCvm,
  otherFile,
  providerProgram,
  mountedProgram,
  commandFromVariable,
  implementationDrift,
  nothingBoots,
  cvmWouldNotBoot,
  generationsDiffer,
  devicesWithoutEffect,
  cannotFollowRotation,
  guestTooOld,
  engineSocket,
  eoaOwner,
  oneStepOwner,
  pendingOwner,
];
