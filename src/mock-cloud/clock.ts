import { setTimeout as wait } from "node:timers/promises";

/** The one source of time in the mock cloud: expiry, timestamps and every pause ask it. */
export interface Clock {
  /** Milliseconds since 1970, UTC. */
  now(): number;
  /** Resolves after that time has passed; rejects as soon as `signal` aborts. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: async (milliseconds, signal) => {
    await wait(milliseconds, undefined, { signal });
  },
};

/** Another clock plus an offset, which can be moved while others sleep on it. */
export interface AdjustableClock extends Clock {
  /** Milliseconds it is ahead of the clock below. */
  readonly offsetMs: number;
  /**
   * Makes it this time. Who is due by then wakes at once, the earliest first. Time jumps: what a woken sleeper sleeps
   * next is counted from the new time.
   */
  set(time: number): void;
  /** The same, relative to now. */
  advance(milliseconds: number): void;
}

interface Sleeper {
  readonly wakeAt: number;
  readonly moved: AbortController;
}

/** A timer of Node counts to 2^31 - 1 milliseconds; a longer one would fire at once. */
const longestTimerMs = 2 ** 31 - 1;

export function createAdjustableClock(base: Clock = systemClock, offsetMs = 0): AdjustableClock {
  let offset = offsetMs;
  const sleepers = new Map<symbol, Sleeper>();
  const now = () => base.now() + offset;

  const set = (time: number): void => {
    offset = time - base.now();
    // Each one looks at the clock again, in this order, and sleeps on if it is not due.
    const byTime = [...sleepers.values()].sort((one, other) => one.wakeAt - other.wakeAt);
    for (const { moved } of byTime) moved.abort();
  };

  const sleep = async (milliseconds: number, signal: AbortSignal): Promise<void> => {
    const key = Symbol("sleeper");
    const wakeAt = now() + milliseconds;
    try {
      do {
        const moved = new AbortController();
        sleepers.set(key, { wakeAt, moved });
        const remaining = Math.min(Math.max(0, wakeAt - now()), longestTimerMs);
        try {
          await base.sleep(remaining, AbortSignal.any([signal, moved.signal]));
        } catch (error) {
          if (signal.aborted || !moved.signal.aborted) throw error;
        }
      } while (now() < wakeAt);
    } finally {
      sleepers.delete(key);
    }
  };

  return {
    now,
    sleep,
    set,
    get offsetMs() {
      return offset;
    },
    advance: (milliseconds) => set(now() + milliseconds),
  };
}

export function toIsoTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
