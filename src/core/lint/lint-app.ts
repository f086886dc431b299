import type { LintSeverity } from "./lint-rule.ts";
import type { LintSubject } from "./lint-subject.ts";
import { lintRules } from "./rules.ts";

export interface LintFinding {
  /** Name of the rule, as `--accept` takes it. */
  readonly rule: string;
  readonly severity: LintSeverity;
  /** One sentence. */
  readonly message: string;
  /** What to do about it, as one sentence. */
  readonly advice: string;
}

const order: readonly LintSeverity[] = ["error", "warning", "note"];

/** What looks wrong about an app, a document or the calls that are to be sent; errors first. */
export function lintApp(subject: LintSubject): readonly LintFinding[] {
  const findings = lintRules.flatMap(({ name, severity, check }) =>
    check(subject).map((problem) => ({ rule: name, severity, ...withoutUndefined(problem) })),
  );
  return findings.toSorted((one, other) => order.indexOf(one.severity) - order.indexOf(other.severity));
}

function withoutUndefined({ severity, ...problem }: ReturnType<(typeof lintRules)[number]["check"]>[number]) {
  return severity === undefined ? problem : { ...problem, severity };
}
