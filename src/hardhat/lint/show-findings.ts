import type { LintFinding } from "../../core/lint/lint.ts";
import { cleanText } from "../../core/text.ts";
import type { Paper } from "../../report/output.ts";

/** Findings for people, each with its advice below. */
export function showFindings(
  paper: Paper,
  findings: readonly LintFinding[],
  accepted: ReadonlySet<string> = new Set(),
): void {
  for (const { rule, severity, message, advice } of findings) {
    const consent = severity === "error" && accepted.has(rule) ? ", accepted" : "";
    paper.line(`  ${severity.padEnd(7)} ${cleanText(message)} (${rule}${consent})`);
    paper.line(`          ${cleanText(advice)}`);
  }
}
