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
    const wake = () => pause.abort(wokenUp);
    signal.addEventListener("abort", wake);
    // Listening starts before the read, so that a change in between is not missed.
    const stopListening = changes.listen(hashid, wake);
    try {
      const now = read();
      if (!now) return yield event("error", { error: "The CVM is gone." });
      const isComplete = now.state.status === target && !now.isBusy;
      yield event("state", now.state) + (isComplete ? event("complete", now.state) : "");
      if (isComplete) return;
      const left = deadline - clock.now();
      if (left <= 0) return yield event("timeout", { timeout: timeoutMs / 1000, status: now.state.status });
      await clock.sleep(Math.min(intervalMs, left), pause.signal).catch(() => {});
    } finally {
      stopListening();
      signal.removeEventListener("abort", wake);
    }
  }
}

function event(name: string, data: object): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** Aborting with it costs less than with a new error, whose stack no caller reads. */
const wokenUp = Symbol("woken up");

/** Tells listeners that a CVM changes. */
export class CvmChanges {
  readonly #listeners = new Map<string, Set<() => void>>();

  /** @param hashid `cvm_…` */
  announce(hashid: string): void {
    for (const listener of this.#listeners.get(hashid) ?? []) listener();
  }

  /** Calls the listener at each change of the CVM, until the function that this returns is called. */
  listen(hashid: string, listener: () => void): () => void {
    const listeners = this.#listeners.get(hashid) ?? new Set();
    this.#listeners.set(hashid, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(hashid) === listeners) this.#listeners.delete(hashid);
    };
  }
}
