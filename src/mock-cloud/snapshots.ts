import { ApiError, mockErrorCodes } from "./errors.ts";
import type { Rollover } from "./rollover/rollover.ts";
import type { Timekeeper } from "./services/timekeeper.ts";
import type { StoreContent } from "./store/database.ts";
import type { Store } from "./store/store.ts";
import type { WebhookService } from "./webhooks/webhook-service.ts";

export interface SnapshotsDependencies {
  readonly store: Store;
  readonly timekeeper: Timekeeper;
  readonly rollover: Rollover;
  readonly webhookService: WebhookService;
  readonly quietTime: QuietTime;
  /** Awaited before the state is kept: others may keep theirs under the same id. */
  readonly onSnapshot: (id: string) => Promise<void> | void;
  /** Awaited while nothing is under way, before the cloud goes back. If it fails, the cloud stays as it is. */
  readonly onRestore: (id: string) => Promise<void> | void;
}

interface Snapshot {
  readonly content: StoreContent;
  readonly takenAt: number;
}

/** States of the backend to go back to, any number of times. They live in memory, as long as the cloud does. */
export class Snapshots {
  readonly #dependencies: SnapshotsDependencies;
  readonly #taken = new Map<string, Snapshot>();
  #count = 0;

  constructor(dependencies: SnapshotsDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Keeps all that is stored, and the time, while no request is being answered: what others keep under the same id is
   * of the same moment.
   *
   * @throws ApiError 503; what `onSnapshot` throws
   */
  async take(): Promise<string> {
    const { store, timekeeper, quietTime, onSnapshot } = this.#dependencies;
    this.#count += 1;
    const id = `snapshot_${this.#count}`;
    return quietTime.during(async () => {
      await onSnapshot(id);
      this.#taken.set(id, { content: store.dump(), takenAt: timekeeper.now() });
      return id;
    });
  }

  /**
   * Ends what is under way, goes back to the snapshot and its time, and takes up what was under way then. Requests
   * that came before are answered first, those that come meanwhile afterwards.
   *
   * @throws ApiError 404, 503; what `onRestore` throws
   */
  async restore(id: string): Promise<void> {
    const snapshot = this.#taken.get(id);
    if (!snapshot) throw new ApiError(404, undefined, `There is no snapshot ${id}.`);
    await this.#dependencies.quietTime.during(() => this.#goBack(id, snapshot));
  }

  async #goBack(id: string, { content, takenAt }: Snapshot): Promise<void> {
    const { store, timekeeper, rollover, webhookService, onRestore } = this.#dependencies;
    await Promise.all([rollover.pause(), webhookService.pause()]);
    try {
      await onRestore(id);
      store.transaction(() => {
        store.load(content);
        timekeeper.set(takenAt);
      });
    } finally {
      webhookService.resume();
      rollover.resume();
    }
  }
}

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
