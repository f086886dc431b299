import type { ComposeHash } from "../../core/ids.ts";
import { poll } from "../../core/retry.ts";
import { RolloverFailedError, RolloverTimeoutError } from "../../errors/index.ts";
import type { CvmSnapshot } from "../ports.ts";
import { type UpdateRun, withStep } from "../run.ts";
import { hashMismatch, type RequestedDocument } from "./document.ts";
import { followStatus, type StatusStream } from "./status-stream.ts";

export interface Rollover {
  readonly update: string;
  /** The compose that must be in force in the end. */
  readonly composeHash: ComposeHash;
  readonly correlationId: string | undefined;
  /** Given if the hash was not compared before. It is then compared at the end of the rollover. */
  readonly document?: RequestedDocument | undefined;
}

/**
 * Follows the CVM until it runs again, or is idle if it was stopped before. The KMS decides at boot: if it refuses the
 * CVM, the CVM falls back to its previous compose.
 *
 * @throws RolloverFailedError, RolloverTimeoutError, HashMismatchError
 */
export function followRollover(run: UpdateRun, before: CvmSnapshot, rollover: Rollover): Promise<CvmSnapshot> {
  return withStep(
    run,
    "followRollover",
    async () => {
      const stream = followStatus(run, before.status === "stopped" ? "stopped" : "running");
      try {
        return await waitUntilRunning(run, before, rollover, stream);
      } finally {
        stream.close();
      }
    },
    ({ status, composeHash }) => ({ status, composeHash }),
  );
}

async function waitUntilRunning(
  run: UpdateRun,
  before: CvmSnapshot,
  rollover: Rollover,
  { clock, noteLook }: StatusStream,
): Promise<CvmSnapshot> {
  const { request, settings, signal } = run;
  let status = "unknown";
  let wasBusy = false;
  return poll(
    { clock, signal },
    {
      everyMs: settings.pollCloudMs,
      timeoutMs: settings.timeouts.rolloverMs,
      onTimeout: (waitedMs) => new RolloverTimeoutError(request.cvm, status, waitedMs, rollover.correlationId),
    },
    async () => {
      const latest = await run.cloud.readCvm(request.cvm);
      noteLook(latest);
      status = latest.status;
      wasBusy ||= latest.busy;
      if (latest.busy) return undefined;
      const { composeHash = rollover.composeHash } = latest;
      // A stopped CVM stays stopped. The new compose is in force for its next start.
      const isSettled = status === "running" || (status === "stopped" && before.status === "stopped");
      if (isSettled && composeHash !== before.composeHash) {
        await requireCompose(run, rollover, composeHash);
        return latest;
      }
      const bootError = await run.cloud.readBootError(request.cvm);
      const isBroken = status === "error" || status === "failed";
      if (bootError !== undefined || isBroken) throw await fail(run, rollover, bootError ?? `its status is ${status}`);
      if (!isSettled) return undefined;
      if (composeHash === rollover.composeHash) return latest;
      // The CVM is idle on its previous compose. If it was never seen busy, the rollover may not have started.
      if (wasBusy)
        throw await fail(run, rollover, `it runs compose ${composeHash} again, and the cloud reports no reason`);
      return undefined;
    },
  );
}

async function requireCompose(run: UpdateRun, rollover: Rollover, running: ComposeHash): Promise<void> {
  if (running === rollover.composeHash) return;
  if (rollover.document === undefined)
    throw await fail(run, rollover, `another operation has updated it to compose ${running}`);
  const mismatch = hashMismatch(run, rollover.document, running);
  if (mismatch === undefined) return;
  await fail(run, rollover, `it runs compose ${running}`);
  throw mismatch;
}

async function fail(
  { journal, request }: UpdateRun,
  { update, correlationId }: Rollover,
  reason: string,
): Promise<RolloverFailedError> {
  await journal.append({ type: "failed", update, reason });
  return new RolloverFailedError(request.cvm, reason, correlationId);
}
