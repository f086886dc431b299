import { InvalidArgumentError } from "../../errors/index.ts";
import { type AdjustableClock, toIsoTime } from "../clock.ts";
import type { EventListener } from "../events.ts";
import type { Store } from "../store/store.ts";

/** A hundred years: longer than any expiry, and small enough for a valid date. */
export const longestAdvanceMs = 100 * 365 * 24 * 60 * 60 * 1000;

export interface TimekeeperDependencies {
  readonly store: Store;
  readonly clock: AdjustableClock;
  readonly emit: EventListener;
  readonly onAdvance: (milliseconds: number) => Promise<void> | void;
}

/** Moves the cloud's clock and stores the offset, so that it survives restarts. */
export class Timekeeper {
  readonly #dependencies: TimekeeperDependencies;

  constructor(dependencies: TimekeeperDependencies) {
    this.#dependencies = dependencies;
  }

  now(): number {
    return this.#dependencies.clock.now();
  }

  /**
   * Calls `onAdvance` first, then moves the cloud's clock. If `onAdvance` fails, the cloud's clock does not move.
   *
   * @throws InvalidArgumentError; the errors of `onAdvance`
   */
  async advance(milliseconds: number): Promise<void> {
    if (!Number.isSafeInteger(milliseconds) || milliseconds < 0 || milliseconds > longestAdvanceMs) {
      throw new InvalidArgumentError(`Time can be advanced by 0 to ${longestAdvanceMs} whole milliseconds.`);
    }
    const { clock, emit, onAdvance } = this.#dependencies;
    await onAdvance(milliseconds);
    this.set(clock.now() + milliseconds);
    emit({ type: "clock.advanced", milliseconds, now: toIsoTime(clock.now()) });
  }

  /** Sets the cloud's clock to this time. Does not call `onAdvance`. */
  set(time: number): void {
    const { clock, store } = this.#dependencies;
    clock.set(time);
    store.settings.saveClockOffset(clock.offsetMs);
  }
}
