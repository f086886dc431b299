import type { LintSubject } from "./lint-subject.ts";

/**
 * - `error`: what is about to be done does not do what it seems to, or cannot be taken back; stops a write.
 * - `warning`: something is likely wrong, and the write does not make it worse.
 * - `note`: worth knowing.
 */
export type LintSeverity = "error" | "warning" | "note";

export interface LintRule {
  /** How a person accepts it: kebab-case. */
  readonly name: string;
  readonly severity: LintSeverity;
  /** One sentence for docs/operator.md. */
  readonly summary: string;
  readonly check: (subject: LintSubject) => readonly LintProblem[];
}

export interface LintProblem {
  /** One sentence. */
  readonly message: string;
  /** What to do about it, as one sentence. */
  readonly advice: string;
  /** Where the rule's own severity is too much or too little for this occurrence. */
  readonly severity?: LintSeverity | undefined;
}
