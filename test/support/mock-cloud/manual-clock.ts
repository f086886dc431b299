import type { Clock } from "../../../src/mock-cloud/clock.ts";

/** A clock that moves only when the test moves it, and then wakes the sleepers that are due. */
export interface ManualClock extends Clock {
  advance(milliseconds: number): void;
}

export function manualClock(start = Date.UTC(2026, 10, 20)): ManualClock {
  let now = start;
  const sleepers = new Set<{ readonly wakeAt: number; readonly wake: () => void }>();
  return {
    now: () => now,
    sleep: (milliseconds, signal) =>
      new Promise((resolve, reject) => {
        signal.throwIfAborted();
        const sleeper = { wakeAt: now + milliseconds, wake: resolve };
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
        if (milliseconds <= 0) resolve();
        else sleepers.add(sleeper);
      }),
    advance: (milliseconds) => {
      now += milliseconds;
      for (const sleeper of sleepers) {
        if (sleeper.wakeAt > now) continue;
        sleepers.delete(sleeper);
        sleeper.wake();
      }
    },
  };
}
