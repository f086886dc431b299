import type { ComposeHash } from "../../core/ids.ts";
import { type Clock, poll } from "../../core/retry.ts";
import { RolloverFailedError, RolloverTimeoutError } from "../../errors/index.ts";
import type { CvmSnapshot } from "../ports.ts";
import type { UpdateRecord } from "../progress.ts";
import { type UpdateRun, withStep } from "../run.ts";
import { hashMismatch, type RequestedDocument } from "./document.ts";
import { advance } from "./earlier-run.ts";
import { watchFinality } from "./watch-finality.ts";

export interface Rollover {
  /** The update. Its compose must be in force in the end. */
  readonly record: UpdateRecord;
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
  const finality = watchFinality(run);
  return poll(
    { clock, signal },
    {
      everyMs: settings.pollCloudMs,
      timeoutMs: () => settings.timeouts.rolloverMs + finality.waitedMs,
      onTimeout: (waitedMs) => new RolloverTimeoutError(request.cvm, status, waitedMs, correlationIdOf(rollover)),
    },
    async () => {
      const latest = await run.cloud.readCvm(request.cvm);
      noteLook(latest);
      status = latest.status;
      wasBusy ||= latest.busy;
      if (latest.busy) {
        await finality.look(latest);
        return undefined;
      }
      const { composeHash = rollover.record.composeHash } = latest;
      // A stopped CVM stays stopped. The new compose is in force for its next start.
      const isSettled = status === "running" || (status === "stopped" && before.status === "stopped");
      if (isSettled && composeHash !== before.composeHash) {
        requireCompose(run, rollover, composeHash);
        return latest;
      }
      const bootError = await run.cloud.readBootError(request.cvm);
      const isBroken = status === "error" || status === "failed";
      if (bootError !== undefined || isBroken) throw fail(run, rollover, bootError ?? `its status is ${status}`);
      if (!isSettled) return undefined;
      if (composeHash === rollover.record.composeHash) return latest;
      // The CVM is idle on its previous compose. If it was never seen busy, the rollover may not have started.
      if (wasBusy) throw fail(run, rollover, `it has compose ${composeHash} again, and the cloud reports no reason`);
      return undefined;
    },
  );
}

function requireCompose(run: UpdateRun, rollover: Rollover, running: ComposeHash): void {
  if (running === rollover.record.composeHash) return;
  if (rollover.document === undefined)
    throw fail(run, rollover, `another operation has updated it to compose ${running}`);
  const mismatch = hashMismatch(run, rollover.document, running);
  if (mismatch === undefined) return;
  fail(run, rollover, `it has compose ${running}`);
  throw mismatch;
}

function fail(run: UpdateRun, rollover: Rollover, reason: string): RolloverFailedError {
  advance(run, rollover.record, { status: "failed" });
  return new RolloverFailedError(run.request.cvm, reason, correlationIdOf(rollover));
}

function correlationIdOf({ record }: Rollover): string | undefined {
  return record.correlationId ?? undefined;
}

/** While the stream works, polling without an event is only a precaution. */
const precautionMs = 5_000;

export interface StatusStream {
  /** The run's clock. Its `sleep` ends early when the cloud reports a status that the last poll did not show. */
  readonly clock: Clock;
  /** Call it after each poll of the CVM. */
  noteLook(cvm: CvmSnapshot): void;
  close(): void;
}

/**
 * Follows the cloud's event stream during the rollover, to know when to poll the CVM. The events decide nothing else:
 * the cloud's answers to requests say what the CVM runs. Before the first event and after the end of the stream, `sleep`
 * does not end early, so the update polls a cloud without a working stream.
 */
export function followStatus(run: UpdateRun, target: string): StatusStream {
  const deadline = run.clock.now() + run.settings.timeouts.rolloverMs;
  const closing = new AbortController();
  let isReporting = false;
  let reported: string | undefined;
  let seen: CvmSnapshot | undefined;
  let wake = () => {};

  // A busy CVM may keep the status `running`, so that the end of the operation does not change it.
  const isNews = () => reported !== undefined && !(seen?.busy && seen.status === reported && reported !== "running");
  const follow = async () => {
    for await (const status of run.cloud.watchStatus(run.request.cvm, { target, signal: closing.signal })) {
      isReporting = true;
      reported = status;
      if (isNews()) wake();
    }
  };
  const end = () => {
    if (isReporting) wake();
    isReporting = false;
  };
  follow().then(end, end); // the next poll shows what is wrong

  const sleep = async (milliseconds: number, signal?: AbortSignal) => {
    if (!isNews()) {
      const woken = new AbortController();
      wake = () => woken.abort();
      const until = AbortSignal.any([woken.signal, ...(signal ? [signal] : [])]);
      const longest = Math.min(precautionMs, deadline - run.clock.now());
      await run.clock.sleep(isReporting ? Math.max(milliseconds, longest) : milliseconds, until).catch((error) => {
        signal?.throwIfAborted();
        if (!woken.signal.aborted) throw error;
      });
    }
    reported = undefined;
  };
  return {
    clock: { now: () => run.clock.now(), sleep },
    noteLook: (cvm) => {
      seen = cvm;
    },
    close: () => closing.abort(),
  };
}
