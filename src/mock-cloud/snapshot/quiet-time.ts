import { ApiError, mockErrorCodes } from "../errors.ts";

/**
 * Keeps requests and whole-state work apart. Requests go on side by side; the work waits for those inside to be
 * answered, and keeps new ones at the door until it is done.
 */
export class QuietTime {
  readonly #limitMs: number;
  #inside = 0;
  #isQuiet: Promise<unknown> | undefined;
  #onEmpty: (() => void) | undefined;

  /** @param limitMs how long, in real time, the work waits for requests to be answered */
  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  /** Lets a request in. It calls what it gets when it is answered; calling that twice does no harm. */
  async enter(): Promise<() => void> {
    while (this.#isQuiet) await this.#isQuiet;
    this.#inside += 1;
    let isInside = true;
    return () => {
      if (!isInside) return;
      isInside = false;
      this.#inside -= 1;
      if (this.#inside === 0) this.#onEmpty?.();
    };
  }

  /** @throws ApiError 503 when requests are not answered in time, and what the work throws */
  async during<Result>(work: () => Promise<Result>): Promise<Result> {
    while (this.#isQuiet) await this.#isQuiet;
    const run = this.#untilEmpty().then(work);
    const isQuiet = run.then(
      () => {},
      () => {},
    );
    this.#isQuiet = isQuiet;
    try {
      return await run;
    } finally {
      this.#isQuiet = undefined;
    }
  }

  async #untilEmpty(): Promise<void> {
    if (this.#inside === 0) return;
    let timer: NodeJS.Timeout | undefined;
    const isEmpty = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
    const isTooLate = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(stillAnswering(this.#inside)), this.#limitMs);
    });
    try {
      await Promise.race([isEmpty, isTooLate]);
    } finally {
      clearTimeout(timer);
      this.#onEmpty = undefined;
    }
  }
}

function stillAnswering(count: number): ApiError {
  const message = `Requests are still being answered (${count}), so the state was neither kept nor put back.`;
  return new ApiError(503, mockErrorCodes.serviceUnavailable, message, {
    suggestions: ["Try again when they have ended; a chain that does not answer is what holds them up most."],
    retryAfterSeconds: 1,
  });
}
