import type { Clock } from "../../core/retry.ts";
import type { CvmSnapshot } from "../ports.ts";
import type { UpdateRun } from "../run.ts";

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
