/** Time during which at least one of several overlapping operations of a kind was running. */
export class Stopwatch {
  totalMs = 0;
  #running = 0;
  #since = 0;

  async time<Result>(operation: () => Promise<Result>): Promise<Result> {
    if (this.#running++ === 0) this.#since = performance.now();
    try {
      return await operation();
    } finally {
      if (--this.#running === 0) this.totalMs += performance.now() - this.#since;
    }
  }
}
