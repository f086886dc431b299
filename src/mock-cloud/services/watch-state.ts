import type { CvmState } from "../../cloud/protocol.ts";
import type { Clock } from "../clock.ts";

export interface WatchStateParameters {
  /** `cvm_…` */
  readonly hashid: string;
  /** The status to wait for. Without one, the stream ends at the timeout or when the CVM is deleted. */
  readonly target: string | undefined;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Undefined once the CVM is deleted. */
  readonly read: () => { readonly state: CvmState; readonly isBusy: boolean } | undefined;
  readonly changes: CvmChanges;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Streams a CVM's state as server-sent events. Sends `state` at once, at every change and at every interval. Ends with
 * `complete` when the target status is reached, `timeout`, or `error` when the CVM was deleted. An aborted stream ends
 * without a final event.
 */
export async function* watchState(parameters: WatchStateParameters): AsyncGenerator<string> {
  const { hashid, target, intervalMs, timeoutMs, read, changes, clock, signal } = parameters;
  const deadline = clock.now() + timeoutMs;
  while (!signal.aborted) {
    const pause = new AbortController();
    const stop = () => pause.abort();
    signal.addEventListener("abort", stop);
    // Listening starts before the read, so that a change in between is not missed.
    const changed = changes.next(hashid, pause.signal);
    try {
      const now = read();
      if (!now) return yield event("error", { error: "The CVM is gone." });
      const isComplete = now.state.status === target && !now.isBusy;
      yield event("state", now.state) + (isComplete ? event("complete", now.state) : "");
      if (isComplete) return;
      const left = deadline - clock.now();
      if (left <= 0) return yield event("timeout", { timeout: timeoutMs / 1000, status: now.state.status });
      const slept = clock.sleep(Math.min(intervalMs, left), pause.signal).catch(() => {});
      await Promise.race([changed, slept]);
    } finally {
      pause.abort();
      signal.removeEventListener("abort", stop);
    }
  }
}

function event(name: string, data: object): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** Wakes the callers that wait for a CVM to change. */
export class CvmChanges {
  readonly #waiting = new Map<string, Set<() => void>>();

  /** @param hashid `cvm_…` */
  announce(hashid: string): void {
    const waiting = this.#waiting.get(hashid);
    this.#waiting.delete(hashid);
    for (const wake of waiting ?? []) wake();
  }

  /** Resolves at the CVM's next change, or when `signal` aborts. */
  next(hashid: string, signal: AbortSignal): Promise<void> {
    const waiting = this.#waiting.get(hashid) ?? new Set();
    this.#waiting.set(hashid, waiting);
    return new Promise((resolve) => {
      const wake = () => {
        waiting.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      if (signal.aborted) return resolve();
      waiting.add(wake);
      signal.addEventListener("abort", wake);
    });
  }
}
