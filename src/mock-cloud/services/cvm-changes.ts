/** Wakes those who wait for a CVM to change. */
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
