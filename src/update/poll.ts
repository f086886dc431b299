import { isDstackError } from "../errors/index.ts";
import type { UpdateRun } from "./update-run.ts";

export interface PollParameters {
  readonly everyMs: number;
  /** Each pause is this many times the one before, up to ten times the first. @default 1 */
  readonly growth?: number;
  readonly timeoutMs: number;
  /** Whether a fault counts as "no answer yet". @default the error's own `retryable` */
  readonly mayPass?: (error: unknown) => Promise<boolean>;
  /** The error for a wait that was too long; `fault` is the last answer's, if it was one. */
  readonly onTimeout: (waitedMs: number, fault: unknown) => unknown;
}

/**
 * Asks until there is an answer other than `undefined`.
 *
 * @throws what `onTimeout` returns, a fault that does not pass, and the signal's reason
 */
export async function poll<Answer>(
  { clock, signal }: Pick<UpdateRun, "clock" | "signal">,
  { everyMs, growth = 1, timeoutMs, mayPass = isRetryable, onTimeout }: PollParameters,
  ask: () => Promise<Answer | undefined>,
): Promise<Answer> {
  const start = clock.now();
  for (let pause = everyMs; ; pause = Math.min(pause * growth, 10 * everyMs)) {
    let fault: unknown;
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      if (!(await mayPass(error))) throw error;
      fault = error;
    }
    const waitedMs = clock.now() - start;
    if (waitedMs >= timeoutMs) throw onTimeout(waitedMs, fault);
    await clock.sleep(Math.min(pause, timeoutMs - waitedMs), signal);
  }
}

async function isRetryable(error: unknown): Promise<boolean> {
  return isDstackError(error) && error.retryable;
}
