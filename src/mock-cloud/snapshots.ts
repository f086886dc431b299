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
  readonly drain: Drain;
  /** Called before the state is kept, to keep other state under the same id. The cloud waits for it. */
  readonly onSnapshot: (id: string) => Promise<void> | void;
  /**
   * Called before the cloud returns to a snapshot, while no work runs. If it fails, the cloud keeps its current state.
   */
  readonly onRestore: (id: string) => Promise<void> | void;
}

interface Snapshot {
  readonly content: StoreContent;
  readonly takenAt: number;
}

/**
 * Snapshots of the backend's state. Each can be restored any number of times. They are in memory, for the cloud's life.
 */
export class Snapshots {
  readonly #dependencies: SnapshotsDependencies;
  readonly #taken = new Map<string, Snapshot>();
  #count = 0;

  constructor(dependencies: SnapshotsDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Copies all stored data and the time while no request runs. So other state that `onSnapshot` keeps under the same id
   * is from the same moment.
   *
   * @throws ApiError 503; the errors of `onSnapshot`
   */
  async take(): Promise<string> {
    const { store, timekeeper, drain, onSnapshot } = this.#dependencies;
    this.#count += 1;
    const id = `snapshot_${this.#count}`;
    return drain.run(async () => {
      await onSnapshot(id);
      this.#taken.set(id, { content: store.dump(), takenAt: timekeeper.now() });
      return id;
    });
  }

  /**
   * Stops all running work, returns to the snapshot and its time, and continues the work that ran at the snapshot.
   * Running requests finish first. Requests that arrive meanwhile wait.
   *
   * @throws ApiError 404, 503; the errors of `onRestore`
   */
  async restore(id: string): Promise<void> {
    const snapshot = this.#taken.get(id);
    if (!snapshot) throw new ApiError(404, undefined, `There is no snapshot ${id}.`);
    await this.#dependencies.drain.run(() => this.#goBack(id, snapshot));
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
 * Keeps requests and work on the whole state apart. Requests run in parallel. The work waits for running requests to
 * finish; new requests wait until the work is done.
 */
export class Drain {
  readonly #limitMs: number;
  #inside = 0;
  #isQuiet: Promise<unknown> | undefined;
  #onEmpty: (() => void) | undefined;

  /** @param limitMs time limit for running requests to finish before the work, in real time */
  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  /**
   * Admits a request. The caller calls the returned function when the request is answered; a second call does nothing.
   */
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

  /** @throws ApiError 503 when running requests do not finish in time; the errors of the work */
  async run<Result>(work: () => Promise<Result>): Promise<Result> {
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
      timer = setTimeout(() => reject(requestsStillRunning(this.#inside)), this.#limitMs);
    });
    try {
      await Promise.race([isEmpty, isTooLate]);
    } finally {
      clearTimeout(timer);
      this.#onEmpty = undefined;
    }
  }
}

function requestsStillRunning(count: number): ApiError {
  const message = `Requests are still running (${count}), so no snapshot was taken or restored.`;
  return new ApiError(503, mockErrorCodes.serviceUnavailable, message, {
    suggestions: ["Try again when they have ended. The most common cause is a chain that does not answer."],
    retryAfterSeconds: 1,
  });
}
