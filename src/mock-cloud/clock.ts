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

export function toIsoTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
