import { setTimeout as wait } from "node:timers/promises";

/** The only source of time in the mock cloud. All expiries, timestamps and waits use it. */
export interface Clock {
  /** Milliseconds since 1970, UTC. */
  now(): number;
  /** Resolves after this time. Rejects when `signal` aborts. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: async (milliseconds, signal) => {
    await wait(milliseconds, undefined, { signal });
  },
};

/** A clock with an offset to another clock. The offset can change while callers sleep. */
export interface AdjustableClock extends Clock {
  /** Milliseconds that this clock is ahead of its base clock. */
  readonly offsetMs: number;
  /**
   * Sets the time. Sleepers that are due wake at once, the earliest first. The time jumps: if a woken sleeper sleeps
   * again, its new sleep counts from the new time.
   */
  set(time: number): void;
  /** Sets the time relative to now. */
  advance(milliseconds: number): void;
}

interface Sleeper {
  readonly wakeAt: number;
  readonly moved: AbortController;
}

/** Node's timers hold at most 2^31 - 1 milliseconds. A longer timer would fire at once. */
const longestTimerMs = 2 ** 31 - 1;

export function createAdjustableClock(base: Clock = systemClock, offsetMs = 0): AdjustableClock {
  let offset = offsetMs;
  const sleepers = new Map<symbol, Sleeper>();
  const now = () => base.now() + offset;

  const set = (time: number): void => {
    offset = time - base.now();
    // Each sleeper checks the clock again, in this order, and sleeps on if it is not due.
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
