import { isDstackError } from "../errors/index.ts";

/** The time that retries and polls use. The caller passes it: core has no clock, and tests move theirs by hand. */
export interface Clock {
  /** Milliseconds; only differences count. */
  now(): number;
  /** Rejects with the signal's reason once it is aborted. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

export interface RetryParameters {
  readonly clock: Pick<Clock, "sleep">;
  readonly signal?: AbortSignal | undefined;
  /**
   * Milliseconds to wait after this error. Throws to give up: the same error, or one that says more.
   *
   * @param tries number of the failed try, 1 for the first
   */
  readonly pauseAfter: (error: unknown, tries: number) => number | Promise<number>;
}

/**
 * Repeats `attempt` until it succeeds.
 *
 * @throws what `pauseAfter` throws, and the signal's reason
 */
export async function withRetry<Result>(
  { clock, signal, pauseAfter }: RetryParameters,
  attempt: (tries: number) => Promise<Result>,
): Promise<Result> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt(tries);
    } catch (error) {
      signal?.throwIfAborted();
      await clock.sleep(await pauseAfter(error, tries), signal);
    }
  }
}

const firstPauseMs = 100;
const growth = 1.5;

/** The `index`th pause of a poll, from 0: 100 ms, then each half as long again, up to `longestMs`. */
export function pollPause(index: number, longestMs: number): number {
  return Math.min(firstPauseMs * growth ** index, longestMs);
}

export interface PollParameters {
  /** The longest pause between two questions. The pauses start at 100 ms and grow by half each time. */
  readonly everyMs: number;
  /** A function may allow more time while the poll runs. */
  readonly timeoutMs: number | (() => number);
  /** Whether to ask again after this error. @default the error's own `retryable` */
  readonly mayPass?: (error: unknown) => boolean | Promise<boolean>;
  /** Makes the error for a timeout; `fault` is the error of the last question, if it failed. */
  readonly onTimeout: (waitedMs: number, fault: unknown) => unknown;
}

/**
 * Calls `ask` until it returns a value other than `undefined`: often at first, because most waits are short, and less
 * often later.
 *
 * @throws what `onTimeout` returns, an error that may not pass, and the signal's reason
 */
export async function poll<Answer>(
  { clock, signal }: { readonly clock: Clock; readonly signal?: AbortSignal | undefined },
  { everyMs, timeoutMs, mayPass = isRetryable, onTimeout }: PollParameters,
  ask: () => Promise<Answer | undefined>,
): Promise<Answer> {
  const start = clock.now();
  const pauseAfter = async (error: unknown, tries: number) => {
    const fault = error === notYet ? undefined : error;
    if (error !== notYet && !(await mayPass(error))) throw error;
    const waitedMs = clock.now() - start;
    const limitMs = typeof timeoutMs === "number" ? timeoutMs : timeoutMs();
    if (waitedMs >= limitMs) throw onTimeout(waitedMs, fault);
    return Math.min(pollPause(tries - 1, everyMs), limitMs - waitedMs);
  };
  return withRetry({ clock, signal, pauseAfter }, async () => {
    const answer = await ask();
    if (answer === undefined) throw notYet;
    return answer;
  });
}

function isRetryable(error: unknown): boolean {
  return isDstackError(error) && error.retryable;
}

/** Thrown by `poll` to itself: there is no answer yet. */
const notYet = Symbol("not yet");
