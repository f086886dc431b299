import { InvalidArgumentError, LintRefusedError } from "../../errors/index.ts";
import type { LintFinding } from "./lint-app.ts";
import { lintRules } from "./rules.ts";

/** Names of rules from `--accept`, separated by commas. @throws InvalidArgumentError for a rule that does not exist */
export function parseAccepted(raw: string | undefined): ReadonlySet<string> {
  const names = (raw ?? "").split(",").flatMap((name) => name.trim() || []);
  const rules = lintRules.map(({ name }) => name);
  for (const name of names) {
    if (rules.includes(name)) continue;
    throw new InvalidArgumentError(`There is no rule named ${name}.`, {
      nextStep: `The rules are ${rules.join(", ")}.`,
      context: { rule: name, rules },
    });
  }
  return new Set(names);
}

/**
 * Returns if no finding is an error, or every error's rule is accepted by name.
 *
 * @param accepted left out where there is nothing to go on with, whoever accepts what
 * @throws LintRefusedError
 */
export function requireClean(findings: readonly LintFinding[], accepted?: ReadonlySet<string>): void {
  const errors = findings.filter(({ rule, severity }) => severity === "error" && accepted?.has(rule) !== true);
  if (errors.length > 0) throw new LintRefusedError(errors, { canAccept: accepted !== undefined });
}
