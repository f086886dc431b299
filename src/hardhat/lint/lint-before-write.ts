import type { ReadAppStatusReturnType } from "../../chain/read-app.ts";
import { type JudgedContract, requireNoKeyEpochs } from "../../core/generation.ts";
import { type LintFinding, lintApp, parseAccepted, requireClean } from "../../core/lint/lint.ts";
import type { LintSubject } from "../../core/lint/rule.ts";
import type { ConnectedApp } from "../connect/connect-app.ts";
import { gatherOtherKms, showCaveat } from "../connect/generations.ts";
import { resolveKms } from "../connect/resolve-kms.ts";
import type { TaskIo } from "../connect/run-task.ts";
import { gatherLintSubject } from "./gather-lint-subject.ts";
import { showFindings } from "./show-findings.ts";

export interface LintBeforeWriteParameters extends Pick<LintSubject, "calls" | "document" | "inputs" | "newOwner"> {
  /** As `--accept` was given. */
  readonly accept: string | undefined;
  /** Already read, to spare reading it again. */
  readonly status?: ReadAppStatusReturnType | undefined;
  /** For what key epochs have no part in, such as the ownership. */
  readonly ignoresKeyEpochs?: boolean | undefined;
}

export interface LintBeforeWriteReturnType {
  readonly findings: readonly LintFinding[];
  /** The app and, where one is known, its KMS. None where key epochs have no part. */
  readonly contracts: readonly JudgedContract[];
}

/**
 * Lints an app and what is about to be sent to it, before every write. Shows errors and warnings, and returns all
 * findings; notes belong to `dstack status`. Refuses contracts whose first-generation lists may not be what governs.
 *
 * @throws KeyEpochsError unless that risk was accepted by name
 * @throws LintRefusedError for errors whose rule was not accepted by name
 * @throws InvalidArgumentError, and what reading the app throws
 */
export async function lintBeforeWrite(
  io: Pick<TaskIo, "paper">,
  app: ConnectedApp,
  { accept, status, ignoresKeyEpochs = false, ...about }: LintBeforeWriteParameters,
): Promise<LintBeforeWriteReturnType> {
  const accepted = parseAccepted(accept);
  const kms = resolveKms({}, app);
  const gathered = await gatherLintSubject(app.client, { appId: app.appId, kms, status });
  const { subject } = gathered;
  const contracts = ignoresKeyEpochs ? [] : [...gathered.contracts, ...(await gatherOtherKms(app, kms))];
  requireNoKeyEpochs(contracts, accepted.has("key-epochs"));
  showCaveat(io.paper, contracts);
  const findings = lintApp({ ...subject, ...about });
  requireClean(findings, accepted);
  const shown = findings.filter(({ severity }) => severity !== "note");
  if (shown.length > 0) showFindings(io.paper, shown, accepted);
  return { findings, contracts };
}
