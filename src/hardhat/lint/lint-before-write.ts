import type { ReadAppStatusReturnType } from "../../chain/read-app-status.ts";
import { type LintFinding, lintApp } from "../../core/lint/lint-app.ts";
import type { LintSubject } from "../../core/lint/lint-subject.ts";
import { parseAccepted, requireClean } from "../../core/lint/require-clean.ts";
import type { ConnectedApp } from "../connect/connect-app.ts";
import { resolveKms } from "../connect/resolve-kms.ts";
import type { TaskIo } from "../connect/run-task.ts";
import { gatherLintSubject } from "./gather-lint-subject.ts";
import { showFindings } from "./show-findings.ts";

export interface LintBeforeWriteParameters extends Pick<LintSubject, "calls" | "document" | "inputs" | "newOwner"> {
  /** As `--accept` was given. */
  readonly accept: string | undefined;
  /** Already read, to spare reading it again. */
  readonly status?: ReadAppStatusReturnType | undefined;
}

/**
 * Lints an app and what is about to be sent to it, before every write. Shows errors and warnings, and returns all
 * findings; notes belong to `dstack status`.
 *
 * @throws LintRefusedError for errors whose rule was not accepted by name
 * @throws InvalidArgumentError, and what reading the app throws
 */
export async function lintBeforeWrite(
  io: Pick<TaskIo, "paper">,
  app: ConnectedApp,
  { accept, status, ...subject }: LintBeforeWriteParameters,
): Promise<readonly LintFinding[]> {
  const accepted = parseAccepted(accept);
  const kms = resolveKms({}, app);
  const facts = await gatherLintSubject(app.client, { appId: app.appId, kms, status });
  const findings = lintApp({ ...facts, ...subject });
  requireClean(findings, accepted);
  const shown = findings.filter(({ severity }) => severity !== "note");
  if (shown.length > 0) showFindings(io.paper, shown, accepted);
  return findings;
}
