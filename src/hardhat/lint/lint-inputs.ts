import { lintApp, requireClean } from "../../core/lint/lint.ts";

/**
 * Lints values of a command line before they are parsed: what has the wrong width for a known reason is told that
 * reason. Nothing to accept here, as nothing of it could be sent.
 *
 * @throws LintRefusedError
 */
export function lintInputs(what: string, texts: readonly string[]): void {
  requireClean(lintApp({ inputs: texts.map((text) => ({ what, text })) }));
}
