import { InvalidArgumentError, LintRefusedError } from "../../errors/index.ts";
import type { LintSeverity, LintSubject } from "./rule.ts";
import { lintRules } from "./rules.ts";

/**
 * Refusals outside the linter that a user can accept by name, with what accepting means.
 *
 * - `unproven-key`: encrypt the environment to a key that no trusted KMS signed for an app that the user named
 * - `unproven-document`: start the update from a document that the app's contract does not allow
 * - `empty-values`: set an environment whose values are all empty
 * - `key-epochs`: use a contract whose key epochs this toolkit does not read, through its lists for app epoch 0
 */
export const acceptableRisks = ["unproven-key", "unproven-document", "empty-values", "key-epochs"] as const;
export type AcceptableRisk = (typeof acceptableRisks)[number];

/**
 * Parses the names given to `--accept`, separated by commas: lint rules and risks.
 *
 * @throws InvalidArgumentError for others
 */
export function parseAccepted(raw: string | undefined): ReadonlySet<string> {
  const names = (raw ?? "").split(",").flatMap((name) => name.trim() || []);
  const known: readonly string[] = [...lintRules.map(({ name }) => name), ...acceptableRisks];
  for (const name of names) {
    if (known.includes(name)) continue;
    throw new InvalidArgumentError(`There is nothing named ${name} to accept.`, {
      nextStep: `The names are ${known.join(", ")}.`,
      context: { name, known },
    });
  }
  return new Set(names);
}

/**
 * Returns normally if no finding is an error, or if the rule of every error is accepted by name.
 *
 * @param accepted absent if the operation cannot continue, so that accepting would not help
 * @throws LintRefusedError
 */
export function requireClean(findings: readonly LintFinding[], accepted?: ReadonlySet<string>): void {
  const errors = findings.filter(({ rule, severity }) => severity === "error" && accepted?.has(rule) !== true);
  if (errors.length > 0) throw new LintRefusedError(errors, { canAccept: accepted !== undefined });
}

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

/** Checks an app, a document and the calls to be sent. Returns the findings, errors first. */
export function lintApp(subject: LintSubject): readonly LintFinding[] {
  const findings = lintRules.flatMap(({ name, severity, check }) =>
    check(subject).map((problem) => ({ rule: name, severity, ...withoutUndefined(problem) })),
  );
  return findings.toSorted((one, other) => order.indexOf(one.severity) - order.indexOf(other.severity));
}

function withoutUndefined({ severity, ...problem }: ReturnType<(typeof lintRules)[number]["check"]>[number]) {
  return severity === undefined ? problem : { ...problem, severity };
}
